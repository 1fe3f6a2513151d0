"""What scores of duplicates say of a row beside its similarity: its group, whether it is kept, the group's size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scoring.hashing import Ids
from scoring.order import FloatArray, IntArray, hash_order

GROUP_COLUMNS = ("group", "kept", "group_size")


def group_columns(by_N: IntArray, ids_N: Ids, seed: int) -> Mapping[str, FloatArray]:
    """``group``, ``kept`` and ``group_size`` of N rows, of which row i yields to row ``by_N[i]`` (-1: to none).

    A group is a kept row and all that yield to it, or to one that yields to it, and so on. Its number is the place of
    the kept row in the order of hash(seed, id) of all rows: whole, the same for any order of the rows, and no two
    groups share one. A row without duplicates is a group of its own.
    """
    root_N = np.where(by_N < 0, np.arange(len(by_N)), by_N)
    while not np.array_equal(further_N := root_N[root_N], root_N):
        root_N = further_N
    place_N = np.empty(len(by_N), dtype=np.int64)
    place_N[hash_order(ids_N, seed)] = np.arange(len(by_N))
    return {
        "group": place_N[root_N].astype(np.float64),
        "kept": (by_N < 0).astype(np.float64),
        "group_size": np.bincount(root_N, minlength=len(by_N))[root_N].astype(np.float64),
    }
