"""Slow, obvious versions of the theory simulators."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

FloatArray = npt.NDArray[np.float64]


def max_margin_by_slsqp(rows_PN: FloatArray) -> FloatArray:
    """The shortest w with rows @ w >= 1, by a general solver of constrained problems."""
    found = minimize(
        lambda w: 0.5 * w @ w, np.linalg.lstsq(rows_PN, np.ones(len(rows_PN)), rcond=None)[0], jac=lambda w: w,
        constraints={"type": "ineq", "fun": lambda w: rows_PN @ w - 1, "jac": lambda w: rows_PN},
        method="SLSQP", options={"ftol": 1e-14, "maxiter": 1000},
    )  # fmt: skip
    return np.asarray(found.x)


def unseen_mass_by_terms(p: list[float], q: list[float], draws: int) -> float:
    """Sum over tokens of p times the chance that no draw from q is that token."""
    return sum(a * (1 - b) ** draws for a, b in zip(p, q))


def missing_by_markov_chain(p: float, draws: int, generations: int, real: float) -> float:
    """Chance that a token is missing from a generation: the whole distribution of its count, generation by generation.

    The generated part of the next generation is binomial with the token's share of this one, the real part binomial
    with p.
    """
    fresh = round(real * draws)

    def binomial(n: int, share: float) -> FloatArray:
        counts = np.zeros(draws + 1)
        for k in range(n + 1):
            counts[k] = math.comb(n, k) * share**k * (1 - share) ** (n - k)
        return counts

    chance = binomial(draws, p)
    for _ in range(generations):
        after = np.zeros(draws + 1)
        for count in range(draws + 1):
            after += chance[count] * binomial(draws - fresh, count / draws)
        chance = np.convolve(after, binomial(fresh, p))[: draws + 1]
    return float(chance[0])


def kept_fields(keep: float, angle: float, take: str, rows: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Fields of kept examples along and across the teacher, times the label, of drawn inputs in two dimensions."""
    x = np.random.default_rng(seed).standard_normal((rows, 2))
    field = x @ [np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))]
    order, many = np.argsort(np.abs(field)), int(keep * rows)
    kept = order[:many] if take == "hard" else order[-many:]
    sign = np.sign(x[kept, 0])
    return x[kept, 0] * sign, x[kept, 1] * sign
