"""From starts to solutions: every start of every resample minimised together, the best of each resample polished."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.laws.form import Array
from training.laws.minimise import Minima, Rows, minimise, polish
from training.laws.problem import Problem

ROUGH = 1e-8
"""What the first descent is content with; Newton steps take the best of each resample down to rounding."""

BOUND_ROUNDING = 1e-9


@dataclass(frozen=True)
class Solutions:
    """The best point of each of B resamples, (B, P), its smoothed objective, and what every start reached, (B, S)."""

    best_BP: Array
    values_B: Array
    starts_BS: Array


def solve(
    problem: Problem,
    starts_SP: Array,
    weights_Bn: Array,
    held: Mapping[str, Array] | None = None,
    resamples: int | None = None,
    near: Array | None = None,
) -> Solutions:
    """Fit all resamples from all starts, (S, P) shared or (B, S, P) each its own.

    ``weights_Bn`` may have one row for all of ``resamples`` problems, which then differ in what is ``held`` (B values
    of parameters that the form has frozen). Where no start of a resample is finite its value is infinite. ``near`` is a
    point (P,) at which most problems have their solution, such as that of the fit they resample: the curvature there
    saves each of them learning it anew, which is two thirds of the work.
    """
    count = resamples or len(weights_Bn)
    starts = np.broadcast_to(starts_SP, (count, *starts_SP.shape[-2:]))
    own = np.repeat(np.arange(count), starts.shape[1])
    low, high = problem.form.limits()
    points = starts.reshape(-1, starts.shape[2])

    def objective(delta: float, resample_of: Rows):  # type: ignore[no-untyped-def]
        return lambda theta, rows: problem.evaluate(theta, weights_Bn, resample_of[rows], delta, held)

    guess = None if near is None else problem.inverse_curvature(near, weights_Bn.mean(0))
    for delta in problem.objective.stages:
        found = minimise(objective(delta, own), points, low, high, ROUGH, inverse_hessian_PP=guess)
        points = found.points_RP
    by_start = found.values_R.reshape(count, -1)
    best = by_start.argmin(1)
    at = np.arange(count) * starts.shape[1] + best
    chosen = Minima(found.points_RP[at], found.values_R[at], found.gradients_RP[at], found.finished_R[at])
    chosen = polish(objective(problem.objective.stages[-1], np.arange(count)), chosen, low, high)
    return Solutions(_at_bounds(chosen.points_RP, low, high), chosen.values_R, by_start)


def _at_bounds(points_BP: Array, low_P: Array, high_P: Array) -> Array:
    """Points whose parameters within rounding of a bound lie on it."""
    for bound in (low_P, high_P):
        near = np.abs(points_BP - bound) <= BOUND_ROUNDING * np.maximum(1.0, np.abs(bound))
        points_BP = np.where(near, bound, points_BP)
    return points_BP
