"""The two ways of asking an OpenAI-compatible server, and finding out which of them a server answers with logprobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from scoring.ask_llm.alternatives import alternatives
from scoring.ask_llm.connection import Away, Connection, Refused
from scoring.errors import InputError

Path = Literal["chat/completions", "completions"]
PATHS: tuple[Path, ...] = ("chat/completions", "completions")


@dataclass(frozen=True)
class Endpoint:
    """How a prompt is asked: one token of answer, greedy, with the likeliest tokens in its place.

    The temperature is 0 because servers differ in whether they scale logprobs by it, but none scales by 0, and because
    the token that was drawn joins the alternatives of some.

    Attributes:
        path: ``chat/completions``: the prompt is the one message of the user, and the server puts the model's chat
            template around it. ``completions``: the model continues the prompt itself.
        top: How many alternatives are asked for.
        no_thinking: Whether the chat template is told that the model shall not think before it answers.
    """

    path: Path
    top: int
    no_thinking: bool = False

    def body(self, model: str, text: str) -> dict[str, Any]:
        """Of the request."""
        body: dict[str, Any] = {"model": model, "max_tokens": 1, "temperature": 0}
        if self.path == "completions":
            return {**body, "prompt": text, "logprobs": self.top}
        body |= {"messages": [{"role": "user", "content": text}], "logprobs": True, "top_logprobs": self.top}
        return body | ({"chat_template_kwargs": {"enable_thinking": False}} if self.no_thinking else {})

    def describe(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


def candidates(chat: bool, path: str | None = None) -> Iterator[Endpoint]:
    """What is tried, in this order: the one ``path``, or both, or completions alone where no chat is wanted.

    20 alternatives are what vLLM and OpenAI allow at most by default, 5 what some allow.
    """
    wanted = [path] if path else list(PATHS) if chat else ["completions"]
    for each in PATHS:
        if each in wanted:
            for top in (20, 5):
                if each == "chat/completions":
                    yield Endpoint(each, top, no_thinking=True)
                yield Endpoint(each, top)


def find_endpoint(
    server: Connection, model: str, text: str, chat: bool, path: str | None
) -> tuple[Endpoint, Any]:
    """The first candidate that gives logprobs for a prompt, with its reply.

    Raises:
        InputError: None does; the sentence holds what the server said.
    """
    heard: dict[str, str] = {}
    silent: set[str] = set()
    for endpoint in candidates(chat, path):
        if endpoint.path in silent:
            continue
        try:
            reply = server.post(endpoint.path, endpoint.body(model, text))
        except Refused as refusal:
            heard[endpoint.path] = f"refuses ({refusal})"
            if refusal.status in (404, 405, 501):
                silent.add(endpoint.path)
            continue
        except Away as failure:
            if failure.status != 500:  # what some answer who cannot do this, and only this
                raise
            heard[endpoint.path] = "fails (500)"
            silent.add(endpoint.path)
            continue
        if alternatives(reply) is not None:
            return endpoint, reply
        heard[endpoint.path] = "answers without logprobs"
        silent.add(endpoint.path)
    said = "; ".join(f"/{name} {what}" for name, what in heard.items())
    raise InputError(
        f"ask_llm: needs a server that returns logprobs of the likeliest tokens, and model {model!r} at "
        f"{server.base} does not: {said}."
    )
