"""From a correlation to the overlap of kept sets, and back: the Gaussian copula.

Two rankings that are a Gaussian copula with Pearson correlation r have in common, of the share kappa that each keeps,

    P(X > t, Y > t) / kappa  =  kappa + 1 / (2 pi kappa) * integral from 0 to arcsin r of exp(-t^2 / (1 + sin a)) da,

with t the normal quantile of 1 - kappa (Plackett 1954, Biometrika 41:351, at equal thresholds).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtri

from scoring.errors import bad_value

NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


def expected_overlap(pearson: float, share: float) -> float:
    """Share of the kept that two rankings have in common, in [0, 1]; ``share`` by chance, at ``pearson`` 0."""
    if not -1 <= pearson <= 1:
        raise bad_value("pearson", "expected_overlap", pearson, "between -1 and 1")
    _check(share, "expected_overlap")
    if pearson == 1:
        return 1.0
    threshold, end = ndtri(1 - share), np.arcsin(pearson)
    angles = end / 2 * (NODES + 1)
    integral = end / 2 * float(WEIGHTS @ np.exp(-(threshold**2) / (1 + np.sin(angles))))
    return float(np.clip(share + integral / (2 * np.pi * share), 0, 1))


def pearson_of_overlap(overlap: float, share: float) -> float:
    """The correlation at which the copula gives this overlap, in [-1, 1]; of an overlap out of its reach, the end."""
    _check(share, "pearson_of_overlap")
    if overlap >= 1:
        return 1.0
    if overlap <= expected_overlap(-1.0, share):
        return -1.0
    return float(brentq(lambda r: expected_overlap(r, share) - overlap, -1.0, 1.0, xtol=1e-13))


def _check(share: float, owner: str) -> None:
    if not 0 < share < 1:
        raise bad_value("share", owner, share, "between 0 and 1, both excluded")
