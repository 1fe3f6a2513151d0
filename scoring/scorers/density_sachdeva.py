"""Density in the plain setting of its paper: Sachdeva et al. 2024, "How to Train Data-Efficient LLMs"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from torch import Tensor

from scoring.density import counting, weights
from scoring.density.checks import check_counts, check_finite
from scoring.density.hashes import Hashes, make_hashes
from scoring.density.kernels import Kernel
from scoring.density.sketch import RaceSketch
from scoring.density.space import unit
from scoring.meaning import Meaning
from scoring.needs import Embeddings, Need
from scoring.scorer import Review, Scorer
from scoring.signals import Signals


@dataclass(frozen=True)
class DensitySachdeva(Scorer):
    """Mean count of the document's buckets in a RACE sketch, itself included, 1 to N; high means redundant.

    Sachdeva et al. 2024, Algorithm 2 and section B.2, as printed: ``rows`` = 1,000 hash functions with ``buckets`` =
    20,000 each, one p-stable (L2) hash per function, embeddings not centred, no correction. They are scaled to length
    1, as those of the paper's Sentence-T5 are. The paper gives no bandwidth; ``width`` = 1 is ours, and any from .05 to
    2 leaves about the same effective sample size. Draw with weights 1 / S as text and Theorem A.2 say; line 17 of
    Algorithm 2 prints S, which would keep what is dense.

    Raw embeddings are about equally far apart and one hash tells their distances apart poorly, so expect weights that
    hardly differ, and a warning of that; ``density`` mends it.
    """

    rows: int = 1000
    buckets: int = 20_000
    width: float = 1.0
    seed: int = 0
    encoder: str = ""
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})
    meaning: ClassVar[Meaning] = "redundant"
    counts_RB: Tensor | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_counts("score: scorer 'density:sachdeva2024'", self, rows=1, buckets=2, seed=0)
        Kernel("l2", 1, self.width)

    @property
    def reads(self) -> frozenset[Need]:
        """Embeddings by the encoder that is named, or by that of the source."""
        return frozenset({Embeddings(self.encoder)})

    @property
    def fits(self) -> bool:
        """One look, which counts."""
        return self.counts_RB is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """Codes, and when they are many, counts."""
        rows_BD = self._unit(signals)
        return counting.of_codes(self._hashes(rows_BD).codes(rows_BD))

    def merge(self, sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Counts of both."""
        return counting.merged(sums, more, self.buckets)

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With the counts."""
        return replace(self, counts_RB=counting.table(sums, self.buckets))

    def score(self, signals: Signals) -> Tensor:
        """The mean count, (B,)."""
        assert self.counts_RB is not None, "fit has seen no rows"
        rows_BD = self._unit(signals)
        return RaceSketch(self._hashes(rows_BD), self.counts_RB).counts(rows_BD)

    def tally(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Sums for the effective sample size, and counts of scores by powers of two."""
        return weights.tally(outputs[""])

    def review(self, tally: Mapping[str, float]) -> Review:
        """ESS of weights 1 / S, extremes, and which share of S is a document's own count."""
        middle = weights.median(tally)
        narrow = (
            f"half of the documents have a mean count below {middle:.2f} with their own count of 1 in it, so the "
            "bandwidth is too small; take a larger width"
        )
        own = {"self_collision_share": tally["weights"] / tally["rows"]}
        return weights.review(tally, own, [narrow] if middle < 2 else [])

    def _hashes(self, rows_BD: Tensor) -> Hashes:
        return make_hashes(Kernel("l2", 1, self.width), self.rows, self.buckets, rows_BD.shape[1], self.seed)

    def _unit(self, signals: Signals) -> Tensor:
        rows_BD = signals.extra(Embeddings(self.encoder))
        check_finite(rows_BD, signals.ids_B)
        return unit(rows_BD)
