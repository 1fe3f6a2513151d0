"""Kendall's tau-b of columns: agreement about pairs of examples, ties taken out of the scale."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt
from scipy import stats

from scoring.compare.ranks import Floats
from scoring.hashing import Ids, hash64

MOST_ROWS = 10_000
"""Of more examples a sample by hash of their ids is compared: tau then has a standard error of .007, .014 at most."""


def hashed_rows(ids: Ids, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows of the ``most`` lowest hashes of (seed, id), in the order of those; all rows if there are no more."""
    order = np.argsort(hash64(seed, ids), kind="stable")
    return order[:most].astype(np.int64)


def tau_b(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Kendall's tau-b (1945), in [-1, 1]; NaN where one side is constant. O(N log N), Knight's algorithm (1966)."""
    x, y = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if (x == x[0]).all() or (y == y[0]).all():
        return float("nan")
    return float(np.clip(stats.kendalltau(x, y, method="asymptotic").statistic, -1, 1))


def tau_b_matrix(columns_CN: Floats) -> Floats:
    """``tau_b`` of all pairs of columns, (C, C); NaN where one is constant."""
    found = np.diag([1.0 if (values != values[0]).any() else np.nan for values in columns_CN])
    for i, j in combinations(range(len(columns_CN)), 2):
        found[i, j] = found[j, i] = tau_b(columns_CN[i], columns_CN[j])
    return found
