"""The long tail of concepts: how many documents hold each, most frequent first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.errors import InputError, bad_value

LEAST, LARGEST = 0.0, 20.0
"""Of the exponent."""


@dataclass(frozen=True)
class LongTail:
    """``concepts`` and their ``count_K``, most frequent first, equals by name.

    Attributes:
        tail_share: Share of the concepts that stand in fewer than ``below`` documents.
        exponent: s of Zipf's law, count of rank r in proportion to r^-s, by maximum likelihood over the concepts that
            occur; ranks are those of the counts themselves, which overstates s a little where counts are few. NaN
            with fewer than two.
    """

    concepts: tuple[str, ...]
    count_K: npt.NDArray[np.int64]
    below: int
    tail_share: float
    exponent: float

    def table(self) -> pa.Table:
        """Columns ``concept`` and ``count``; the latter is what ``training.laws.concept_frequency`` reads."""
        return pa.table({"concept": pa.array(self.concepts, pa.string()), "count": self.count_K})


def long_tail(counts: Mapping[str, int] | pa.Table, below: int = 10) -> LongTail:
    """Of documents per concept: a mapping (see ``count_documents``), or a table with ``concept`` and ``count``."""
    if isinstance(counts, pa.Table):
        if missing := {"concept", "count"} - set(counts.column_names):
            raise InputError(
                f"long_tail: counts must have the columns concept and count, and lacks {min(missing)}."
            )
        pairs = zip(counts.column("concept").to_pylist(), counts.column("count").to_pylist())
        counts = {str(name): int(number) for name, number in pairs}
    if not counts:
        raise InputError("long_tail: counts must hold at least one concept, and holds none.")
    if least := [name for name, number in counts.items() if number < 0]:
        raise bad_value("counts", "long_tail", counts[least[0]], "0 or more")
    if below < 1:
        raise bad_value("below", "long_tail", below, "a number of documents from 1")
    names = sorted(counts, key=lambda name: (-counts[name], name))
    count_K = np.array([counts[name] for name in names], dtype=np.int64)
    return LongTail(
        tuple(names), count_K, below, float((count_K < below).mean()), zipf_exponent(count_K[count_K > 0])
    )


def zipf_exponent(count_K: npt.NDArray[np.int64]) -> float:
    """s that makes counts by rank, descending, most likely under p_r = r^-s / sum_k k^-s.

    The log likelihood -s sum f_r ln r - N ln sum_k k^-s is concave: at its maximum the mean of ln r under p is that of
    the counts; found by bisection.
    """
    if len(count_K) < 2:
        return float("nan")
    log_rank_K = np.log(np.arange(1, len(count_K) + 1))
    wanted = float((count_K * log_rank_K).sum() / count_K.sum())
    low, high = LEAST, LARGEST
    for _ in range(60):
        middle = (low + high) / 2
        weight_K = np.exp(-middle * log_rank_K)
        if float((weight_K * log_rank_K).sum() / weight_K.sum()) > wanted:
            low = middle
        else:
            high = middle
    return (low + high) / 2
