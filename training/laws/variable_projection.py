"""Chinchilla by variable projection: for given exponents the rest is linear, so only a plane has to be searched.

A check on the fitter by another method (Golub and Pereyra 1973; with non-negative least squares inside, VPNLS). The
plane is searched by a grid that zooms in, which needs no gradient and no start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from training.laws.form import Array
from training.laws.inputs import checked, complete

EXPONENTS = np.linspace(0.02, 1.5, 38)
ZOOM, ZOOMS = 0.5, 40


@dataclass(frozen=True)
class Projected:
    """Parameters of E + A / N^alpha + B / D^beta and half the weighted sum of squares of prediction - y."""

    parameters: Mapping[str, float]
    objective: float


def variable_projection(
    inputs: Mapping[str, npt.ArrayLike], y: npt.ArrayLike, weights: npt.ArrayLike | None = None
) -> Projected:
    """Least squares on y with E, A, B >= 0 and both exponents from 0.02 to 1.5; the objective is fit's ``square``."""
    columns = complete(inputs, ("N", "D"))
    outcome = np.asarray(y, dtype=np.float64)
    checked(columns, outcome, ("N", "D"), False)
    weight = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=np.float64)
    ln_scales = {name: np.log(column).mean() for name, column in columns.items()}
    ln_N, ln_D = (np.log(columns[name]) - ln_scales[name] for name in ("N", "D"))
    alphas = betas = EXPONENTS
    step = EXPONENTS[1] - EXPONENTS[0]
    for _ in range(ZOOMS):
        alpha_G, beta_G = (grid.ravel() for grid in np.meshgrid(alphas, betas, indexing="ij"))
        amplitudes, values = _nonnegative(alpha_G, beta_G, ln_N, ln_D, outcome, weight)
        best = int(values.argmin())
        alpha, beta = float(alpha_G[best]), float(beta_G[best])
        step *= ZOOM
        around = step * np.arange(-3, 4)
        alphas, betas = (np.clip(centre + around, EXPONENTS[0], EXPONENTS[-1]) for centre in (alpha, beta))
    E, A, B = amplitudes[best]
    parameters = {
        "A": float(A * np.exp(alpha * ln_scales["N"])),
        "B": float(B * np.exp(beta * ln_scales["D"])),
        "E": float(E),
        "alpha": alpha,
        "beta": beta,
    }
    return Projected(parameters, float(values[best]))


def _nonnegative(
    alpha_G: Array, beta_G: Array, ln_N: Array, ln_D: Array, y: Array, weight: Array
) -> tuple[Array, Array]:
    """Best (E, A, B) >= 0 at G pairs of exponents, (G, 3), and their objective: every set of non-zero ones is tried."""
    ones = np.ones((len(alpha_G), len(y)))
    terms = np.stack(
        [ones, np.exp(-alpha_G[:, None] * ln_N), np.exp(-beta_G[:, None] * ln_D)], 2
    )  # (G, n, 3)
    weighted = terms * weight[:, None]
    square, side = np.swapaxes(weighted, 1, 2) @ terms, np.swapaxes(weighted, 1, 2) @ y
    best, amplitudes = np.full(len(alpha_G), np.inf), np.zeros((len(alpha_G), 3))
    for count in (1, 2, 3):
        for used in combinations(range(3), count):
            chosen = np.array(used)
            part = square[:, chosen[:, None], chosen] + 1e-14 * np.eye(count) * weight.sum()
            found = np.zeros((len(alpha_G), 3))
            found[:, chosen] = np.linalg.solve(part, side[:, chosen, None])[:, :, 0]
            value = 0.5 * (weight * ((terms @ found[:, :, None])[:, :, 0] - y) ** 2).sum(1)
            better = (found >= 0).all(1) & (value < best)
            best[better], amplitudes[better] = value[better], found[better]
    return amplitudes, best
