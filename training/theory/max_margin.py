"""The hard-margin support vector machine through the origin, exactly: the student of the perceptron."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from scoring.errors import InputError, bad_value

FloatArray = npt.NDArray[np.float64]

OWNER = "max_margin"
TOLERANCE = 1e-6
"""By how much a constraint may be missed."""
ROUNDS = 100
"""Steps of the active set per row before it is given up; it seldom takes more than one."""


def max_margin(rows_PN: npt.ArrayLike) -> FloatArray:
    """The shortest w (N,) with ``rows @ w >= 1`` for all P rows, each an input times its label of 1 or -1.

    It is the direction of the largest margin, 1 / |w|. The problem is least distance programming, which Lawson and
    Hanson (1974, chapter 23.4) turn into one of non-negative least squares; the rows with a positive multiplier, the
    support vectors, then give w as the shortest solution of ``rows @ w = 1``.

    Raises:
        InputError: No rows, numbers that are not finite, or rows that no plane through the origin separates.
    """
    rows = np.asarray(rows_PN, dtype=np.float64)
    if rows.ndim != 2 or rows.size == 0:
        raise bad_value("rows", OWNER, rows.shape, "of shape (P, N) with at least one row and one dimension")
    if not np.isfinite(rows).all():
        raise InputError(f"{OWNER}: rows must be finite numbers.")
    count, dimension = rows.shape
    system = np.vstack([rows.T, np.ones(count)])
    target = np.zeros(dimension + 1)
    target[-1] = 1.0
    multipliers, residual = nnls(system, target, maxiter=ROUNDS * max(count, dimension))
    if residual <= TOLERANCE:
        raise InputError(f"{OWNER}: rows must be separable by a plane through the origin.")
    support = rows[multipliers > 0]
    weights: FloatArray = np.linalg.lstsq(support, np.ones(len(support)), rcond=None)[0]
    if (rows @ weights).min() < 1 - TOLERANCE:
        raise InputError(f"{OWNER}: rows must be separable by a plane through the origin, and hardly are.")
    return weights
