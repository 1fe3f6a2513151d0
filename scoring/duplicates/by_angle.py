"""Rows beside those that come before them, within clusters of directions: the rule of SemDeDup (Abbas et al. 2023,
"SemDeDup: Data-efficient learning at web-scale through semantic deduplication", arXiv:2303.09540).

The rows of a cluster stand in an order; row j is a duplicate if an earlier row i has ``cos(i, j) > 1 - eps``.
``chain`` is the rule of the authors' code: duplicates have duplicates, too, so of a ~ b ~ c all but a are some, even if
c is nothing like a. ``greedy`` compares with rows that are no duplicates themselves.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from scoring.duplicates.cosine_clusters import Partition
from scoring.duplicates.unit_vectors import UnitVectors
from scoring.errors import bad_value, unknown_name
from scoring.hashing import Ids
from scoring.order import FloatArray, IntArray, hash_order

BoolArray = npt.NDArray[np.bool_]

Mode = Literal["greedy", "chain"]
MODES: tuple[Mode, ...] = get_args(Mode)
Order = Literal["hard", "easy", "random"]

ALL_PAIRS = 100_000
ROWS_PER_CLUSTER = 16_384
BLOCK = 1024
EARLIER = 4096
NONE = -np.inf


class Nearest(NamedTuple):
    """Of N rows the nearest earlier one in the cluster (-1: there is none), its cosine (-inf), and who is kept."""

    by_N: IntArray
    cosine_N: FloatArray
    kept_N: BoolArray


def check_eps(owner: str, eps: float, clusters: int | None, mode: str) -> None:
    """Refuse what is no angle, no number of clusters, no mode."""
    if isinstance(eps, bool) or not isinstance(eps, (int, float)) or not 0 <= eps <= 2:
        raise bad_value("eps", owner, eps, "a number from 0 to 2")
    if clusters is not None and (not isinstance(clusters, int) or isinstance(clusters, bool) or clusters < 1):
        raise bad_value("clusters", owner, clusters, "a whole number from 1")
    if mode not in MODES:
        raise unknown_name("mode", owner, str(mode), MODES)


def default_clusters(n: int) -> int:
    """1, which is to compare all pairs, up to 100,000 rows; beyond, one per 16,384."""
    return 1 if n <= ALL_PAIRS else -(-n // ROWS_PER_CLUSTER)


def survival_order(ids_N: Ids, parts: Partition, which: Order, seed: int) -> IntArray:
    """Rows in the order in which they survive: the farthest from its centroid first (hard), the nearest, or by hash."""
    order = hash_order(ids_N, seed)
    if which == "random":
        return order
    distances = parts.distance_N[order].astype(np.float32)
    return order[np.argsort(-distances if which == "hard" else distances, kind="stable")]


def nearest_earlier(
    vectors: UnitVectors, cluster_N: IntArray, order_N: IntArray, eps: float, mode: Mode
) -> Nearest:
    """Compare within every cluster, in the order of survival; blocks of rows and pairs are in memory."""
    n = len(vectors)
    place_N = np.empty(n, dtype=np.int64)
    place_N[order_N] = np.arange(n)
    found = Nearest(np.full(n, -1, dtype=np.int64), np.full(n, NONE), np.ones(n, dtype=bool))
    order = np.lexsort((place_N, cluster_N))
    for rows_M in np.split(order, np.flatnonzero(np.diff(cluster_N[order])) + 1):
        near_M, cosine_M, kept_M = _compare(vectors, rows_M, 1 - eps, mode)
        found.by_N[rows_M] = np.where(near_M >= 0, rows_M[near_M], -1)
        found.cosine_N[rows_M], found.kept_N[rows_M] = cosine_M, kept_M
    return found


def _compare(
    vectors: UnitVectors, rows_M: IntArray, most: float, mode: Mode
) -> tuple[IntArray, FloatArray, BoolArray]:
    """Every row of a cluster with those before it: the nearest one's place (-1: none), its cosine, whether it is kept.

    ``rows_M`` are in order. A row is kept if no row before it (greedy: no kept one) has a cosine above ``most``.
    """
    near_M = np.full(len(rows_M), -1, dtype=np.int64)
    cosine_M = np.full(len(rows_M), NONE)
    kept_M = np.ones(len(rows_M), dtype=bool)
    for start in range(0, len(rows_M), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(rows_M)))
        rows_BD = vectors.take(rows_M[block])
        earlier = np.flatnonzero(kept_M[:start]) if mode == "greedy" else np.arange(start)
        for some in np.array_split(earlier, -(-len(earlier) // EARLIER) or 1):
            if len(some):
                _take_nearest(block, some, rows_BD @ vectors.take(rows_M[some]).T, near_M, cosine_M)
        inside_BB = np.minimum((rows_BD @ rows_BD.T).astype(np.float32), 1)
        inside_BB[np.triu_indices(len(block))] = NONE
        kept_B = cosine_M[block] <= most
        above_BB = inside_BB.astype(np.float64) > most
        for row in np.flatnonzero(above_BB.any(axis=1)):
            kept_B[row] &= not (above_BB[row] & (kept_B if mode == "greedy" else True)).any()
        if mode == "greedy":
            inside_BB[:, ~kept_B] = NONE
        _take_nearest(block, block, inside_BB, near_M, cosine_M)
        kept_M[block] = kept_B
    return near_M, cosine_M, kept_M


def _take_nearest(
    block: IntArray, places: IntArray, cosine_BE: FloatArray, near_M: IntArray, cosine_M: FloatArray
) -> None:
    """Note the nearest of ``places`` where it is nearer than what is known; among equals the first."""
    rounded_BE = np.minimum(cosine_BE.astype(np.float32), 1)
    best_B = rounded_BE.argmax(axis=1)
    cosine_B = rounded_BE[np.arange(len(block)), best_B].astype(np.float64)
    nearer_B = cosine_B > cosine_M[block]
    near_M[block[nearer_B]] = places[best_B[nearer_B]]
    cosine_M[block[nearer_B]] = cosine_B[nearer_B]
