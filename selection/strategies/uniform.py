"""``random``: every candidate with the same chance; the baseline beside any selection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.order import hash_order
from selection.strategy import Candidates, Chosen, Strategy


@dataclass(frozen=True)
class Random(Strategy):
    """The ``budget`` rows of the lowest hash(seed, id): a simple random sample without replacement.

    Every row has inclusion probability budget / n over the seeds. Smaller budgets give subsets of larger ones.
    """

    reads_scores: ClassVar[bool] = False

    def select(self, candidates: Candidates, budget: int) -> Chosen:
        """The first rows in hash order."""
        n = len(candidates)
        return Chosen(
            rows_K=hash_order(candidates.ids_N, candidates.seed)[:budget],
            probability_K=np.full(budget, budget / max(n, 1)),
            reason=f"random of {n}",
        )
