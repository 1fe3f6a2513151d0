"""Hashed n-gram counts as those of DSIR: lowercased words and punctuation, SHA-256 into buckets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from hashlib import sha256

import numpy as np
import numpy.typing as npt
from scipy import sparse

IntArray = npt.NDArray[np.int64]

WORD_OR_PUNCTUATION = re.compile(r"\w+|[^\w\s]+")
"""A token: letters, digits and underscores, or other signs, in a row; the ``WordPunctTokenizer`` of NLTK."""
REMEMBERED = 1 << 18
"""N-grams whose bucket is remembered, about 40 MB."""


def tokens(text: str) -> list[str]:
    """Of the lowercased text."""
    return WORD_OR_PUNCTUATION.findall(text.lower())


@lru_cache(maxsize=REMEMBERED)
def bucket(gram: str, buckets: int) -> int:
    """SHA-256 of the UTF-8 bytes as a number, modulo ``buckets``; halves of surrogate pairs become "?"."""
    return int.from_bytes(sha256(gram.encode(errors="replace")).digest()) % buckets


def count_buckets(texts: Sequence[str], ngrams: int, buckets: int) -> sparse.csr_matrix:
    """How often each bucket is hit by the 1- to ``ngrams``-grams of each text, (B, buckets) int64.

    Tokens of an n-gram are joined by a blank before they are hashed.
    """
    number_of: dict[str, int] = {}
    words_B = [tokens(text) for text in texts]
    words_T = np.array(
        [number_of.setdefault(word, len(number_of)) for words in words_B for word in words], dtype=np.int64
    )
    names = list(number_of)
    row_T = np.repeat(np.arange(len(texts)), [len(words) for words in words_B])
    rows, columns = [row_T], [_buckets_of(names, buckets)[words_T]]
    grams_T = words_T
    for n in range(2, ngrams + 1):
        # a gram is its first n - 1 tokens, numbered in the round before, and one token more
        whole_T = row_T[n - 1 :] == row_T[: 1 - n]
        pairs_T = grams_T[: len(whole_T)] * max(len(number_of), 1) + words_T[n - 1 :]
        _, first, grams_T = np.unique(pairs_T, return_index=True, return_inverse=True)
        spelt = [" ".join(names[word] for word in words_T[k : k + n].tolist()) for k in first.tolist()]
        rows.append(row_T[: len(whole_T)][whole_T])
        columns.append(_buckets_of(spelt, buckets)[grams_T[whole_T]])
    row, column = np.concatenate(rows), np.concatenate(columns)
    ones = np.ones(len(row), dtype=np.int64)
    return sparse.coo_matrix((ones, (row, column)), shape=(len(texts), buckets)).tocsr()


def _buckets_of(grams: Sequence[str], buckets: int) -> IntArray:
    return np.array([bucket(gram, buckets) for gram in grams], dtype=np.int64)
