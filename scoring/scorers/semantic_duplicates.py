"""Documents that mean nearly the same: Abbas et al. 2023, "SemDeDup: Data-efficient learning at web-scale through
semantic deduplication" (arXiv:2303.09540)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, get_args

import numpy as np

from scoring.collected import Collected
from scoring.duplicates.by_angle import (
    Mode,
    Order,
    check_eps,
    default_clusters,
    nearest_earlier,
    survival_order,
)
from scoring.duplicates.cosine_clusters import partition
from scoring.duplicates.groups import GROUP_COLUMNS, group_columns
from scoring.duplicates.unit_vectors import UnitVectors
from scoring.errors import bad_value, unknown_name
from scoring.meaning import Meaning
from scoring.needs import Embeddings, Need
from scoring.order import FloatArray
from scoring.scorer import CollectiveScorer

OWNER = "score: scorer 'semantic_duplicates'"
ORDERS: tuple[Order, ...] = get_args(Order)
UNLIKE = -1.0


@dataclass(frozen=True)
class SemanticDuplicates(CollectiveScorer):
    """Cosine with the nearest kept document before it in its cluster; high means there is one almost like it.

    SemDeDup, Abbas et al. 2023, by the rule of the authors' code: spherical k-means; the documents of a cluster in an
    order; one is a duplicate if an earlier one has a cosine above 1 - ``eps``. The order is ``which``: ``hard``
    (default, as in the code: the farthest from the centroid first), ``easy`` (the nearest first) or ``random``; ties by
    hash(seed, id). ``mode="greedy"`` (default, a deliberate difference) compares with kept documents only; ``chain`` is
    the published rule, in which duplicates have duplicates, too, and the value is the cosine with the nearest earlier
    document, kept or not. ``kept`` marks what the strategy ``semantic_dedup`` keeps with the same options.

    ``clusters``: by default 1, which is to compare all pairs, up to 100,000 documents, and one per 16,384 beyond.
    Duplicates that k-means parts are missed. Only earlier documents count, so that of two alike one has a low value:
    the first of a cluster has -1. A vector of zeros resembles none (cosine 0).

    Beside it: ``group`` (a whole number that all of a group share, that of no other), ``kept`` (1 for the one document
    of a group that stays, 0 for others), ``group_size``. A document whose embedding is not finite is NaN, resembles
    none and stays. Which embeddings: ``encoder``, by default that of the call.

    Time: N x clusters x D, and the sum over clusters of m^2 D / 2; memory: that of the rows that train k-means, of
    blocks of rows and pairs, and a few numbers per row.
    """

    eps: float = 0.05
    clusters: int | None = None
    which: Order = "hard"
    mode: Mode = "greedy"
    encoder: str = ""
    seed: int = 0
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})
    meaning: ClassVar[Meaning] = "redundant"
    sides: ClassVar[tuple[str, ...]] = GROUP_COLUMNS

    def __post_init__(self) -> None:
        check_eps(OWNER, self.eps, self.clusters, self.mode)
        if self.which not in ORDERS:
            raise unknown_name("which", OWNER, str(self.which), ORDERS)
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise bad_value("seed", OWNER, self.seed, "a whole number")

    @property
    def reads(self) -> frozenset[Need]:
        """Embeddings."""
        return frozenset({Embeddings(self.encoder)})

    def score_all(self, passes: Sequence[Collected]) -> Mapping[str, FloatArray]:
        """The cosine, (N,), and the groups."""
        collected = passes[-1]
        array_ND, ids_N = collected.array(Embeddings(self.encoder)), collected.ids_N
        n = len(ids_N)
        rows_M = np.flatnonzero(UnitVectors(array_ND, np.arange(n), ids_N).finite_N())
        vectors = UnitVectors(array_ND, rows_M, ids_N[rows_M])
        parts = partition(vectors, self.clusters or default_clusters(len(rows_M)), self.seed)
        order_M = survival_order(vectors.ids_N, parts, self.which, self.seed)
        found = nearest_earlier(vectors, parts.cluster_N, order_M, self.eps, self.mode)
        cosine_N, by_N = np.full(n, np.nan), np.full(n, -1, dtype=np.int64)
        cosine_N[rows_M] = np.maximum(found.cosine_N, UNLIKE)
        by_N[rows_M] = np.where(found.kept_N, -1, rows_M[found.by_N])
        return {"": cosine_N, **group_columns(by_N, ids_N, self.seed)}
