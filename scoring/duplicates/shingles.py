"""Texts that differ in form only, made equal; and texts as sets of overlapping n-grams, their shingles (Broder 1997).

The similarity of two texts is the Jaccard index of their shingle sets: shared shingles over all shingles of the two.
Shingles are known by 64-bit hashes, so two sets of a thousand are mistaken about once in 10^13.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from string import punctuation as ascii_punctuation
from sys import maxunicode
from typing import Literal, NamedTuple, get_args

import numpy as np

from scoring.errors import bad_value, unknown_name
from scoring.hashing import UInt64Array, combine, derive_seed, hash_ids
from scoring.order import IntArray

Unit = Literal["word", "char"]
UNITS: tuple[Unit, ...] = get_args(Unit)

_NOTHING = np.uint64(derive_seed("no word"))
"""Stands where a text has fewer than n words."""


def normalized(text: str, ignore_case: bool = True, ignore_punctuation: bool = True) -> str:
    """The text in Unicode form NFC, with one space for every run of white space and none at the ends.

    ``ignore_case``: by Unicode's full case folding. ``ignore_punctuation``: what Unicode calls punctuation (P*), and
    the ASCII symbols, count as white space, unless nothing else is in the text: "!!" and "?" stay different. Halves
    of surrogate pairs, which are no characters, become "?".
    """
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    if ignore_case:
        text = unicodedata.normalize("NFD", text).casefold()
    text = unicodedata.normalize("NFC", text)
    words = text.translate(_spaces()).split() if ignore_punctuation else []
    return " ".join(words or text.split())


@cache
def _spaces() -> dict[int, str]:
    """Every punctuation mark, to a space."""
    marks = {code for code in range(maxunicode + 1) if unicodedata.category(chr(code))[0] == "P"}
    return dict.fromkeys(marks | set(map(ord, ascii_punctuation)), " ")


class Shingles(NamedTuple):
    """Shingles of N texts, one text after the other; a text may hold one several times."""

    hashes_S: UInt64Array
    starts_N: IntArray
    """Where each text begins, and where the last one ends: N + 1 numbers."""

    def set_of(self, text: int) -> UInt64Array:
        """The different shingles of one text, sorted."""
        return np.unique(self.hashes_S[self.starts_N[text] : self.starts_N[text + 1]])


def shingle(texts: Sequence[str], unit: Unit, n: int) -> Shingles:
    """All runs of ``n`` words (divided by white space) or characters of every text.

    A text of fewer is one shingle as a whole, and so is an empty one: it equals other empty ones and nothing else.
    """
    if unit == "word":
        split = [text.split() for text in texts]
        tokens = [word for words in split for word in words]
        known = list(dict.fromkeys(tokens))
        hash_of = dict(zip(known, hash_ids(np.array(known, dtype=object)).tolist()))
        hashes_T = np.fromiter(map(hash_of.__getitem__, tokens), np.uint64, len(tokens))
        lengths_N = np.array([len(words) for words in split], dtype=np.int64)
    else:
        codes = np.frombuffer("".join(texts).encode("utf-32-le"), dtype="<u4")
        hashes_T = hash_ids(codes.astype(np.int64))
        lengths_N = np.array([len(text) for text in texts], dtype=np.int64)
    lacking_N = np.maximum(n - lengths_N, 0)
    ends_N = np.cumsum(lengths_N)
    hashes_T = np.insert(hashes_T, np.repeat(ends_N, lacking_N), _NOTHING)
    lengths_N = lengths_N + lacking_N
    ends_N = np.cumsum(lengths_N)
    if not len(hashes_T):
        return Shingles(hashes_T, np.zeros(len(texts) + 1, dtype=np.int64))
    windows = len(hashes_T) - n + 1
    grams_W = combine(*(hashes_T[i : i + windows] for i in range(n)))
    whole_T = np.ones(len(hashes_T), dtype=bool)
    for i in range(1, n):
        whole_T[ends_N - i] = False
    starts_N = np.concatenate([[0], np.cumsum(lengths_N - n + 1)])
    return Shingles(grams_W[whole_T[:windows]], starts_N)


def jaccard(a: UInt64Array, b: UInt64Array) -> float:
    """Shared over all, of two sorted sets that are not both empty."""
    shared = len(np.intersect1d(a, b, assume_unique=True))
    return shared / (len(a) + len(b) - shared)


def check_shingles(owner: str, unit: str, n: int) -> None:
    """Refuse unknown units and lengths below 1."""
    if unit not in UNITS:
        raise unknown_name("shingle", owner, str(unit), UNITS)
    if not isinstance(n, int) or isinstance(n, bool) or n < 1:
        raise bad_value("n", owner, n, "a whole number from 1")
