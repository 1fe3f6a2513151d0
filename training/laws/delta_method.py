"""Uncertainty from the curvature at the optimum: quick, and right where the law is nearly linear in its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from training.laws.form import Array
from training.laws.interval import Interval, level_checked

if TYPE_CHECKING:
    from training.laws.fit import Fit

UNSEEN = 1e-200
"""Where nothing at all is seen the information is this, not zero."""


def covariance(fitted: Fit) -> Array:
    """Covariance (P, P) of the fitted parameters, as fitted and in reduced units; zero for those at a bound.

    That of an M-estimator with residuals of one spread: E psi^2 / (E psi')^2 (J'J)^-1 n / (n - p) (Huber and Ronchetti
    2009, section 7.6). Infinite with no more runs than parameters. Directions that the runs do not see come out as
    very large: the information along them counts as 1e-15 of the largest, however little it is.
    """
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
    information = axes / np.maximum(seen, max(1e-15 * seen[-1], UNSEEN)) @ axes.T
    found[np.ix_(inside, inside)] = square / slope**2 * information * runs / (runs - size)
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
    moves = 1e-5 * np.maximum(1.0, np.abs(fitted.theta_P))
    points = np.concatenate(
        [fitted.theta_P[None], fitted.theta_P + np.diag(moves), fitted.theta_P - np.diag(moves)]
    )
    values = np.asarray(quantity(natural_samples(fitted, points)), dtype=np.float64)
    positive = bool((values > 0).all())
    used: Array = np.log(values) if positive else values
    size = len(moves)
    gradient = (used[1 : 1 + size] - used[1 + size :]) / (2 * moves)
    variance = float(gradient @ covariance(fitted) @ gradient)
    spread = np.sqrt(max(0.0, variance))
    freedom = max(1, fitted.runs - size)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * spread
    ends = np.array([float(used[0]) - half, float(used[0]) + half], dtype=np.float64)
    if positive:
        with np.errstate(over="ignore"):
            ends = np.exp(ends)
    return Interval(float(values[0]), float(ends[0]), float(ends[1]), level)


def natural_samples(fitted: Fit, theta_KP: Array) -> dict[str, Array]:
    """All parameters in natural units, (K,) each, for K points as fitted."""
    import torch

    with torch.no_grad():
        natural = fitted.form.natural(torch.from_numpy(np.ascontiguousarray(theta_KP)), fitted.scales.ln)
        found = {name: natural[name].expand(len(theta_KP), 1)[:, 0].numpy() for name in fitted.form.names}
    return {name: np.array(column) for name, column in found.items()}
