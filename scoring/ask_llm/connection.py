"""HTTP to an OpenAI-compatible server: pooled connections, turns, retries, and errors of one sentence."""

from __future__ import annotations

import os
import threading
from typing import Any, Self

import httpx2

from scoring.ask_llm.pace import Pace
from scoring.ask_llm.retries import ATTEMPTS, LONGEST_ASKED, RETRIED, pause, retry_after
from scoring.errors import InputError
from scoring.lines import one_line

KEYS = ("TAMIS_LLM_KEY", "OPENAI_API_KEY")
"""Environment variables of the server's key, in this order; nothing else may hold it, and it is never written."""
HERE = frozenset({"localhost", "127.0.0.1", "::1"})
TIMEOUT = httpx2.Timeout(600.0, connect=10.0)
"""Seconds; a request may wait long in the queue of a busy server."""


class Refused(Exception):
    """The server is there and will not do this; ``message`` is its reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status, self.message = status, message


class Away(InputError):
    """No answer in all attempts; ``status`` is that of the last one, None where nobody was there."""

    def __init__(self, message: str, status: int | None) -> None:
        super().__init__(message)
        self.status = status


class Stopped(Exception):
    """Another request failed for good, so this one is not tried again."""


class Connection:
    """Requests to the server at ``base``, from any number of threads; a context manager.

    Args:
        requests: At the same time.
        pace: Gives every request its turn, retries included.
        away: What a user is told to do when the server stays away.
    """

    def __init__(
        self,
        base: str,
        requests: int = 1,
        pace: Pace | None = None,
        away: str = "start it, or name another with llm",
    ) -> None:
        self.base, self.away = base, away
        self.pace = Pace(0) if pace is None else pace
        self.stop = threading.Event()
        limits = httpx2.Limits(max_connections=requests, max_keepalive_connections=requests)
        self._key = _key(base)
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx2.Client(headers=headers, timeout=TIMEOUT, limits=limits)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def get(self, path: str, attempts: int = ATTEMPTS) -> Any:
        """What the server says at a path."""
        return self._send("GET", path, None, b"", attempts)

    def post(self, path: str, body: dict[str, Any], salt: bytes = b"", attempts: int = ATTEMPTS) -> Any:
        """The reply to a request; ``salt`` spreads the retries of different requests.

        Raises:
            Refused: The server will never answer this.
            InputError: It stays away (``Away``), or lets nobody in.
        """
        return self._send("POST", path, body, salt, attempts)

    def _send(self, method: str, path: str, body: dict[str, Any] | None, salt: bytes, attempts: int) -> Any:
        status = None
        for attempt in range(attempts):
            self.pace.turn(self.stop.wait)
            if self.stop.is_set():
                raise Stopped
            asked = status = None
            try:
                response = self._client.request(method, f"{self.base}/{path}", json=body)
            except httpx2.RequestError as error:
                why = one_line(f"{type(error).__name__} {error}".strip())
            else:
                if response.status_code not in RETRIED:
                    return self._read(response)
                status, message = response.status_code, self._message(response)
                why = f"{status} {message}"
                asked = retry_after(response.headers.get("retry-after"))
                if "insufficient_quota" in message or (asked or 0.0) > LONGEST_ASKED:
                    raise InputError(
                        f"ask_llm: the server at {self.base} takes no more requests for now: {why}."
                    )
            if attempt + 1 < attempts and self.stop.wait(pause(attempt, salt, asked)):
                raise Stopped
        raise Away(
            f"ask_llm: no answer from the server at {self.base} in {attempts} attempts ({why}); {self.away}.",
            status,
        )

    def _read(self, response: httpx2.Response) -> Any:
        if response.status_code in (401, 403):
            raise InputError(
                f"ask_llm: the server at {self.base} lets nobody in without its key "
                f"({response.status_code} {self._message(response)}); set the environment variable {KEYS[0]}."
            )
        if not response.is_success:
            raise Refused(response.status_code, self._message(response))
        try:
            return response.json()
        except ValueError:
            raise InputError(
                f"ask_llm: what answers at {self.base} is no OpenAI-compatible server: it sent no JSON; the address "
                "usually ends with /v1."
            ) from None

    def _message(self, response: httpx2.Response) -> str:
        """The reason that the server gives, on one line; should it hold the key, without that."""
        try:
            error = response.json()
            error = error.get("error", error) if isinstance(error, dict) else error
            if isinstance(error, dict):
                text = " ".join(str(error[name]) for name in ("code", "message", "detail") if error.get(name))
            else:
                text = str(error)
        except ValueError:
            text = response.text
        if self._key:
            text = text.replace(self._key, "***")
        return one_line(text)[:300].rstrip(".")


def _key(base: str) -> str:
    """The key, if there is one; OpenAI's own is not sent over an open line to another machine."""
    url = httpx2.URL(base)
    for name in KEYS:
        key = os.environ.get(name, "").strip()
        if not key or (name == "OPENAI_API_KEY" and url.scheme == "http" and url.host not in HERE):
            continue
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"ask_llm: the environment variable {name} holds no key: it has odd characters.")
        return key
    return ""
