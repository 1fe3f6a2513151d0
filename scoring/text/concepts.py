"""Which concepts a document holds: given terms, or its words; and in how many documents each stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from scoring.hashing import hash_ids

IntArray = npt.NDArray[np.int64]
Id = TypeVar("Id", int, str)

_WORDS = re.compile(r"\w+")
_CONCEPTS = re.compile(r"[^\W\d_]{3,}")
_SEPARATORS = re.compile(r"[;\n]")


class Holdings(NamedTuple):
    """Which of B documents (``rows_P``, ascending) holds which concept (``keys_P``), P pairs without repetition."""

    rows_P: IntArray
    keys_P: IntArray


@dataclass(frozen=True)
class Terms:
    """Terms of one or more words, lowercased and joined by blanks, sorted; empty for all words of the corpus."""

    terms: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str, owner: str) -> Terms:
        """From a file .txt of one term per line, or ``"a;b c"``; empty text for none."""
        if not text:
            return cls()
        source = text
        if text.endswith(".txt"):
            try:
                source = Path(text).read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise InputError(f"{owner}: terms {text!r} cannot be read ({error}).") from None
        terms = {" ".join(_WORDS.findall(part.lower())) for part in _SEPARATORS.split(source)} - {""}
        if not terms:
            raise InputError(f"{owner}: terms {text!r} must hold at least one word.")
        return cls(tuple(sorted(terms)))

    def in_text(self, text: str) -> set[str]:
        """The terms that a text holds, as whole words whatever their case; else its words of three letters or more."""
        if not self.terms:
            return set(_CONCEPTS.findall(text.lower()))
        words = _WORDS.findall(text.lower())
        found: set[str] = set()
        for n in self._lengths:
            found.update(map(" ".join, zip(*(words[k:] for k in range(n)))))
        return found & self._known

    def holdings(self, texts_B: Sequence[str]) -> Holdings:
        """The concepts of some documents, known by their hashes."""
        sets_B = [sorted(self.in_text(text)) for text in texts_B]
        number_of: dict[str, int] = {}
        place_P = [number_of.setdefault(name, len(number_of)) for each in sets_B for name in each]
        rows_P = np.repeat(np.arange(len(texts_B)), [len(each) for each in sets_B])
        return Holdings(rows_P, keys_of(list(number_of))[np.array(place_P, dtype=np.int64)])

    @cached_property
    def _lengths(self) -> list[int]:
        return sorted({term.count(" ") + 1 for term in self.terms})

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.terms)


def keys_of(names: Sequence[str]) -> IntArray:
    """63 bits of the hash of each name."""
    return (hash_ids(np.array(names, dtype=object)) >> np.uint64(1)).astype(np.int64)


def count_documents(texts: Iterable[str], terms: str = "") -> dict[str, int]:
    """In how many of the texts each concept stands, exactly; with ``terms`` also those that stand in none.

    Without ``terms`` memory grows with the number of different words.
    """
    wanted = Terms.read(terms, "count_documents")
    counts = dict.fromkeys(wanted.terms, 0)
    for text in texts:
        for name in wanted.in_text(text):
            counts[name] = counts.get(name, 0) + 1
    return counts


def inverted_index(texts: Iterable[str], ids: Iterable[Id], terms: str = "") -> dict[str, list[Id]]:
    """Concept -> ids of the texts that hold it, in the order of the texts; given ``terms`` may have none.

    Memory grows with the number of pairs of a document and a concept.
    """
    wanted = Terms.read(terms, "inverted_index")
    index: dict[str, list[Id]] = {name: [] for name in wanted.terms}
    for text, id_ in zip(texts, ids, strict=True):
        for name in wanted.in_text(text):
            index.setdefault(name, []).append(id_)
    return index
