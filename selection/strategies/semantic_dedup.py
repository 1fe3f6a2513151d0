"""``semantic_dedup``: of examples with nearly the same embedding one is kept; Abbas et al. 2023, "SemDeDup:
Data-efficient learning at web-scale through semantic deduplication" (arXiv:2303.09540)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from scoring.duplicates.by_angle import Mode, check_eps, default_clusters, nearest_earlier, survival_order
from scoring.duplicates.cosine_clusters import Partition, partition
from scoring.duplicates.unit_vectors import UnitVectors
from scoring.errors import InputError, name_some, unknown_name
from selection.duplicates import DuplicateRemoval, Duplicates
from selection.strategy import Candidates, IntArray, Material

Which = Literal["hard", "easy", "random", "quality"]
WHICH: tuple[Which, ...] = get_args(Which)


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
        check_eps(self.owner, self.eps, self.clusters, self.mode)
        if self.which not in (None, *WHICH):
            raise unknown_name("which", self.owner, str(self.which), WHICH)

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
        parts = partition(vectors, self.clusters or default_clusters(len(candidates)), candidates.seed)
        order_N = self._order(candidates, parts)
        found = nearest_earlier(vectors, parts.cluster_N, order_N, self.eps, self.mode)
        kept_K = order_N[found.kept_N[order_N]]
        kept_K = kept_K[np.argsort(found.cosine_N[kept_K], kind="stable")]
        clusters = max(1, len(np.unique(parts.cluster_N)))
        return Duplicates(kept_K, found.by_N, found.cosine_N, {"clusters": clusters})

    def _order(self, candidates: Candidates, parts: Partition) -> IntArray:
        which = self.which or ("hard" if candidates.by is None else "quality")
        if which == "quality":
            if candidates.by is None:
                raise InputError(f"{self.owner}: by must name a score for which 'quality', got none.")
            return self.best_first(candidates)
        return survival_order(candidates.ids_N, parts, which, candidates.seed)


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
