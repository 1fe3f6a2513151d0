"""From how many examples on it pays to keep the hard ones: where two ways of the perceptron are equally good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.studies.paired import Difference
from training.theory.perceptron import EASY, HARD, OWNER, RANDOM, Errors
from training.theory.perceptron_limit import perceptron_limit


@dataclass(frozen=True)
class Crossing:
    """Where ``later`` becomes better than ``first``, in examples per dimension before selection.

    Attributes:
        first, later: The ways of choosing that are compared.
        keep, angle: The setting.
        alpha: Where the mean difference changes its sign, linear in ln alpha between settings; None if it does not.
        low, high: Between these the 95 % interval of the paired difference includes zero; None where it still does at
            the smallest or largest alpha.
        alphas: The examples per dimension that were looked at, ascending.
        differences: Error of ``later`` minus error of ``first`` at each.
    """

    first: str
    later: str
    keep: float
    angle: float
    alpha: float | None
    low: float | None
    high: float | None
    alphas: tuple[float, ...]
    differences: tuple[Difference, ...]


def crossing(errors: Sequence[Errors], first: str = EASY, later: str = HARD) -> Crossing:
    """The crossing within simulated errors of one keep and angle (``perceptron_grid``), with its interval.

    The interval is that of each alpha by itself, and as fine as the alphas are close. Where the sign changes more than
    once, the last change counts.

    Raises:
        InputError: Errors of several settings, of only one alpha, or without one of the two ways.
    """
    settings = {(each.keep, each.angle, each.dimension) for each in errors}
    if len(settings) != 1:
        raise InputError(
            f"{OWNER}: a crossing needs errors of one keep, angle and dimension, got {len(settings)}."
        )
    by = {(each.take, each.alpha): each for each in errors}
    alphas = sorted({each.alpha for each in errors})
    if len(alphas) < 2 or any((take, alpha) not in by for take in (first, later) for alpha in alphas):
        raise InputError(f"{OWNER}: a crossing needs {first} and {later} at two or more alphas.")
    differences = [by[later, alpha].minus(by[first, alpha]) for alpha in alphas]
    keep, angle, _ = settings.pop()
    return Crossing(
        first, later, keep, angle,
        _falls_through_zero(alphas, [each.mean for each in differences]),
        _falls_through_zero(alphas, [each.low for each in differences]),
        _falls_through_zero(alphas, [each.high for each in differences]),
        tuple(alphas), tuple(differences),
    )  # fmt: skip


def limit_crossing(
    keep: float, angle: float = 0.0, first: str = EASY, later: str = HARD, between: tuple[float, float] = (0.1, 100.0)
) -> float | None:  # fmt: skip
    """The crossing for infinitely many dimensions, or None if there is none ``between`` these alphas."""
    from scipy.optimize import brentq

    if not 0 < between[0] < between[1]:
        raise bad_value("between", OWNER, between, "two ascending positive numbers")

    def difference(ln_alpha: float) -> float:
        alpha = float(np.exp(ln_alpha))
        return perceptron_limit(alpha, keep, angle, later) - perceptron_limit(alpha, keep, angle, first)

    ends = np.log(between)
    if not difference(ends[0]) > 0 > difference(ends[1]):
        return None
    return float(np.exp(brentq(difference, *ends, xtol=1e-4)))


@dataclass(frozen=True)
class End:
    """Which end the theory keeps: ``take`` of the least error, and the errors of all three for many dimensions."""

    take: str
    errors: dict[str, float]


def end_to_keep(alpha: float, keep: float, angle: float = 0.0) -> End:
    """Which end a perceptron with ``alpha`` examples per parameter should keep; at a tie the more random one.

    It is what a world of clean labels and Gaussian inputs recommends, with scores whose probe is ``angle`` degrees off:
    evidence beside measurements on one's own data, and no replacement for them.
    """
    errors = {take: perceptron_limit(alpha, keep, angle, take) for take in (RANDOM, EASY, HARD)}
    return End(min(errors, key=lambda take: errors[take]), errors)


def _falls_through_zero(alphas: Sequence[float], values: npt.ArrayLike) -> float | None:
    """The last alpha at which the line through the values, in ln alpha, comes from above zero to zero or below."""
    y = np.asarray(values, dtype=np.float64)
    falls = np.flatnonzero((y[:-1] > 0) & (y[1:] <= 0))
    if not len(falls) or not np.isfinite(y).all():
        return None
    at = int(falls[-1])
    share = y[at] / (y[at] - y[at + 1])
    return float(np.exp((1 - share) * np.log(alphas[at]) + share * np.log(alphas[at + 1])))
