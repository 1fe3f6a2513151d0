"""What all comparisons share: average ranks, which end is the hard one, and who is among the k highest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.meaning import HARD_WHEN_HIGH, Meaning

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
NanPolicy = Literal["error", "drop"]


def average_ranks(values: npt.ArrayLike) -> Floats:
    """Ranks 1..N, (N,); equal values share the mean of their ranks. Infinities rank as numbers; NaN is refused."""
    array = np.asarray(values, dtype=np.float64)
    assert not np.isnan(array).any(), "NaN has no rank"
    order = np.argsort(array)
    ordered = array[order]
    differs = ordered[1:] != ordered[:-1]
    ranks = np.empty(len(array))
    if differs.all():
        ranks[order] = np.arange(1.0, len(array) + 1)
        return ranks
    starts = np.flatnonzero(np.append(True, differs))
    counts = np.diff(starts, append=len(array))
    ranks[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return ranks


def spearman(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's rank correlation with ties at average rank, in [-1, 1]; NaN where one side is constant."""
    x, y = average_ranks(a), average_ranks(b)
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x @ x) * (y @ y)))
    if scale == 0:
        return float("nan")
    return float(np.clip((x @ y) / scale, -1, 1))


def hard_high(values: npt.ArrayLike, meaning: Meaning, name: str) -> Floats:
    """The values turned so that high is hard (noisy, uncertain), by the declared meaning.

    Where the meaning has no hard end (quality, redundant; random numbers, the reference that every comparison needs)
    the values stand as they are. Errors: a class index has no order.
    """
    array = np.asarray(values, dtype=np.float64)
    if meaning == "label":
        raise InputError(f"compare: {name!r} means {meaning!r}, which has no order; leave this column out.")
    return array if HARD_WHEN_HIGH.get(meaning, True) else -array


def has_hard_end(meaning: Meaning) -> bool:
    """Whether a comparison by hardness can read this meaning (``arbitrary`` counts as the reference)."""
    return meaning == "arbitrary" or meaning in HARD_WHEN_HIGH


def usable_rows(columns: Mapping[str, Floats], nan: NanPolicy, owner: str) -> Bools:
    """Rows that every column has a number for, (N,) bool.

    Errors: columns of different length; NaN under ``nan="error"``; fewer than 3 rows left.
    """
    if nan not in ("error", "drop"):
        raise bad_value("nan", owner, nan, "'error' or 'drop'")
    if not columns:
        raise bad_value("columns", owner, [], "at least one column")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise bad_value("columns", owner, lengths, "columns of one length")
    missing = {name: int(np.isnan(values).sum()) for name, values in columns.items()}
    if nan == "error" and any(missing.values()):
        name, count = max(missing.items(), key=lambda item: item[1])
        raise bad_value(name, owner, f"{count:,} NaN", "free of NaN, or use nan='drop'")
    keep = np.ones(next(iter(lengths.values())), dtype=np.bool_)
    for values in columns.values():
        keep &= ~np.isnan(values)
    if int(keep.sum()) < 3:
        raise bad_value("rows with a number in every column", owner, int(keep.sum()), "at least 3")
    return keep


def chance_in_top(values: npt.ArrayLike, k: int) -> Floats:
    """Probability of every row to be among the k highest when ties are broken at random, (N,); sums to k.

    1 above the k-th value, 0 below, and the same share for all rows that tie with it: no arbitrary order enters.
    """
    array = np.asarray(values, dtype=np.float64)
    assert 1 <= k <= len(array), f"k={k} of {len(array)} rows"
    threshold = np.partition(array, len(array) - k)[len(array) - k]
    above = array > threshold
    tied = array == threshold
    chance: Floats = above.astype(np.float64)
    chance[tied] = (k - int(above.sum())) / int(tied.sum())
    return chance
