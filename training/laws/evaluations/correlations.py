"""Correlations of two columns under integer or real weights, for all resamples of a bootstrap at once.

A resample is a row of weights, so that Spearman's ranks within it follow from one comparison of all pairs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.form import Array
from training.laws.uncertainty.interval import Interval, percentile_interval


def canonical_order(*columns: Array) -> npt.NDArray[np.int64]:
    """The rows sorted by the first column, ties by the next: what is drawn for a row then follows its values."""
    order: npt.NDArray[np.int64] = np.lexsort(columns[::-1])
    return order


def resample_weights(rows: int, resamples: int, seed: int) -> Array:
    """How often each of N rows is drawn in B resamples with replacement, (B, N)."""
    if resamples < 1:
        raise bad_value("resamples", "bootstrap", resamples, "at least 1")
    rng = np.random.default_rng(seed)
    return rng.multinomial(rows, np.full(rows, 1 / rows), size=resamples).astype(np.float64)


def paired_columns(owner: str, least: int, **columns: npt.ArrayLike) -> list[Array]:
    """The columns as float64, refused unless they are finite, of one length and of ``least`` rows or more."""
    found = {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}
    shapes = {name: column.shape for name, column in found.items()}
    rows = next(iter(found.values())).size
    if any(shape != (rows,) for shape in shapes.values()):
        raise bad_value("columns", owner, shapes, "one number per row, all of one length")
    if rows < least:
        raise bad_value("rows", owner, rows, f"at least {least}")
    for name, column in found.items():
        if not np.isfinite(column).all():
            bad = int((~np.isfinite(column)).sum())
            raise InputError(f"{owner}: {name} is not finite in {bad} rows; drop them first.")
    return list(found.values())


def finite_interval(value: float, samples_B: Array, level: float) -> Interval:
    """The percentile interval of the resamples that have a value; without any, or without a value, its ends are NaN.

    A resample has none where it drew one row only, or equal ones: it says nothing, rather than anything.
    """
    samples = samples_B[np.isfinite(samples_B)]
    if not np.isfinite(value) or len(samples) == 0:
        return Interval(value, float("nan"), float("nan"), level)
    return percentile_interval(value, samples, level)


def weighted_pearson(x: Array, y: Array, weights_BN: Array) -> Array:
    """Pearson's r of every resample, (B,); ``x`` and ``y`` are (N,), or (B, N); NaN where one side is constant."""
    share = weights_BN / weights_BN.sum(axis=1, keepdims=True)
    dx, dy = (c - (share * c).sum(axis=1, keepdims=True) for c in (x, y))
    squares = (share * dx * dx).sum(axis=1), (share * dy * dy).sum(axis=1)
    # a constant column leaves rounding of its mean only
    flat = [
        s <= 1e-24 * np.abs(np.broadcast_to(c, weights_BN.shape)).max(axis=1) ** 2
        for s, c in zip(squares, (x, y))
    ]
    with np.errstate(invalid="ignore", divide="ignore"):
        r = (share * dx * dy).sum(axis=1) / np.sqrt(squares[0] * squares[1])
    return np.where(flat[0] | flat[1], np.nan, np.clip(r, -1, 1))


def weighted_ranks(x: Array, weights_BN: Array) -> Array:
    """Average rank of every row within every resample, (B, N): the weight below it and half of that equal to it."""
    below = (x[:, None] < x[None, :]).astype(np.float64)
    equal = (x[:, None] == x[None, :]).astype(np.float64)
    found: Array = weights_BN @ (below + 0.5 * equal) + 0.5
    return found


def weighted_spearman(x: Array, y: Array, weights_BN: Array) -> Array:
    """Spearman's correlation of every resample, ties at average rank, (B,); memory grows with N^2."""
    return weighted_pearson(weighted_ranks(x, weights_BN), weighted_ranks(y, weights_BN), weights_BN)
