"""Answers that were paid for, on disk before the next one is asked: a restarted job asks only for what is missing."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from scoring.ask_llm.backend import Answer
from scoring.hashing import digest


class Journal:
    """Answers to one set of prompts, one JSON line each, appended and flushed as they come; safe for threads.

    Args:
        path: None keeps nothing. What is there is read; a last line that was torn is dropped. The file begins with
            its first answer.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.answers: dict[str, Answer] = {}
        self._lock = threading.Lock()
        torn = False
        if path is not None and path.exists():
            content = path.read_bytes()
            torn = bool(content) and not content.endswith(b"\n")
            for line in content.splitlines():
                self._read(line)
        self._file: BinaryIO | None = None
        self._before = b"\n" if torn else b""

    def add(self, key: str, answer: Answer) -> None:
        """Keep an answer."""
        with self._lock:
            self.answers[key] = answer
            if self.path is None:
                return
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = self.path.open("ab")
                self._file.write(self._before)
            yes, no = _or_none(answer.log_yes), _or_none(answer.log_no)
            record = {"key": key, "yes": yes, "no": no, "tokens": answer.tokens, "shown": answer.shown}
            self._file.write(json.dumps(record).encode() + b"\n")
            self._file.flush()

    def close(self) -> None:
        """No more answers."""
        if self._file is not None:
            self._file.close()

    def _read(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            yes, no = _or_nan(record["yes"]), _or_nan(record["no"])
            answer = Answer(yes, no, int(record["tokens"]), float(record["shown"]))
            self.answers[str(record["key"])] = answer
        except (ValueError, KeyError, TypeError):
            return  # torn by a kill in the middle of a line: asked again


@contextmanager
def open_journal(folder: Path | None, keys: Sequence[str]) -> Iterator[Journal]:
    """The journal of these prompts, by their keys: one file per set, so that memory holds no more than is asked."""
    name = digest(*sorted({key.encode() for key in keys}), size=16).hex()
    journal = Journal(None if folder is None else folder / f"{name}.jsonl")
    try:
        yield journal
    finally:
        journal.close()


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else float(value)
