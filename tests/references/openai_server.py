"""A small OpenAI-compatible server on 127.0.0.1 that answers with the log-probabilities of a real model."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import torch


class ServedModel:
    """One prompt at a time, no padding: the slow way."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.lock = threading.Lock()

    def log_probs(self, text: str, chat: bool) -> tuple[list[tuple[str, float]], int]:
        """Every token with its ln p at the position behind the text, likeliest first, and tokens that were read."""
        if chat:
            message = [{"role": "user", "content": text}]
            text = self.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
        with self.lock, torch.inference_mode():
            ids = self.tokenizer(text, add_special_tokens=not chat, return_tensors="pt")["input_ids"]
            values_V, order_V = (
                self.model(ids).logits[0, -1].double().log_softmax(dim=-1).sort(descending=True)
            )
            tokens = [self.tokenizer.decode([index]) for index in order_V.tolist()]
        return list(zip(tokens, values_V.tolist(), strict=True)), ids.shape[1]


@dataclass
class OpenAIServer:
    """The server, while it is entered.

    Attributes:
        endpoints: That it has; the first form of logprobs is that of chats, the second that of plain completions.
        broken: Of ``models`` and the endpoints, those that answer 500 to everything.
        top: Alternatives that it returns whatever is asked; None: as many as asked. most: More are refused.
        context: Tokens; longer prompts are refused.
        every, failure: Every so-many-th request meets a status, or ``drop`` closes the connection without an answer.
        answers: It is dead after so many.
        key: That it asks for.
    """

    folder: Path
    names: Sequence[str] = ("tiny",)
    endpoints: Sequence[str] = ("chat/completions", "completions")
    broken: Sequence[str] = ()
    logprobs: bool = True
    top: int | None = None
    most: int = 20
    context: int | None = None
    every: int = 0
    failure: int | str = 429
    headers: Mapping[str, str] = field(default_factory=dict)
    answers: int | None = None
    key: str = ""
    port: int = 0
    meta: Mapping[str, Any] | None = None
    asked: Counter[str] = field(default_factory=Counter)
    """Answers that were sent, by prompt."""
    received: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.model = ServedModel(self.folder)
        self.lock = threading.Lock()
        self.http = _Server(("127.0.0.1", self.port), _handler(self))
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.http.shutdown()
        self.http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def fails(self) -> int | str | None:
        """What happens to this request instead of an answer."""
        with self.lock:
            self.received += 1
            if self.answers is not None and self.asked.total() >= self.answers:
                return "drop"
            return self.failure if self.every and self.received % self.every == 0 else None

    def reply(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """Status and content of an answer to a request."""
        chat = path == "chat/completions"
        if path in self.broken:
            return 500, {"detail": "Internal Server Error"}
        if path not in self.endpoints:
            return 404, {"detail": "Not Found"}
        if body["model"] not in self.names:
            return 404, {"error": {"message": f"The model {body['model']!r} does not exist."}}
        wanted = body.get("top_logprobs" if chat else "logprobs", 0)
        if wanted > self.most:
            return 400, {"error": {"message": f"Requested sample logprobs of {wanted}, max {self.most}"}}
        if chat and not self.model.tokenizer.chat_template:
            return 400, {"error": {"message": "As of transformers v4.44, there is no default chat template"}}
        text = body["messages"][0]["content"] if chat else body["prompt"]
        found, tokens = self.model.log_probs(text, chat)
        if self.context is not None and tokens + 1 > self.context:
            return 400, {
                "error": {"message": f"This model's maximum context length is {self.context} tokens"}
            }
        found = found[: wanted if self.top is None else self.top]
        if chat:
            first = [{"token": token, "logprob": value} for token, value in found]
            logprobs: dict[str, Any] = {"content": [{**first[0], "top_logprobs": first}]}
        else:
            logprobs = {"top_logprobs": [dict(reversed(found))]}
        with self.lock:
            self.bodies.append(body)
            self.asked[text] += 1
        choice = {"index": 0, "logprobs": logprobs if self.logprobs else None, "finish_reason": "length"}
        return 200, {"choices": [choice], "usage": {"prompt_tokens": tokens, "completion_tokens": 1}}


class _Server(ThreadingHTTPServer):
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of ours."""


def _handler(server: OpenAIServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def log_message(self, *_: Any) -> None:
            pass

        def send(
            self, status: int, content: dict[str, Any], headers: Mapping[str, str] | None = None
        ) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(data))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

        def open_to(self) -> bool:
            if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
                given = self.headers.get("Authorization")
                self.send(401, {"error": {"message": f"Incorrect API key provided: {given}"}})
                return False
            return True

        def do_GET(self) -> None:
            if not self.open_to():
                return
            if self.path == "/props" and server.meta is not None:
                self.send(200, {"default_generation_settings": {"n_ctx": server.context}})
            elif self.path == "/v1/models" and "models" in server.broken:
                self.send(500, {"detail": "Internal Server Error"})
            elif self.path == "/v1/models":
                about = {} if server.meta is None else {"meta": server.meta}
                about |= {"max_model_len": server.context} if server.context and server.meta is None else {}
                self.send(200, {"data": [{"id": name, **about} for name in server.names]})
            else:
                self.send(404, {"detail": "Not Found"})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self.open_to():
                return
            failure = server.fails()
            if failure == "drop":
                self.close_connection = True
                self.connection.close()
            elif failure is not None:
                self.send(int(failure), {"error": {"message": "busy"}}, server.headers)
            else:
                self.send(*server.reply(self.path.removeprefix("/v1/"), body))

    return Handler
