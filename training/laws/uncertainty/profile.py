"""Profile of one parameter: the best objective with it held at each of many values, and the interval that follows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.cautions import Caution
from training.laws.fit import AGREE, Fit
from training.laws.fitting.problem import Problem
from training.laws.fitting.solve import solve
from training.laws.form import Array, Parameter
from training.laws.uncertainty.delta_method import delta_interval
from training.laws.uncertainty.interval import Interval, level_checked

POINTS = 61
WIDENINGS = 4
ROUNDING = 1e-20
"""Objectives per run in reduced units below this are rounding."""
WIDEST = np.log(1e3)
"""The first look goes at most a factor of 1,000 to each side."""


@dataclass(frozen=True)
class Profile:
    """Best objectives (K,) with ``parameter`` held at values (K,), natural units.

    ``deviance_K`` is what the objective lost, scaled so that up to ``threshold`` it is within chance. ``interval`` is
    where it stays below; an end that was not found is 0, or minus or plus infinity, and makes the profile ``flat``.
    ``better`` says that some held value has a lower objective than the fit, which then is not the best.
    """

    parameter: str
    values_K: Array
    objectives_K: Array
    deviance_K: Array
    threshold: float
    interval: Interval
    flat: bool
    better: bool = False

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """That a better minimum than the fit's was found, and that the profile is flat."""
        found = []
        if self.better:
            at = self.values_K[np.argmin(self.objectives_K)]
            text = f"the profile of {self.parameter} found a better fit near {at:.4g}; fit again from more starts."
            found.append(Caution("starts_disagree", text, self.parameter))
        if not self.flat:
            return tuple(found)
        low, high = self.values_K[0], self.values_K[-1]
        return (
            *found,
            Caution(
                "flat",
                f"{self.parameter}: its profile is flat, anything from {max(low, self.interval.low):.4g} to "
                f"{min(high, self.interval.high):.4g} and beyond fits as well.",
                self.parameter,
            ),
        )


def profile(
    fitted: Fit,
    parameter: str,
    values: npt.ArrayLike | None = None,
    *,
    level: float = 0.95,
    starts: int = 4,
    seed: int = 0,
) -> Profile:
    """Refit with one parameter held, at ``values`` or around its estimate as far as the interval reaches.

    The threshold is that of F with 1 and n - p degrees of freedom for the fall of the objective over
    E psi^2 / (2 E psi'), the robust likelihood-ratio statistic (Hampel et al. 1986, section 7.2).
    """
    from scipy.special import fdtri

    level_checked(level)
    stated = fitted.form.parameter(parameter)
    if stated not in fitted.form.free:
        raise InputError(f"profile: {parameter} is frozen or tied in this fit, so it has no profile.")
    reduced = fitted.problem.residuals(fitted.theta_P[None])[0]
    square, slope = fitted.minimised.moments(reduced, fitted.weights_N)
    freedom = max(1, fitted.runs - len(fitted.form.free))
    unit = fitted.weights_N.sum()
    threshold = float(fdtri(1, freedom, level))
    estimate = fitted.parameters[parameter]
    own = fitted.minimised.total(reduced, fitted.weights_N)
    best = _best_with(fitted, parameter, np.array([estimate]), starts, seed)[0]

    def look(at: Array) -> tuple[Array, Array]:
        found = _best_with(fitted, parameter, at, starts, seed)
        return found, 2 * (found - best) * slope / max(square, 1e-300) * freedom / unit

    if values is not None:
        points = np.sort(np.asarray(values, dtype=np.float64))
        objectives, deviance = look(points)
    else:
        half = _first_half_width(fitted, stated, level)
        points = objectives = deviance = np.zeros(0)
        for _ in range(WIDENINGS):
            more = _around(estimate, half, stated)
            if len(points):  # what lies within was looked at more closely
                more = more[(more < points[0]) | (more > points[-1])]
            if len(more) == 0:  # the whole range is seen
                break
            found, lost = look(more)
            order = np.argsort(np.concatenate([points, more]))
            points, objectives, deviance = (
                np.concatenate(both)[order]
                for both in ((points, more), (objectives, found), (deviance, lost))
            )
            if deviance[0] > threshold and deviance[-1] > threshold:
                break
            half *= 3
    logged = stated.scale == "log"
    below, above = points <= estimate, points >= estimate
    low = _crossing(points[below][::-1], deviance[below][::-1], threshold, logged)
    high = _crossing(points[above], deviance[above], threshold, logged)
    # a floor of zero is a possible value, not a missing end
    at_floor = low is None and stated.scale == "linear" and len(points) > 0 and points[0] <= _lowest(stated)
    interval = Interval(
        estimate, _lowest(stated) if low is None else low, float("inf") if high is None else high, level
    )
    return Profile(
        parameter,
        points,
        objectives * fitted.problem.objective_unit,
        deviance,
        threshold,
        interval,
        (low is None and not at_floor) or high is None,
        # below the share by which starts may differ, and below rounding, none is better
        bool(objectives.min() < min(own, best) * (1 - AGREE) - ROUNDING * unit),
    )


def _best_with(fitted: Fit, parameter: str, values_K: Array, starts: int, seed: int) -> Array:
    """The best objective at every held value, from the fit's minima and points of the grid; reduced units."""
    frozen = fitted.form.frozen(**{parameter: fitted.parameters[parameter]})
    others = [i for i, p in enumerate(fitted.form.free) if p.name != parameter]
    if not others:
        raise InputError(
            f"profile: {parameter} is the only free parameter; its interval is that of delta_interval."
        )
    known = fitted.solutions_SP[:, others]
    points = np.concatenate([known, frozen.start_points(starts, seed)])
    problem = Problem(frozen, fitted.inputs, fitted.y_N, fitted.minimised, fitted.scales)
    held = {parameter: np.ascontiguousarray(values_K)}
    return solve(problem, points, fitted.weights_N[None], held, len(values_K), len(known)).values_B


def _lowest(stated: Parameter) -> float:
    """The lower end of a parameter's range in natural units; the bound of one with units is that of its sign."""
    if stated.scale == "log":
        return 0.0
    return stated.low if not stated.units else (0.0 if stated.low >= 0 else float("-inf"))


def _first_half_width(fitted: Fit, stated: Parameter, level: float) -> float:
    """Twice the delta-method interval's half: of ln for parameters on the log scale."""
    guess = delta_interval(fitted, lambda p: p[stated.name], level)
    if stated.scale == "log":
        half = np.log(guess.high / guess.low) if guess.low > 0 and np.isfinite(guess.high) else WIDEST
        return float(min(half, WIDEST))
    half = guess.high - guess.low
    known = np.isfinite(half) and 0 < half < 10 * abs(guess.value)
    return float(half) if known else max(1e-3, abs(guess.value))


def _around(estimate: float, half: float, stated: Parameter) -> Array:
    """Values from below to above the estimate, which is one of them, inside the parameter's range."""
    steps = np.linspace(-half, half, POINTS)
    values = estimate * np.exp(steps) if stated.scale == "log" else estimate + steps
    low = stated.low if not stated.units else _lowest(stated)
    return np.unique(np.clip(values, low, stated.high if not stated.units else float("inf")))


def _crossing(values: Array, deviance: Array, threshold: float, logged: bool) -> float | None:
    """Where the deviance first exceeds the threshold on the way out, between two values; None if it never does."""
    over = np.flatnonzero(deviance > threshold)
    if len(over) == 0:
        return None
    k = int(over[0])
    if k == 0:
        return float(values[0])
    share = (
        (threshold - deviance[k - 1]) / (deviance[k] - deviance[k - 1]) if np.isfinite(deviance[k]) else 0.0
    )
    if logged:
        return float(values[k - 1] * (values[k] / values[k - 1]) ** share)
    return float(values[k - 1] + share * (values[k] - values[k - 1]))
