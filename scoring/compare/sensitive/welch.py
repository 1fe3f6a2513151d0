"""Welch's t-test of every example at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from scoring.compare.ranks import Floats

SAME = 1e-12
"""Differences and variances below this are rounding: normal scores are of order 1."""


@dataclass(frozen=True)
class Moments:
    """Of R runs of N examples: mean, and variance with R - 1 plus what ties hide, each (N,)."""

    runs: int
    mean_N: Floats
    variance_N: Floats

    @classmethod
    def of(cls, z_RN: Floats, hidden_N: Floats | float = 0.0) -> Moments:
        """Variance with R - 1 of at least two runs; below ``SAME`` squared it is 0."""
        variance = z_RN.var(axis=0, ddof=1)
        variance[variance < SAME**2] = 0
        return cls(len(z_RN), z_RN.mean(axis=0), variance + hidden_N)


def welch_t(first: Moments, second: Moments, difference_N: Floats) -> Floats:
    """|t| of a difference of means, (N,); infinite or NaN where neither side varies."""
    with np.errstate(divide="ignore", invalid="ignore"):
        t: Floats = np.abs(difference_N) / np.sqrt(
            first.variance_N / first.runs + second.variance_N / second.runs
        )
    return t


def welch(
    first: Moments, second: Moments, difference_N: Floats | None = None, *, least: float = 0.0
) -> Floats:
    """Two-sided p-values of Welch's t (1947) with the degrees of freedom of Satterthwaite (1946), (N,).

    Where neither side varies p is 1 if the means are equal and 0 if they differ (t is infinite).

    Args:
        first, second: of at least two runs each.
        difference_N: difference of means to be tested, if it is another than that of the moments.
        least: give p = 1 where |t| is less, which saves nearly all of the time.
    """
    difference = first.mean_N - second.mean_N if difference_N is None else difference_N
    t_N = welch_t(first, second, difference)
    rows = np.flatnonzero(~(t_N < least))
    a, b = first.variance_N[rows] / first.runs, second.variance_N[rows] / second.runs
    p_N = np.ones(len(t_N))
    with np.errstate(divide="ignore", invalid="ignore"):
        freedom = (a + b) ** 2 / (a**2 / (first.runs - 1) + b**2 / (second.runs - 1))
        p_N[rows] = 2 * special.stdtr(freedom, -t_N[rows])
    still = rows[a + b == 0]
    p_N[still] = np.abs(difference[still]) < SAME
    return p_N


def hedges_g(first: Moments, second: Moments, difference_N: Floats | None = None) -> Floats:
    """Hedges' g (1981): difference of means in pooled standard deviations, corrected for few runs, (N,).

    The factor is the exact one, Gamma(m/2) / (sqrt(m/2) Gamma((m-1)/2)) with m = R1 + R2 - 2. Where nothing
    varies g is 0 for equal means and infinite for others.
    """
    difference = first.mean_N - second.mean_N if difference_N is None else difference_N
    m = first.runs + second.runs - 2
    pooled = ((first.runs - 1) * first.variance_N + (second.runs - 1) * second.variance_N) / m
    factor = np.exp(special.gammaln(m / 2) - special.gammaln((m - 1) / 2)) / np.sqrt(m / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        g: Floats = factor * difference / np.sqrt(pooled)
    g[(pooled == 0) & (np.abs(difference) < SAME)] = 0
    return g
