"""Uncertainty from the curvature at the optimum: quick, and right where the law is nearly linear in its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from training.laws.form import Array
from training.laws.uncertainty.interval import Interval, level_checked

if TYPE_CHECKING:
    from training.laws.fit import Fit

UNKNOWN = 100.0
"""A positive quantity is not known at all if its logarithm has a larger standard error: some direction that the runs do
not see (one model size for a law of N and D) decides it."""

UNMOVED = 1e-10
"""Derivatives in reduced units below this are rounding."""

UNSEEN = 1e-200
"""Where nothing at all is seen the information is this, not zero."""


def covariance(fitted: Fit) -> Array:
    """Covariance (P, P) of the fitted parameters, as fitted and in reduced units; zero for those at a bound.

    That of an M-estimator with residuals of one spread: E psi^2 / (E psi')^2 (J'J)^-1 n / (n - p) (Huber and Ronchetti
    2009, section 7.6). Infinite with no more runs than parameters. Directions that the runs do not see come out as
    very large: information below 1e-15 of the largest is rounding and counts as 1e-18 of it, so that runs of little
    noise say nothing along them either.
    """
    factor = covariance_factor(fitted)
    if not np.isfinite(factor).all():
        return factor
    return np.asarray(factor @ factor.T)


def covariance_factor(fitted: Fit) -> Array:
    """F (P, P) with ``covariance`` = F F'; |g F| is exact where g' F F' g would cancel. Infinite where that is."""
    inside = np.array([p.name not in fitted.at_bounds for p in fitted.form.free])
    runs, size = fitted.runs, int(inside.sum())
    found = np.zeros((len(inside), len(inside)))
    if size == 0:
        return found
    if runs <= size:
        found[np.ix_(inside, inside)] = np.inf
        return found
    reduced = fitted.problem.residuals(fitted.theta_P[None])[0]
    square, slope = fitted.minimised.moments(reduced, fitted.weights_N)
    jacobian = (
        fitted.problem.jacobian(fitted.theta_P)[:, inside] * np.sqrt(fitted.relative_weights_N)[:, None]
    )
    seen, axes = np.linalg.eigh(jacobian.T @ jacobian)
    seen = np.where(seen > 1e-15 * seen[-1], seen, 1e-18 * seen[-1])
    spread = np.sqrt(square * runs / (runs - size)) / slope
    found[np.ix_(inside, inside)] = spread * axes / np.sqrt(np.maximum(seen, UNSEEN))
    return found


def standard_errors(fitted: Fit) -> dict[str, float]:
    """Standard error of every free parameter as fitted (of ln A for A on the log scale), in reduced units."""
    spread = np.sqrt(np.diag(covariance(fitted)))
    return {p.name: float(s) for p, s in zip(fitted.form.free, spread)}


def delta_interval(
    fitted: Fit, quantity: Callable[[Mapping[str, Array]], Array], level: float = 0.95
) -> Interval:
    """Interval of a quantity derived from the natural parameters, by its gradient and ``covariance``.

    A positive quantity is treated on the log scale, so its interval is positive as well.
    """
    from scipy.special import stdtrit

    level_checked(level)
    value, spread, positive = _error_of(fitted, quantity)
    if not np.isfinite(spread):
        return Interval(value, 0.0 if positive else -np.inf, np.inf, level)
    freedom = max(1, fitted.runs - len(fitted.form.free))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * spread
    middle = np.log(value) if positive else value
    ends = np.array([middle - half, middle + half], dtype=np.float64)
    if positive:
        with np.errstate(over="ignore"):
            ends = np.exp(ends)
    return Interval(value, float(ends[0]), float(ends[1]), level)


def is_known(fitted: Fit, quantity: Callable[[Mapping[str, Array]], Array]) -> bool:
    """Whether the runs say anything of a quantity; resamples of them cannot tell, as their refits start from the fit.

    Of one that is not positive it is only asked whether there are more runs than parameters.
    """
    _, spread, positive = _error_of(fitted, quantity)
    return bool(spread <= UNKNOWN) if positive else has_spare_runs(fitted)


def has_spare_runs(fitted: Fit) -> bool:
    """Whether there are more runs than parameters inside their bounds, so that residuals say something of noise."""
    return fitted.runs > len(fitted.form.free) - len(fitted.at_bounds)


def standard_error(fitted: Fit, function: Callable[[Array], Array]) -> Array:
    """Standard error (...) of ``function``, points as fitted (K, P) -> (K, ...); infinite without spare runs.

    Parameters at a bound are held there, but where no run sees one (the annealing of a law of constant rates) what
    depends on it has an infinite error as well.
    """
    jacobian = fitted.problem.jacobian(fitted.theta_P)
    inside = np.array([p.name not in fitted.at_bounds for p in fitted.form.free])
    moved = inside | ~(np.abs(jacobian) > UNMOVED).any(0)
    moves = 1e-5 * np.maximum(1.0, np.abs(fitted.theta_P))[moved]
    shifts = np.eye(len(moved))[moved] * moves[:, None]
    values = np.asarray(function(np.concatenate([fitted.theta_P + shifts, fitted.theta_P - shifts])))
    size = len(moves)
    if not has_spare_runs(fitted):
        return np.full(values.shape[1:], np.inf)
    gradient = (values[:size] - values[size:]).T / (2 * moves)
    factor_PP = covariance_factor(fitted)[np.ix_(moved, moved)]
    found = np.sqrt(((gradient @ factor_PP) ** 2).sum(-1)).T
    unseen = (np.abs(gradient[..., ~inside[moved]]) > UNMOVED).any(-1).T
    return np.asarray(np.where(unseen, np.inf, found))


def _error_of(fitted: Fit, quantity: Callable[[Mapping[str, Array]], Array]) -> tuple[float, float, bool]:
    """The value of a quantity, its standard error (that of its logarithm if it is positive), and whether it is."""
    value = float(np.ravel(quantity(natural_samples(fitted, fitted.theta_P[None])))[0])
    positive = value > 0

    def of(points_KP: Array) -> Array:
        values = np.asarray(quantity(natural_samples(fitted, points_KP)), dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log(values) if positive else values)

    return value, float(standard_error(fitted, of)), positive


def natural_samples(fitted: Fit, theta_KP: Array) -> dict[str, Array]:
    """All parameters in natural units, (K,) each, for K points as fitted."""
    import torch

    with torch.no_grad():
        natural = fitted.form.natural(torch.from_numpy(np.ascontiguousarray(theta_KP)), fitted.scales.ln)
        found = {name: natural[name].expand(len(theta_KP), 1)[:, 0].numpy() for name in fitted.form.names}
    return {name: np.array(column) for name, column in found.items()}
