"""Errors of the student-teacher perceptron for infinitely many dimensions: no draws, no seeds.

For N to infinity at fixed alpha the student's overlaps with teacher and probe no longer fluctuate. With the fields
v1 = T.x y and v2 = T'.x y of a kept example (T' is the direction of the probe across the teacher, y the label), a
student of overlaps r1, r2 and the rest s = sqrt(1 - r1^2 - r2^2) reaches the margin kappa if and only if, by Gordon's
inequality as Montanari et al. 2019 (arXiv 1911.01544) use it for maximal margins,

    alpha_kept E (kappa - r1 v1 - r2 v2 - s g)_+^2 <= s^2,     g a standard Gaussian,

and the student of maximal margin maximises kappa. The replica calculation of Sorscher et al. 2022 (arXiv 2206.14486) is
of the same problem. For random examples the error falls as 0.5005 / alpha (Opper et al. 1990).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import ndtr, ndtri

from scoring.errors import unknown_name
from training.theory.perceptron import EASY, HARD, OWNER, RANDOM, TAKES, check_setting

FloatArray = npt.NDArray[np.float64]

FAR = 9.0
"""Standard deviations beyond which a Gaussian has no mass."""
FINEST = 1e-3
"""The first panel of the quadrature; the next ones are twice as wide each."""
NODES = 6


@lru_cache(maxsize=4096)
def perceptron_limit(alpha: float, keep: float, angle: float = 0.0, take: str = RANDOM) -> float:
    """The error (angle to teacher over pi) of a student that keeps a share of alpha N examples, for N to infinity.

    Raises:
        InputError: A value outside its range; see ``perceptron_errors``.
    """
    check_setting(alpha, keep, angle)
    if take not in TAKES:
        raise unknown_name("take", OWNER, take, TAKES)
    take = RANDOM if keep == 1 else take
    fields = _fields(keep, 0.0 if take == RANDOM else angle, take)
    ahead = _best(alpha * keep, fields)
    return float(np.arctan2(np.hypot(ahead.rest, ahead.aside), ahead.teacher) / np.pi)


@dataclass(frozen=True)
class _Overlaps:
    teacher: float
    aside: float
    rest: float


@dataclass(frozen=True)
class _Fields:
    """Quadrature over kept examples: fields v1 > 0 along the teacher, v2 across it (None: nothing to gain there)."""

    v1: FloatArray
    v2: FloatArray | None
    weights: FloatArray


def _best(alpha: float, fields: _Fields) -> _Overlaps:
    """The overlaps of the student of maximal margin, by BFGS over the logarithm of tan(rest) and the turn aside."""

    def loss(place: FloatArray) -> tuple[float, FloatArray]:
        here = _at(place)
        kappa, by_teacher, by_aside, by_rest = _margin(alpha, fields, here)
        # d rest / d place[0] along the circle is rest * cos(rest's angle).
        level = np.hypot(here.teacher, here.aside)
        turning = here.rest * level
        outward = (by_teacher * here.teacher + by_aside * here.aside) / level
        sideways = by_aside * here.teacher - by_teacher * here.aside
        gradient = [turning * (by_rest * level - outward * here.rest), sideways]
        return -kappa, -np.array(gradient[: len(place)])

    start = [np.log(np.pi / 2 / (0.5 + alpha))] + ([0.0] if fields.v2 is not None else [])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-10})
    return _at(found.x)


def _at(place: FloatArray) -> _Overlaps:
    rest, turn = np.arctan(np.exp(place[0])), place[1] if len(place) > 1 else 0.0
    return _Overlaps(
        float(np.cos(rest) * np.cos(turn)), float(np.cos(rest) * np.sin(turn)), float(np.sin(rest))
    )


def _margin(alpha: float, fields: _Fields, given: _Overlaps) -> tuple[float, float, float, float]:
    """The largest margin of overlaps and its derivatives by them.

    It is the root of a convex increasing function, found by Newton from its right.
    """
    mean_K = given.teacher * fields.v1
    if fields.v2 is not None:
        mean_K = mean_K + given.aside * fields.v2
    s = given.rest
    kappa = float(fields.weights @ mean_K) + s / np.sqrt(alpha)  # by Jensen not left of the root
    while True:
        c_K = kappa - mean_K
        below_K = ndtr(c_K / s)
        first_K = c_K * below_K + s * np.exp(-0.5 * (c_K / s) ** 2) / np.sqrt(2 * np.pi)  # E (c - s g)+
        squares = float(fields.weights @ (c_K * first_K + s**2 * below_K))  # E (c - s g)+^2
        slope = 2 * alpha * float(fields.weights @ first_K)
        step = (alpha * squares - s**2) / slope
        if not step > 1e-13 * max(1.0, abs(kappa)):
            break
        kappa -= step
    mass = fields.weights * first_K
    by_teacher = 2 * alpha * float(mass @ fields.v1) / slope
    by_aside = 0.0 if fields.v2 is None else 2 * alpha * float(mass @ fields.v2) / slope
    by_rest = 2 * s * (1 - alpha * float(fields.weights @ below_K)) / slope
    return kappa, by_teacher, by_aside, by_rest


@lru_cache(maxsize=64)
def _fields(keep: float, angle: float, take: str) -> _Fields:
    """Nodes and weights (they sum to 1) over kept examples; by symmetry the probe's field is positive."""
    cut = float(ndtri((1 + (keep if take == HARD else 1 - keep)) / 2))
    low, high = {HARD: (0.0, cut), EASY: (cut, cut + FAR), RANDOM: (0.0, FAR)}[take]
    p_K, weights_K = _graded(low, high)
    weights_K = weights_K * np.exp(-0.5 * p_K**2)
    turn = np.deg2rad(angle)
    if angle == 0:
        return _Fields(p_K, None, weights_K / weights_K.sum())
    v1, v2, weights = [], [], []
    for p, weight in zip(p_K, weights_K):
        # x = p probe + q across; the label changes sign where the teacher's field does, at q = p cot(angle).
        border = float(np.clip(p / np.tan(turn), -FAR, FAR))
        for side in (-1.0, 1.0):
            away_K, part_K = _graded(0.0, FAR - side * border)
            q_K = border + side * away_K
            along_K = np.cos(turn) * p - np.sin(turn) * q_K
            across_K = np.sin(turn) * p + np.cos(turn) * q_K
            v1.append(np.abs(along_K))
            v2.append(across_K * np.sign(along_K))
            weights.append(weight * part_K * np.exp(-0.5 * q_K**2))
    total = np.concatenate(weights)
    used = total > total.max() * 1e-16
    return _Fields(np.concatenate(v1)[used], np.concatenate(v2)[used], total[used] / float(total[used].sum()))


def _graded(low: float, high: float) -> tuple[FloatArray, FloatArray]:
    """Gauss-Legendre nodes and weights on panels that double in width from ``low`` on, where students are decided."""
    width = high - low
    if width <= 0:
        return np.empty(0), np.empty(0)
    ends = [0.0, min(FINEST, width)]
    while ends[-1] < width:
        ends.append(min(width, ends[-1] + max(FINEST, ends[-1])))
    x, w = np.polynomial.legendre.leggauss(NODES)
    starts, stops = np.array(ends[:-1]), np.array(ends[1:])
    nodes = low + ((starts + stops)[:, None] + (stops - starts)[:, None] * x) / 2
    return nodes.ravel(), ((stops - starts)[:, None] / 2 * w).ravel()
