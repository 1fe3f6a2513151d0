"""An n-gram language model with interpolated, modified Kneser-Ney smoothing, from counts that merge by addition.

Chen and Goodman 1999 ("An empirical study of smoothing techniques for language modeling"), sections 3.3 to 3.5:

    p_k(w | c) = max(n(c w) - D(n(c w)), 0) / n(c .) + b(c) p_{k-1}(w | c'),     p_0 = 1 / V

where c' is c without its first token, b(c) = sum_w D(n(c w)) / n(c .) what the discounts took away, and a context that
was never seen leaves everything to the lower order. n is the count for the highest order and for n-grams that begin a
document (no token stands before them), else in how many different tokens that may stand before it the n-gram was seen.
D has three values per order, for counts of 1, 2, and 3 or more, estimated from how many n-grams were seen once to four
times. Where these are too few to tell, D is 0.5, 1 and 1.5, as KenLM falls back to.

Contexts are told apart by a hash of ``bits`` bits. Two that collide share their counts, which blurs, but keeps the sum
of the probabilities at 1, because the token itself is never hashed with its context.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.hashing import derive_seed

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Counts = Mapping[str, Tensor]
"""Per order k: ``keys_k`` of its n-grams, sorted, how often each was seen, ``counts_k``, and the key of what is left
without its first token, ``suffixes_k``, all its bits flipped where that is the beginning of a document. int64."""

FALLBACK = (0.5, 1.0, 1.5)
_NAMES = ("keys", "counts", "suffixes")
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Grams:
    """Which n-grams are counted: orders 1 to ``order`` over tokens 0 to ``vocabulary`` - 1."""

    order: int
    vocabulary: int
    bits: int = 40

    def keys(self, documents: Sequence[IntArray]) -> Iterator[Keys]:
        """Of every order, for every token of all documents."""
        tokens_T = np.concatenate([*documents, np.empty(0, dtype=np.int64)]).astype(np.int64)
        places_T = np.concatenate([*(np.arange(len(each)) for each in documents), tokens_T[:0]])
        mask, key = np.uint64((1 << self.bits) - 1), np.uint64(derive_seed("n-gram") | 1)
        hash_T = np.zeros(len(tokens_T), dtype=np.uint64)
        for k in range(1, self.order + 1):
            keys_T = (hash_T & mask).astype(np.int64) * self.vocabulary + tokens_T
            yield Keys(k, keys_T, places_T == k - 2, places_T < k - 2)
            # the context grows by the k-th token before, or by the beginning, -1
            before_T = np.where(places_T >= k, np.roll(tokens_T, k), -1)
            with np.errstate(over="ignore"):
                longer_T = (hash_T ^ ((before_T + 2).astype(np.uint64) * key)) * _ODD
            hash_T = np.where(places_T >= k - 1, longer_T ^ (longer_T >> np.uint64(29)), hash_T)


@dataclass(frozen=True, eq=False)
class Keys:
    """Of the ``k``-gram that ends at each of T tokens: its key, whether it starts with the beginning of the document,
    which is the place before the first token, and whether it would start before that, and so is none."""

    k: int
    keys_T: IntArray
    begins_T: BoolArray
    none_T: BoolArray


def count(grams: Grams, documents: Sequence[IntArray]) -> dict[str, Tensor]:
    """Counts of some documents."""
    found: dict[str, Tensor] = {}
    shorter_T: IntArray | None = None
    for each in grams.keys(documents):
        suffixes_T = each.keys_T if shorter_T is None else shorter_T
        suffixes_T = np.where(each.begins_T, ~suffixes_T, suffixes_T)
        there_T = ~each.none_T
        keys = each.keys_T[there_T]
        found |= _grouped(each.k, keys, np.ones_like(keys), suffixes_T[there_T])
        shorter_T = each.keys_T
    return found


def merged(a: Counts, b: Counts) -> dict[str, Tensor]:
    """Counts of both."""
    found: dict[str, Tensor] = {}
    for k in range(1, len(a) // len(_NAMES) + 1):
        arrays = [np.concatenate([part[f"{name}_{k}"].numpy() for part in (a, b)]) for name in _NAMES]
        found |= _grouped(k, *arrays)
    return found


def _grouped(k: int, keys: IntArray, counts: IntArray, suffixes: IntArray) -> dict[str, Tensor]:
    order = np.argsort(keys, kind="stable")  # linear for two sorted runs
    keys, counts, suffixes = keys[order], counts[order], suffixes[order]
    if len(keys):
        starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
        counts, suffixes = np.add.reduceat(counts, starts), np.minimum.reduceat(suffixes, starts)
        keys = keys[starts]
    arrays = zip(_NAMES, (keys, counts, suffixes), strict=True)
    return {f"{name}_{k}": torch.from_numpy(array.astype(np.int64)) for name, array in arrays}


@dataclass(frozen=True, eq=False)
class _Order:
    """Of one order: n-grams with their discounted probability, contexts with what is left to the lower order."""

    keys: IntArray
    probabilities: FloatArray
    contexts: IntArray
    backoffs: FloatArray


class NGramModel:
    """Probabilities of tokens given those before them in the document; over the vocabulary they sum to 1."""

    def __init__(self, grams: Grams, counts: Counts) -> None:
        self.grams = grams
        self._orders = [_order(grams, keys, seen) for keys, seen in _adjusted(grams, counts)]

    def nats(self, documents: Sequence[IntArray]) -> list[FloatArray]:
        """-ln p of every token given those before it, (T,) per document."""
        total = sum(len(each) for each in documents)
        p_T = np.full(total, 1.0 / self.grams.vocabulary)
        for each, order in zip(self.grams.keys(documents), self._orders, strict=True):
            keys, inverse = np.unique(each.keys_T, return_inverse=True)  # equal n-grams are looked up once
            high = _found(order.keys, order.probabilities, keys, 0.0)
            left = _found(order.contexts, order.backoffs, keys // self.grams.vocabulary, 1.0)
            p_T = np.where(each.none_T, p_T, high[inverse] + left[inverse] * p_T)
        ends = np.cumsum([len(each) for each in documents])
        return np.split(-np.log(p_T), ends[:-1]) if len(ends) else []


def _found(table: IntArray, values: FloatArray, keys: IntArray, absent: float) -> FloatArray:
    if not len(table):
        return np.full(len(keys), absent)
    places = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[places] == keys, values[places], absent)


def _adjusted(grams: Grams, counts: Counts) -> Iterator[tuple[IntArray, IntArray]]:
    """Per order the keys, and how often or after how many different tokens they were seen."""
    for k in range(1, grams.order + 1):
        keys, seen = counts[f"keys_{k}"].numpy(), counts[f"counts_{k}"].numpy()
        if k < grams.order:
            suffixes = counts[f"suffixes_{k + 1}"].numpy()
            places = np.searchsorted(keys, np.where(suffixes < 0, ~suffixes, suffixes))
            preceded = np.bincount(places, minlength=len(keys)).astype(np.int64)
            seen = np.where(counts[f"suffixes_{k}"].numpy() < 0, seen, preceded)
        yield keys[seen > 0], seen[seen > 0]


def _order(grams: Grams, keys: IntArray, seen: IntArray) -> _Order:
    taken = _discounts(seen)[np.minimum(seen, 3)]
    contexts, place = np.unique(keys // grams.vocabulary, return_inverse=True)
    totals = np.bincount(place, weights=seen, minlength=len(contexts))
    left = np.bincount(place, weights=taken, minlength=len(contexts))
    return _Order(keys, (seen - taken) / totals[place], contexts, left / np.maximum(totals, 1))


def _discounts(seen: IntArray) -> FloatArray:
    """D by count, 0 to 3 (or more): Chen and Goodman 1999, equation 26."""
    once, twice, thrice, four = (int((seen == times).sum()) for times in (1, 2, 3, 4))
    found = [np.nan] * 3
    if once and twice and thrice and four:
        share = once / (once + 2 * twice)
        found = [1 - 2 * share * twice / once, 2 - 3 * share * thrice / twice, 3 - 4 * share * four / thrice]
    chosen = [
        value if 0 < value <= times else FALLBACK[times - 1] for times, value in enumerate(found, start=1)
    ]
    return np.array([0.0, *chosen])
