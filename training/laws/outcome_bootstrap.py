"""Bootstrap of a law whose outcomes are resampled, not its runs: every resample has outcomes of its own."""

from __future__ import annotations

import numpy as np

from scoring.errors import bad_value
from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.problem import Problem
from training.laws.solve import solve
from training.laws.uncertainty import Bootstrap


def refit_outcomes(fitted: Fit, y_BN: Array, *, starts: int = 4, seed: int = 0) -> Bootstrap:
    """Fit a law again to B vectors of outcomes, in the order of the runs given to :func:`~training.laws.fit.fit`.

    For runs that were all measured on the same examples (points of one coverage curve, models on one test set): their
    outcomes move together when the examples are resampled, so it is the outcomes that a resample changes.

    All resamples are fitted at once as weights on the same 2 N rows, which is what the solver takes: with l and u the
    least and the greatest outcome of a run, and w = (y - l) / (u - l), half of (f - y)^2 is half of
    (1 - w) (f - l)^2 + w (f - u)^2 less (y - l) (u - y) / 2, which no parameter changes. So the objective must be
    quadratic: ``square``, or ``log_square`` with logarithms for y.
    """
    if fitted.minimised.name not in ("square", "log_square"):
        raise bad_value("objective", "refit_outcomes", fitted.minimised.name, "'square' or 'log_square'")
    y = np.asarray(y_BN, dtype=np.float64)
    runs = len(fitted.y_N) + fitted.left_out
    if y.ndim != 2 or y.shape[1] != runs or len(y) == 0 or not np.isfinite(y).all():
        raise bad_value("y_BN", "refit_outcomes", y.shape, f"finite, one row of {runs} outcomes per resample")
    of_logs = fitted.minimised.of_logs
    if of_logs and not (y > 0).all():
        raise bad_value("y_BN", "refit_outcomes", float(y.min()), "above 0 for log_square")
    y = y[:, fitted.rows_N]
    low, high = y.min(0), y.max(0)
    at, least, most = (np.log(each) if of_logs else each for each in (y, low, high))
    share = (at - least) / np.where(most > least, most - least, 1.0)
    weights = np.concatenate([(1 - share) * fitted.weights_N, share * fitted.weights_N], axis=1)
    inputs = {name: np.tile(column, 2) for name, column in fitted.inputs.items()}
    problem = Problem(fitted.form, inputs, np.concatenate([low, high]), fitted.minimised, fitted.scales)
    points = fitted.solutions_SP[: max(1, starts)]
    solved = solve(problem, points, weights, warm=len(points))
    unmoved = 0.5 * ((at - least) * (most - at) * fitted.weights_N).sum(1)
    return Bootstrap(fitted, solved.best_BP, solved.values_B * problem.objective_unit - unmoved, seed)
