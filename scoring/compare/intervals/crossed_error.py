"""Intervals for estimates over examples and runs at once, both of which are drawn.

The estimates here average over N examples and R runs, crossed. The variance is the sum of the one over examples (from
influences) and the one over runs (delete-one jackknife, from 3 runs on): what two-way clustering gives without its
third term, so errors that belong to an example in a run count twice and the interval is a little wide rather than
narrow (Cameron, Gelbach and Miller 2011, section 2; Owen 2007). With fewer than 3 runs only the examples count.
Degrees of freedom are Satterthwaite's (1946): with few runs that differ much, Student's t is wide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from scoring.compare.ranks import Floats

LEAST_RUNS = 3
"""Of fewer runs the variance over runs is not estimated."""


@dataclass(frozen=True)
class Estimates:
    """Numbers of one shape with 95 % intervals; NaN where there is no number or no interval."""

    values: Floats
    low: Floats
    high: Floats

    def at(self, *place: int) -> Estimates:
        """One of them (or a row)."""
        return Estimates(*(np.asarray(each[place]) for each in (self.values, self.low, self.high)))

    def words(self) -> str:
        """``0.873 (0.861 to 0.884)``, of a single number."""
        value, low, high = float(self.values), float(self.low), float(self.high)
        if np.isnan(value):
            return "undefined"
        return f"{value:.3f}" if np.isnan(low) else f"{value:.3f} ({low:.3f} to {high:.3f})"

    def document(self) -> dict[str, Any]:
        """For JSON: nested lists with None for NaN."""
        return {"value": blank(self.values), "low": blank(self.low), "high": blank(self.high)}


def blank(values: npt.ArrayLike) -> Any:
    """Numbers as nested lists, None for NaN."""
    array = np.asarray(values, dtype=np.float64)
    found = array.astype(object)
    found[np.isnan(array)] = None
    return found.tolist() if array.ndim else found.item()


def jackknife_variance(replicates: Floats) -> Floats:
    """Variance of an estimate from its values without one run each, (R, ...) -> (...); 0 of fewer than 3 runs."""
    runs = len(replicates)
    if runs < LEAST_RUNS:
        return np.zeros(replicates.shape[1:])
    found: Floats = ((replicates - replicates.mean(axis=0)) ** 2).sum(axis=0) * (runs - 1) / runs
    return found


def estimate(
    values: Floats,
    over_examples: Floats,
    examples: int,
    over_runs: Sequence[tuple[Floats, int]] = (),
    *,
    bounded: bool = True,
) -> Estimates:
    """95 % intervals from variances over examples and over runs.

    Args:
        values: The estimates, any shape.
        over_examples: Their variances over ``examples`` examples.
        over_runs: Their variances over runs with the number of runs, once for every architecture that takes part.
        bounded: Correlations: the interval is made on the scale of Fisher's z and stays inside [-1, 1]. Otherwise it
            is symmetric.
    """
    parts = [(over_examples, examples - 1)]
    parts += [(variance, runs - 1) for variance, runs in over_runs if runs >= LEAST_RUNS]
    variance = sum((part for part, _ in parts), np.zeros_like(values))
    with np.errstate(invalid="ignore", divide="ignore"):
        freedom = variance**2 / sum((part**2 / df for part, df in parts), np.zeros_like(values))
        width = np.where(variance > 0, stats.t.ppf(0.975, np.where(variance > 0, freedom, 1)), 0.0) * np.sqrt(
            variance
        )
        width = np.where(np.isnan(values) | np.isnan(variance), np.nan, width)
        if not bounded:
            return Estimates(values, values - width, values + width)
        exact = np.abs(values) >= 1
        centre = np.arctanh(np.where(exact, 0.0, values))
        reach = width / (1 - np.where(exact, 0.0, values) ** 2)
        low, high = np.tanh(centre - reach), np.tanh(centre + reach)
    return Estimates(values, np.where(exact, values, low), np.where(exact, values, high))
