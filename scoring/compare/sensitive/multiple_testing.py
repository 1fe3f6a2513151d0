"""Many tests at once: false discovery rates, and one p-value from several."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import stats

from scoring.compare.ranks import Floats
from scoring.errors import bad_value


def benjamini_hochberg(p_N: npt.ArrayLike) -> Floats:
    """q-values, (N,): the smallest false discovery rate at which each test is among the discoveries.

    Benjamini & Hochberg 1995, in the adjusted form q_(i) = min over j >= i of N p_(j) / j, at most 1. Calling q <= .05
    keeps the expected share of false ones among the called at or below .05 for independent tests, and for positively
    dependent ones (Benjamini & Yekutieli 2001).

    Raises:
        InputError: p-values outside [0, 1] or NaN.
    """
    p = np.asarray(p_N, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise bad_value("p_N", "benjamini_hochberg", p.shape, "a row of p-values between 0 and 1")
    return np.asarray(stats.false_discovery_control(p, method="bh"))


def simes(p_TN: npt.ArrayLike) -> Floats:
    """One p-value per example that *some* of its T tests is not null, (N,): min over j of T p_(j) / j (Simes 1986).

    Exact for independent tests, conservative for positively dependent ones.
    """
    p = np.sort(np.asarray(p_TN, dtype=np.float64), axis=0)
    found: Floats = (p * len(p) / np.arange(1, len(p) + 1)[:, None]).min(axis=0)
    return np.minimum(found, 1)
