"""Bootstrap of a law whose outcomes are resampled, not its runs: every resample has outcomes of its own."""

from __future__ import annotations

import numpy as np

from scoring.errors import bad_value
from training.laws.fit import Fit
from training.laws.fitting.problem import Problem
from training.laws.fitting.solve import solve
from training.laws.form import Array
from training.laws.uncertainty.bootstrap import Bootstrap


def refit_outcomes(
    fitted: Fit, y_BN: Array, *, of_residuals: bool = False, starts: int = 4, seed: int = 0
) -> Bootstrap:
    """Fit a law again to B vectors of outcomes, in the order of the fit's own runs, from the minima of the fit.

    For runs that were all measured on the same examples (points of one coverage curve, models on one test set): their
    outcomes move together when the examples are resampled, so it is the outcomes that a resample changes. Or, with
    ``of_residuals``, for outcomes whose noise was drawn from residuals, so that without spare runs nothing is known.
    """
    y = np.asarray(y_BN, dtype=np.float64)
    runs = len(fitted.y_N)
    if y.ndim != 2 or y.shape[1] != runs or len(y) == 0 or not np.isfinite(y).all():
        raise bad_value("y_BN", "refit_outcomes", y.shape, f"finite, one row of {runs} outcomes per resample")
    if fitted.minimised.of_logs and not (y > 0).all():
        name = fitted.minimised.name
        raise bad_value("y_BN", "refit_outcomes", float(y.min()), f"above 0 for the objective {name}")
    problem = Problem(fitted.form, fitted.inputs, y, fitted.minimised, fitted.scales)
    points = fitted.solutions_SP[: max(1, starts)]
    solved = solve(problem, points, fitted.weights_N[None], resamples=len(y), warm=len(points))
    values_B = solved.values_B * problem.objective_unit
    return Bootstrap(fitted, solved.best_BP, values_B, seed, of_outcomes=not of_residuals)
