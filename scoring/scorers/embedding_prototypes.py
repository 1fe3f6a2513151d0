"""Distance to a prototype among embeddings of documents: Sorscher et al. 2022, "Beyond neural scaling laws: beating
power law scaling via data pruning"; for corpora of text Sachdeva et al. 2024, "How to train data-efficient LLMs"
(arXiv:2402.09668), appendix B.4."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from scoring.duplicates.cosine_clusters import ROUNDS, TRAINED_AT_LEAST, TRAINED_PER_CLUSTER
from scoring.errors import bad_value
from scoring.hashing import derive_seed, hash64
from scoring.meaning import Meaning
from scoring.needs import Embeddings, Need
from scoring.points import gaps, unit
from scoring.scorer import DocumentScorer, Outputs, Review
from scoring.signals import Signals

OWNER = "score: scorer 'prototypes:embeddings'"
MOST_BY_DEFAULT = 1024
WARN_AT_CENTROID = 0.1


@dataclass(frozen=True)
class EmbeddingPrototypes(DocumentScorer):
    """1 - cosine with the nearest of ``k`` k-means centroids of the embeddings; high means hard.

    Sorscher et al. 2022, with embeddings of documents as Sachdeva et al. 2024 (B.4) use it: 10,000 clusters for 364
    million documents, those nearest to a centroid removed first; their plots show the negated cosine. ``k``: by default
    the square root of the number of documents (at most 1,024), which is of that order. The number of clusters decides
    the result: where there are few documents per cluster each is its own prototype, so a warning comes where more than
    a tenth lie on their centroid. Beside it: ``cluster``, the number of the centroid, for quotas that keep some of
    every cluster.

    Spherical k-means is trained in a first look, on 64 documents per cluster, at least 16,384 (65,536 where ``k`` is
    left out), of the lowest hash(seed, id), in at most 20 rounds; then each document is scored by itself, so a corpus
    may come in shards. Other seeds give other numbers: average over several. Which embeddings: ``encoder``, by default
    that of the call. A document whose embedding is not finite is NaN and trains nothing; zeros have distance 1.

    Memory: 4 bytes per number of the sample, 8 while it is clustered. Time of clustering grows with ``k`` squared: with
    384 numbers on one core about half a minute for 256 clusters of the default sample, hours for 10,000.
    """

    k: int | None = None
    encoder: str = ""
    seed: int = 0
    centroids_KD: Tensor | None = field(default=None, repr=False, compare=False)
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})
    meaning: ClassVar[Meaning] = "hard"
    sides: ClassVar[tuple[str, ...]] = ("cluster",)

    def __post_init__(self) -> None:
        if self.k is not None and (not isinstance(self.k, int) or isinstance(self.k, bool) or self.k < 1):
            raise bad_value("k", OWNER, self.k, "a whole number from 1")
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise bad_value("seed", OWNER, self.seed, "a whole number")

    @property
    def reads(self) -> frozenset[Need]:
        """Embeddings."""
        return frozenset({Embeddings(self.encoder)})

    @property
    def fits(self) -> bool:
        """One look, for the centroids."""
        return self.centroids_KD is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """The documents of the lowest hashes, in their order, and how many there are."""
        rows_BD = signals.extra(Embeddings(self.encoder)).float()
        finite_B = rows_BD.isfinite().all(dim=1)
        hashes = hash64(derive_seed("prototypes", self.seed), signals.ids_B) >> np.uint64(1)
        sums = {
            "hashes": torch.from_numpy(hashes.view(np.int64))[finite_B],
            "rows": rows_BD[finite_B],
            "count": finite_B.sum(),
        }
        return self._lowest(sums)

    def merge(self, sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The lowest hashes of both."""
        count = sums["count"] + more["count"]
        if len(sums["hashes"]) == self._sample and (more["hashes"] > sums["hashes"][-1]).all():
            return {**sums, "count": count}
        both = {name: torch.cat([sums[name], more[name]]) for name in ("hashes", "rows")}
        return self._lowest({**both, "count": count})

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With centroids of the sample."""
        from scoring.clusters import kmeans

        k = self.k or min(MOST_BY_DEFAULT, math.isqrt(max(1, int(sums["count"]))))
        ids_S, rows_SD = sums["hashes"].numpy(), sums["rows"].numpy()
        found = kmeans(rows_SD, ids_S, k, "cosine", self.seed, ROUNDS)
        return replace(self, centroids_KD=torch.from_numpy(found.centroids_KD))

    def outputs(self, signals: Signals) -> Outputs:
        """The distance and the nearest centroid, the first of equally near ones, (B,) each."""
        assert self.centroids_KD is not None, "the score needs fit"
        rows_BD = signals.extra(Embeddings(self.encoder)).double().numpy()
        finite_B = np.isfinite(rows_BD).all(axis=1)
        rows_MD, centroids_KD = unit(rows_BD[finite_B]), self.centroids_KD.numpy()
        distances_B, cluster_B = np.full(len(rows_BD), np.nan), np.full(len(rows_BD), np.nan)
        if len(rows_MD):
            cluster_M = (rows_MD @ centroids_KD.T).argmax(axis=1)
            cluster_B[finite_B] = cluster_M
            distances_B[finite_B] = gaps(rows_MD, centroids_KD[cluster_M], "cosine")
        return {"": torch.from_numpy(distances_B), "cluster": torch.from_numpy(cluster_B)}

    def tally(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """How many documents there are, and how many lie on their centroid."""
        values = outputs[""]
        return {"rows": float(len(values)), "at_centroid": float((values < 1e-6).sum())}

    def review(self, tally: Mapping[str, float]) -> Review:
        """Warns of clusters of one document each."""
        share = tally["at_centroid"] / tally["rows"]
        warnings = []
        if share > WARN_AT_CENTROID:
            warnings.append(
                f"{share:.0%} of the documents lie on the centroid of their cluster, which says nothing of them; "
                "choose a smaller k, or remove duplicates first"
            )
        return Review({"share_at_centroid": share}, warnings)

    @property
    def _sample(self) -> int:
        k = MOST_BY_DEFAULT if self.k is None else self.k
        return max(TRAINED_PER_CLUSTER * k, TRAINED_AT_LEAST)

    def _lowest(self, sums: Mapping[str, Tensor]) -> dict[str, Tensor]:
        order = torch.argsort(sums["hashes"], stable=True)[: self._sample]
        return {"hashes": sums["hashes"][order], "rows": sums["rows"][order], "count": sums["count"]}
