"""Asking the model of an OpenAI-compatible server: vLLM, SGLang, llama.cpp, and whoever speaks the same."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Self

import httpx2
import numpy as np
import numpy.typing as npt

from scoring.ask_llm.alternatives import alternatives, log_mass
from scoring.ask_llm.backend import Answer, Prompt
from scoring.ask_llm.connection import Connection, Refused
from scoring.ask_llm.endpoints import PATHS, Endpoint, find_endpoint
from scoring.ask_llm.journal import Journal, open_journal
from scoring.ask_llm.pace import Pace
from scoring.ask_llm.prompts import Template
from scoring.ask_llm.served_model import ServedModel, find_model
from scoring.ask_llm.token_estimate import estimated_starts
from scoring.corpus.models import CorpusModels
from scoring.errors import InputError, bad_value
from scoring.hashing import digest
from scoring.parts import CHUNKS

IntArray = npt.NDArray[np.int64]

TRIED_OUT_WITH = "The sky is blue on a clear day."
"""Stands for a document in the one request that finds out how the server answers and how long the question is."""
MARGIN = 8
"""Tokens kept free, since a document and the question may be cut into tokens differently together than apart."""
SHORTER = 0.8
"""Of a window that turned out to be too long, so much is asked about next."""
TOO_LONG = re.compile(r"context|length|longer|exceed|too (?:long|large|many)|maximum", re.IGNORECASE)


class ServerBackend:
    """A model behind an address.

    The values are those of a model by its name: what weights a server has under it, in what precision, cannot be
    checked from here, nor whether they stay the same. Its alternatives are the k likeliest tokens; a word that is not
    among them seems as likely as ``scoring.ask_llm.alternatives.log_mass`` says, so that the mass on yes and no
    together is too high by 2/(k+1) at most: by .1 where there are 20.

    The address may end with ``/chat/completions`` or ``/completions``, else the first of them that gives logprobs is
    taken. It is no part of the description, so a job can go on at another one.
    """

    controls: Sequence[str] = ()

    def __init__(
        self,
        base: str,
        model: ServedModel,
        endpoint: Endpoint,
        question: int,
        models: CorpusModels,
        work: Path | None,
    ) -> None:
        self.base, self.model, self.endpoint = base, model, endpoint
        self.question, self.concurrency = question, models.concurrency
        self.pace = Pace(models.requests_per_minute)
        about = json.dumps(self.describe(), sort_keys=True).encode()
        self._about = digest(about, size=16)
        self.journals = None if work is None else work / CHUNKS / f"answers-{self._about.hex()}"

    @classmethod
    def of(cls, model: str, models: CorpusModels, template: Template, work: Path | None) -> Self:
        """Ask the server for its models, and one question.

        Raises:
            InputError: It does not answer, has no such model, or gives no logprobs.
        """
        base, path = address(model)
        with Connection(base, pace=Pace(models.requests_per_minute)) as server:
            served = find_model(server, models.llm_name)
            text = template.prompt(TRIED_OUT_WITH).text
            endpoint, reply = find_endpoint(server, served.name, text, template.chat, path)
        return cls(base, served, endpoint, _tokens(reply), models, work)

    @property
    def parameters(self) -> int | None:
        """As the server says; llama.cpp does."""
        return self.model.parameters

    def describe(self) -> dict[str, object]:
        """Name of the model and how it is asked."""
        return {"served": self.model.name, "weights": "not checked", **self.endpoint.describe()}

    def room(self) -> int | None:
        """What the server says that its model reads, less the question."""
        if self.model.context is None:
            return None
        return max(1, self.model.context - self.question - 1 - MARGIN)

    def token_starts(self, documents: Sequence[str]) -> list[IntArray]:
        """Estimates."""
        return [estimated_starts(document) for document in documents]

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """An answer to each prompt, in their order; equal ones are asked once, and those of the journal not again."""
        keys = [
            digest(self._about, prompt.text.encode(errors="surrogatepass"), size=16).hex()
            for prompt in prompts
        ]
        with open_journal(self.journals, keys) as journal:
            missing = {
                key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in journal.answers
            }
            if missing:
                self._ask(missing, journal)
            return [journal.answers[key] for key in keys]

    def _ask(self, missing: Mapping[str, Prompt], journal: Journal) -> None:
        """Every prompt once, ``concurrency`` of them at a time."""
        kept = "" if self.journals is None else " and the same call goes on where this one stopped"
        requests = min(self.concurrency, len(missing))
        away = f"start it again{kept}"
        with (
            Connection(self.base, requests, self.pace, away) as server,
            ThreadPoolExecutor(requests, thread_name_prefix="ask_llm") as pool,
        ):

            def ask(key: str, prompt: Prompt) -> None:
                journal.add(key, self._one(server, key, prompt))

            futures = [pool.submit(ask, key, prompt) for key, prompt in missing.items()]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                server.stop.set()  # what is under way may finish, since it is paid for; nothing is sent any more
                pool.shutdown(wait=True, cancel_futures=True)
                raise

    def _one(self, server: Connection, key: str, prompt: Prompt) -> Answer:
        """The answer to a prompt, with less of its window while that is too long; NaN where the server has none."""
        window = prompt.document
        while True:
            text = (
                (prompt.before + window + prompt.after).encode(errors="replace").decode()
            )  # half a surrogate pair
            try:
                reply = server.post(
                    self.endpoint.path, self.endpoint.body(self.model.name, text), salt=key.encode()
                )
            except Refused as refusal:
                if refusal.status == 404:
                    raise InputError(
                        f"ask_llm: the server at {self.base} has no model {self.model.name!r} any more ({refusal})."
                    ) from None
                if window and (refusal.status == 413 or TOO_LONG.search(refusal.message)):
                    window = window[: int(SHORTER * len(window))]
                    continue
                return Answer(math.nan, math.nan, 0)
            found = alternatives(reply)
            yes, no = (math.nan if found is None else log_mass(found, answer) for answer in ("yes", "no"))
            shown = len(window) / len(prompt.document) if window else float(not prompt.document)
            return Answer(yes, no, _tokens(reply), shown)


def address(url: str) -> tuple[str, str | None]:
    """Where the server's API begins, and the endpoint if the address names one.

    ``http://host:8000`` is ``http://host:8000/v1``; any other path is taken as it is.

    Raises:
        InputError: It is no address, or holds a password, which would end up in files.
    """
    try:
        parsed = httpx2.URL(url.strip())
    except httpx2.InvalidURL:
        parsed = httpx2.URL("")
    if parsed.userinfo or parsed.query:
        raise InputError(
            "ask_llm: the address of a server must be without user, password and query; a key belongs into the "
            "environment variable TAMIS_LLM_KEY."
        )
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise bad_value("llm", "ask_llm", url, "an address like http://127.0.0.1:8000/v1")
    path = parsed.path.rstrip("/")
    for endpoint in PATHS:
        if path.endswith(f"/{endpoint}"):
            return str(parsed.copy_with(path=path.removesuffix(f"/{endpoint}"))), endpoint
    return str(parsed.copy_with(path=path or "/v1")), None


def _tokens(reply: Any) -> int:
    """Tokens of the prompt, as the server counts them; 0 where it does not say."""
    try:
        return int(reply["usage"]["prompt_tokens"])
    except (KeyError, TypeError, ValueError):
        return 0
