"""From starts to solutions: every start of every resample minimised together, the best of each resample polished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.laws.fitting.minimise import Minima, Rows, minimise, polish
from training.laws.fitting.problem import Problem
from training.laws.form import Array

ROUGH = 1e-8
"""What the first descent is content with; Newton steps take the best of each resample down to rounding."""

BOUND_ROUNDING = 1e-9


@dataclass(frozen=True)
class Solutions:
    """The best point of each of B resamples, (B, P), with its smoothed objective; and where every start ended."""

    best_BP: Array
    values_B: Array
    ends_BSP: Array
    starts_BS: Array


def solve(
    problem: Problem,
    starts_SP: Array,
    weights_Bn: Array,
    held: Mapping[str, Array] | None = None,
    resamples: int | None = None,
    warm: int = 0,
) -> Solutions:
    """Fit all resamples from the same starts, (S, P).

    ``weights_Bn`` may have one row for all of ``resamples`` problems, which then differ in what is ``held`` (B values
    of parameters that the form has frozen). Where no start of a resample is finite its value is infinite. The first
    ``warm`` starts are solutions of a problem like these: the curvature there saves every resample learning it anew,
    which is two thirds of the work. (At other starts it misleads, and costs more than it saves.)
    """
    count, size = resamples or len(weights_Bn), starts_SP.shape[1]
    own = np.repeat(np.arange(count), len(starts_SP))
    low, high = problem.form.limits()
    points = np.tile(starts_SP, (count, 1))

    def objective(delta: float, resample_of: Rows):  # type: ignore[no-untyped-def]
        return lambda theta, rows: problem.evaluate(theta, weights_Bn, resample_of[rows], delta, held)

    guesses = np.zeros((len(starts_SP), size, size))
    for k in range(warm):
        guesses[k] = problem.inverse_curvature(starts_SP[k], weights_Bn.mean(0))
    guesses = np.tile(guesses, (count, 1, 1))
    for delta in problem.objective.stages:
        found = minimise(
            objective(delta, own), points, low, high, ROUGH, inverse_hessians_RPP=guesses if warm else None
        )
        points = found.points_RP
    by_start = found.values_R.reshape(count, -1)
    best = by_start.argmin(1)
    at = np.arange(count) * len(starts_SP) + best
    chosen = Minima(found.points_RP[at], found.values_R[at], found.gradients_RP[at], found.finished_R[at])
    chosen = polish(objective(problem.objective.stages[-1], np.arange(count)), chosen, low, high)
    ends = found.points_RP.reshape(count, len(starts_SP), size)
    return Solutions(_at_bounds(chosen.points_RP, low, high), chosen.values_R, ends, by_start)


def _at_bounds(points_BP: Array, low_P: Array, high_P: Array) -> Array:
    """Points whose parameters within rounding of a bound lie on it."""
    for bound in (low_P, high_P):
        near = np.abs(points_BP - bound) <= BOUND_ROUNDING * np.maximum(1.0, np.abs(bound))
        points_BP = np.where(near, bound, points_BP)
    return points_BP
