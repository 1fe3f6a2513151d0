"""What a quality classifier sees of a document: hashed n-grams, an embedding, counts of its words and lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from scoring.errors import bad_value
from scoring.text.gopher_counts import COUNTS, gopher_counts

FloatArray = npt.NDArray[np.float64]

KINDS = ("hashed", "embeddings", "statistics")
NGRAMS = (1, 2)
COLUMNS = 2**18
"""Of hashed n-grams."""


@dataclass(frozen=True)
class Features:
    """B documents: ``dense_BD``, unscaled, and ``hashed_BK``, rows of length 1 (or 0: no word of two letters)."""

    dense_BD: FloatArray
    hashed_BK: sparse.csr_matrix

    def __len__(self) -> int:
        return len(self.dense_BD)

    def take(self, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Features:
        """Some of them."""
        return Features(self.dense_BD[rows], self.hashed_BK[rows])


def read_kinds(text: str, owner: str) -> tuple[str, ...]:
    """``"embeddings+statistics"`` as names of ``KINDS``, in their order."""
    parts = [part.strip() for part in str(text).split("+")]
    if not set(parts) <= set(KINDS) or len(set(parts)) < len(parts):
        raise bad_value("features", owner, text, f"one of {', '.join(KINDS)}, or several joined by +")
    return tuple(kind for kind in KINDS if kind in parts)


def make_features(kinds: Sequence[str], texts_B: Sequence[str], embeddings_BD: FloatArray | None) -> Features:
    """Features of some documents.

    ``hashed``: counts of words of two letters or more and of pairs of them, in 2^18 columns (MurmurHash3), divided by
    their Euclidean length. ``statistics``: ``scoring.text.gopher_counts``, numbers of words and characters as
    log(1 + x).
    """
    dense = [np.empty((len(texts_B), 0))]
    if "embeddings" in kinds:
        assert embeddings_BD is not None
        dense.append(np.asarray(embeddings_BD, dtype=np.float64))
    if "statistics" in kinds:
        dense.append(statistics(texts_B))
    hashed = sparse.csr_matrix((len(texts_B), 0))
    if "hashed" in kinds:
        from sklearn.feature_extraction.text import HashingVectorizer

        readable = [text if text.isascii() else text.encode(errors="replace").decode() for text in texts_B]
        hashed = HashingVectorizer(n_features=COLUMNS, ngram_range=NGRAMS, alternate_sign=False).transform(
            readable
        )
    return Features(np.concatenate(dense, axis=1), hashed)


def statistics(texts_B: Sequence[str]) -> FloatArray:
    """Counts of every text, (B, S), finite."""
    counts = [gopher_counts(text) for text in texts_B]
    table = np.array([[count[name] for name in COUNTS] for count in counts]).reshape(
        len(texts_B), len(COUNTS)
    )
    for name in ("characters", "words"):
        column = COUNTS.index(name)
        table[:, column] = np.log1p(table[:, column])
    return np.asarray(np.nan_to_num(table), dtype=np.float64)
