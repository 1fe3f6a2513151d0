"""Weighted linear least squares, for all resamples at once."""

from __future__ import annotations

import numpy as np

from training.laws.form import Array


def least_squares(design_NP: Array, y_N: Array, weights_BN: Array) -> Array:
    """Coefficients (B, P) that minimise sum_n w_n (y_n - x_n b)^2 for each row of weights.

    By the normal equations; directions that a resample does not see are left at zero (the shortest solution).
    """
    squares = np.einsum("bn,np,nq->bpq", weights_BN, design_NP, design_NP, optimize=True)
    products = (weights_BN * y_N) @ design_NP
    found: Array = np.einsum("bpq,bq->bp", np.linalg.pinv(squares, rcond=1e-13, hermitian=True), products)
    return found
