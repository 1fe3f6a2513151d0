"""Correlation corrected for attenuation: what it would be if both scores were measured without the noise of runs.

Spearman (1904): rho_ab / sqrt(rho_aa rho_bb), where rho_ab is the correlation *between* runs (score a in one run, score
b in another, so that their errors are independent) and rho_aa that of a score with itself in another run. Of rank
correlations this is exact for the *expected ranks*: the rank of an example in a run is its mean over all possible
runs plus an error of mean 0, so the covariance of two runs is that of the expected ranks. Neither normality nor the
absence of ties is needed, as no average over runs is predicted (Spearman-Brown is not used).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats

LEAST_RELIABILITY = 0.1
"""Below this a single run says so little that dividing by its reliability is not offered."""


def disattenuated(rho: npt.ArrayLike, reliability_a: npt.ArrayLike, reliability_b: npt.ArrayLike) -> Floats:
    """rho / sqrt(reliability_a reliability_b), any shapes that broadcast; not cut at 1.

    NaN where a reliability is below ``LEAST_RELIABILITY`` or NaN (a score that is constant in a run). Sampling error
    can carry a value over 1.
    """
    a, b = np.asarray(reliability_a, dtype=np.float64), np.asarray(reliability_b, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        possible = (a >= LEAST_RELIABILITY) & (b >= LEAST_RELIABILITY)
        found: Floats = np.where(possible, np.asarray(rho) / np.sqrt(np.where(possible, a * b, 1.0)), np.nan)
    return found
