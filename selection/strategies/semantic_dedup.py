"""``semantic_dedup``: of examples with nearly the same embedding one is kept; Abbas et al. 2023, "SemDeDup:
Data-efficient learning at web-scale through semantic deduplication" (arXiv:2303.09540)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from scoring.duplicates.cosine_clusters import Partition, partition
from scoring.duplicates.unit_vectors import UnitVectors
from scoring.errors import InputError, bad_value, name_some, unknown_name
from scoring.order import hash_order
from selection.duplicates import BoolArray, DuplicateRemoval, Duplicates
from selection.strategy import Candidates, FloatArray, IntArray, Material

Mode = Literal["greedy", "chain"]
MODES: tuple[Mode, ...] = get_args(Mode)
Which = Literal["hard", "easy", "random", "quality"]
WHICH: tuple[Which, ...] = get_args(Which)

ALL_PAIRS = 100_000
ROWS_PER_CLUSTER = 16_384
BLOCK = 1024
EARLIER = 4096
NONE = -np.inf


@dataclass(frozen=True)
class SemanticDedup(DuplicateRemoval):
    """Rows whose embedding has a cosine of at most 1 - ``eps`` (default 0.05) with all kept rows of its cluster.

    The rule of the authors' code: spherical k-means; the rows of a cluster in an order; row j goes if an earlier row i
    has ``cos(i, j) > 1 - eps``. The order is ``which``: ``hard`` (default: the farthest from the centroid comes first
    and so survives; the default of the code), ``easy`` (the nearest), ``random``, or ``quality`` (default where ``by``
    names a score: its better end, see ``prefer``). Ties by hash(seed, id).

    ``mode``: ``greedy`` (default, a deliberate difference) compares with kept rows only, so that everything removed
    resembles something kept. ``chain`` is the published rule: removed rows remove others too, so of a ~ b ~ c all but
    a go, even if c is nothing like a.

    ``clusters``: default 1 up to 100,000 rows, which is to compare all pairs; beyond, one per 16,384 rows (the
    authors: one per 8,800, 50,000 for 440 million). Duplicates that k-means parts are missed: with 4 clusters, 5 % of
    what there is to remove from 60,614 phrases (benchmarks/sst2_dedup.py). It is trained on 64 rows per cluster, at
    least 16,384, of the lowest hash(seed, id), in at most 20 rounds.

    **Budgets.** The authors choose eps so that the budget is met. So does a budget here: kept rows are taken in the
    order of their highest cosine to an earlier row (greedy: an earlier kept row), least first, ties in the order of
    ``which``. Budgets are met exactly and nest. What ``eps`` calls duplicates is never kept: a budget beyond the rest
    is an error or, with ``allow_short``, falls short. ``eps=0`` removes nothing, so that the budget alone decides; the
    two modes are then the same. ``suppressed`` tells of every row left out to which earlier row it yields.

    Cosines are of float64 arithmetic, rounded to float32. A row of zeros resembles nothing. Embeddings that are not
    finite are an error. Time: N x clusters x D, and the sum over clusters of m^2 D / 2; memory: that of the rows that
    train k-means, of blocks of rows and pairs, and a few numbers per row.
    """

    eps: float = 0.05
    clusters: int | None = None
    which: Which | None = None
    mode: Mode = "greedy"
    needs: ClassVar[frozenset[Material]] = frozenset({"embeddings"})
    word: ClassVar[str] = "semantic_dedup"

    def __post_init__(self) -> None:
        super().__post_init__()
        owner = self.owner
        if isinstance(self.eps, bool) or not isinstance(self.eps, (int, float)) or not 0 <= self.eps <= 2:
            raise bad_value("eps", owner, self.eps, "a number from 0 to 2")
        if self.clusters is not None and (
            not isinstance(self.clusters, int) or isinstance(self.clusters, bool) or self.clusters < 1
        ):
            raise bad_value("clusters", owner, self.clusters, "a whole number from 1")
        if self.which not in (None, *WHICH):
            raise unknown_name("which", owner, str(self.which), WHICH)
        if self.mode not in MODES:
            raise unknown_name("mode", owner, str(self.mode), MODES)

    def check(self, by: str, meaning: str) -> None:
        """A score decides who survives, so nothing else may."""
        if self.which not in (None, "quality"):
            raise InputError(
                f"{self.owner}: by must be left out unless which is 'quality', got {by!r} and which {self.which!r}."
            )
        super().check(by, meaning)

    def find(self, candidates: Candidates) -> Duplicates:
        """Cluster, then compare within every cluster."""
        vectors = _vectors(candidates)
        parts = partition(vectors, self.clusters or _clusters(len(candidates)), candidates.seed)
        preference_N = np.empty(len(candidates), dtype=np.int64)
        preference_N[self._order(candidates, parts)] = np.arange(len(candidates))
        by_N = np.full(len(candidates), -1, dtype=np.int64)
        similarity_N = np.full(len(candidates), NONE)
        is_kept_N = np.ones(len(candidates), dtype=bool)
        order = np.lexsort((preference_N, parts.cluster_N))
        starts = np.flatnonzero(np.diff(parts.cluster_N[order])) + 1
        for rows_M in np.split(order, starts):
            near_M, similarity_M, kept_M = _compare(vectors, rows_M, 1 - self.eps, self.mode)
            by_N[rows_M] = np.where(near_M >= 0, rows_M[near_M], -1)
            similarity_N[rows_M], is_kept_N[rows_M] = similarity_M, kept_M
        kept_K = np.flatnonzero(is_kept_N)
        kept_K = kept_K[np.lexsort((preference_N[kept_K], similarity_N[kept_K]))]
        return Duplicates(kept_K, by_N, similarity_N, {"clusters": len(starts) + 1})

    def _order(self, candidates: Candidates, parts: Partition) -> IntArray:
        which = self.which or ("hard" if candidates.by is None else "quality")
        if which == "quality":
            if candidates.by is None:
                raise InputError(f"{self.owner}: by must name a score for which 'quality', got none.")
            return self.best_first(candidates)
        order = hash_order(candidates.ids_N, candidates.seed)
        if which == "random":
            return order
        distances = parts.distance_N[order].astype(np.float32)
        return order[np.argsort(-distances if which == "hard" else distances, kind="stable")]


def _vectors(candidates: Candidates) -> UnitVectors:
    assert candidates.embeddings is not None, "the strategy declares that it reads embeddings"
    vectors = UnitVectors(candidates.embeddings, candidates.rows_N, candidates.ids_N)
    finite_N = vectors.finite_N()
    if not finite_N.all():
        ids = sorted(candidates.ids_N[~finite_N].tolist())
        raise InputError(
            f"select: embeddings must be finite, got {len(ids):,} rows that are not (ids {name_some(ids)})."
        )
    return vectors


def _clusters(n: int) -> int:
    return 1 if n <= ALL_PAIRS else -(-n // ROWS_PER_CLUSTER)


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
