"""Distance to the nearest neighbours: Loftsgaarden & Quesenberry 1965, Ramaswamy et al. 2000."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
import torch

from scoring.collected import Collected
from scoring.density.checks import check_finite
from scoring.errors import unknown_name
from scoring.meaning import Meaning
from scoring.needs import Embeddings, Need
from scoring.neighbors import check_probes, neighbor_blocks
from scoring.order import FloatArray
from scoring.points import Metric, check_options
from scoring.scorer import CollectiveScorer

Of = Literal["mean", "kth"]
OWNER = "score: scorer 'knn_distance'"
BLOCK = 65_536


@dataclass(frozen=True)
class KnnDistance(CollectiveScorer):
    """Distance of a document's embedding to the nearest ones of the others; high means isolated, so hard.

    ``of``: the ``mean`` distance to the ``k`` nearest neighbours (Angiulli & Pizzuti 2002), or that to the ``kth``
    (Ramaswamy et al. 2000), from which the nearest-neighbour estimate of a density follows (Loftsgaarden & Quesenberry
    1965). It tells of the closest surroundings alone: ``density``, with a kernel as wide as its weights need, orders
    documents differently. ``metric``: 1 - cosine, or Euclidean. Exact search compares all pairs; with ``probes`` it
    looks into that many cells only (``scoring.neighbors``).

    Copies are neighbours at distance 0, but rows of zeros (some encoders' empty documents) have no direction and
    a cosine distance of 1 from every row. With fewer than ``k`` others it is of those there are; NaN without any. An
    embedding that is not finite is an error.
    """

    k: int = 10
    of: Of = "mean"
    metric: Metric = "cosine"
    probes: int | None = None
    encoder: str = ""
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})
    meaning: ClassVar[Meaning] = "hard"

    def __post_init__(self) -> None:
        check_options(OWNER, self.k, self.metric)
        check_probes(OWNER, self.probes)
        if self.of not in get_args(Of):
            raise unknown_name("of", OWNER, str(self.of), get_args(Of))

    @property
    def reads(self) -> frozenset[Need]:
        """Embeddings by the encoder that is named, or by that of the source."""
        return frozenset({Embeddings(self.encoder)})

    def score_all(self, passes: Sequence[Collected]) -> Mapping[str, FloatArray]:
        """The distance, (N,)."""
        return {"": np.mean([self.at(collected) for collected in passes], axis=0)}

    def at(self, collected: Collected) -> FloatArray:
        """The distance in one pass, (N,)."""
        rows_ND = collected.array(Embeddings(self.encoder))
        for start in range(0, len(rows_ND), BLOCK):
            some = slice(start, start + BLOCK)
            check_finite(torch.from_numpy(np.array(rows_ND[some])), collected.ids_N[some])
        values_N = np.full(len(rows_ND), np.nan)
        for rows_B, _, distances_BK in neighbor_blocks(
            rows_ND, collected.ids_N, self.k, self.metric, self.probes
        ):
            if distances_BK.shape[1]:
                values_N[rows_B] = distances_BK.mean(axis=1) if self.of == "mean" else distances_BK[:, -1]
        return values_N
