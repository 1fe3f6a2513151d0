"""Means over runs and over pairs of runs, with intervals that speak of another draw of runs, on the same examples.

A mean over pairs has fewer independent parts than pairs, since every run is in many of them. The delete-one
jackknife of such U-statistics leaves one *run* out at a time (Arvesen 1969, Ann. Math. Stat. 40:2076); with two groups
of runs each is left out of in turn and the variances add. It errs on the wide side where runs differ little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from scoring.compare.ranks import Floats

NONE = (math.nan, math.nan)


@dataclass(frozen=True)
class Estimate:
    """A number with its standard error and 95 % interval over runs; both are NaN where there are too few runs."""

    value: float
    standard_error: float = math.nan
    interval: tuple[float, float] = NONE

    @property
    def firm(self) -> bool:
        """Whether there is an interval."""
        return not math.isnan(self.interval[0])

    def within(self, low: float, high: float) -> Estimate:
        """The same with its interval cut to what the number can be."""
        if not self.firm:
            return self
        ends = (float(np.clip(self.interval[0], low, high)), float(np.clip(self.interval[1], low, high)))
        return Estimate(self.value, self.standard_error, ends)

    def at(self, value: float) -> Estimate:
        """Another value with the same error."""
        ends = (self.interval[0] + value - self.value, self.interval[1] + value - self.value)
        return Estimate(value, self.standard_error, ends)

    def widened(self, reach: float) -> Estimate:
        """The same with so much more on both sides of the interval."""
        return Estimate(self.value, self.standard_error, (self.interval[0] - reach, self.interval[1] + reach))

    def document(self) -> dict[str, float | list[float] | None]:
        """For JSON: None in place of NaN."""
        value = None if math.isnan(self.value) else self.value
        error = None if math.isnan(self.standard_error) else self.standard_error
        return {
            "value": value,
            "standard_error": error,
            "interval": list(self.interval) if self.firm else None,
        }


def mean_over_runs(values_R: npt.ArrayLike) -> Estimate:
    """Mean of R independent numbers with Student's interval, R - 1 degrees of freedom."""
    values = np.asarray(values_R, dtype=np.float64)
    count = len(values)
    if count < 2:
        return Estimate(float(values.mean()))
    return _estimate(float(values.mean()), [float(values.var(ddof=1)) / count], [count - 1])


def jackknife(value: float, left_out: Sequence[npt.ArrayLike]) -> Estimate:
    """``value`` with the delete-one jackknife's standard error.

    Args:
        value: the statistic on all runs.
        left_out: one array per group of runs: the statistic without each run of the group in turn. Variances
            (n - 1) / n * sum (x_i - mean x)^2 add over groups; degrees of freedom by Welch and Satterthwaite.
            A group of one run, or a NaN, leaves the estimate without an interval.
    """
    variances, freedoms = [], []
    for group in left_out:
        values = np.asarray(group, dtype=np.float64)
        count = len(values)
        if count < 2 or not np.isfinite(values).all():
            return Estimate(value)
        variances.append((count - 1) / count * float(((values - values.mean()) ** 2).sum()))
        freedoms.append(count - 1)
    return _estimate(value, variances, freedoms)


def difference(a: Estimate, b: Estimate, freedom_a: int, freedom_b: int) -> Estimate:
    """a - b of independent runs, with Welch's interval."""
    if math.isnan(a.standard_error) or math.isnan(b.standard_error):
        return Estimate(a.value - b.value)
    return _estimate(a.value - b.value, [a.standard_error**2, b.standard_error**2], [freedom_a, freedom_b])


def mean_of_pairs(matrix_RR: npt.ArrayLike) -> Estimate:
    """Mean of a symmetric matrix over its pairs of different runs; the interval needs three runs.

    Pairs that are NaN (undefined) are left out of the mean; NaN with fewer than two runs.
    """
    matrix = np.array(matrix_RR, dtype=np.float64)
    runs = len(matrix)
    np.fill_diagonal(matrix, 0.0)
    known = ~np.isnan(matrix)
    np.fill_diagonal(known, False)
    matrix[~known] = 0.0
    total, count = float(matrix.sum()), float(known.sum())
    sums_R, counts_R = 2 * matrix.sum(axis=0), 2 * known.sum(axis=0)
    if runs < 3:
        return Estimate(_ratio(total, count))
    return jackknife(_ratio(total, count), [_ratios(total - sums_R, count - counts_R)])


def mean_between(matrix_QR: npt.ArrayLike) -> Estimate:
    """Mean of a matrix of Q runs of one group against R of another; the interval needs two runs of each.

    Entries that are NaN (undefined) are left out of the mean.
    """
    matrix = np.array(matrix_QR, dtype=np.float64)
    known = ~np.isnan(matrix)
    matrix[~known] = 0.0
    total, count = float(matrix.sum()), float(known.sum())
    if min(matrix.shape) < 2:
        return Estimate(_ratio(total, count))
    groups = [_ratios(total - matrix.sum(axis=axis), count - known.sum(axis=axis)) for axis in (1, 0)]
    return jackknife(_ratio(total, count), groups)


def _estimate(value: float, variances: Sequence[float], freedoms: Sequence[int]) -> Estimate:
    variance = math.fsum(variances)
    if variance == 0:
        return Estimate(value, 0.0, (value, value))
    freedom = variance**2 / math.fsum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    error = math.sqrt(variance)
    reach = float(stdtrit(freedom, 0.975)) * error
    return Estimate(value, error, (value - reach, value + reach))


def _ratio(total: float, count: float) -> float:
    return total / count if count else math.nan


def _ratios(totals: Floats, counts: Floats) -> Floats:
    found: Floats = np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)
    return found
