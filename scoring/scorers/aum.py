"""AUM, the area under the margin: Pleiss et al. 2020, "Identifying Mislabeled Data using the Area Under the Margin"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scoring.meaning import Meaning
from scoring.scorer import Outputs, Row, TrajectoryScorer
from scoring.signals import Signals, View


@dataclass(frozen=True)
class AUM(TrajectoryScorer):
    """Mean logit margin over the example's presentations; high means easy, low mislabelled.

    mean_t (z_y - max_{k != y} z_k), Pleiss et al. 2020, equations 1 and 2.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logit_margins"})
    meaning: ClassVar[Meaning] = "easy"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"total": 0.0, "seen": 0.0}

    def step(self, signals: Signals, row: Row) -> Row:
        """Add the margin."""
        return {"total": row["total"] + signals.logit_margins_B, "seen": row["seen"] + 1}

    def final(self, row: Row) -> Outputs:
        """The mean."""
        return {"": row["total"] / row["seen"]}


@dataclass(frozen=True)
class AUMSum(TrajectoryScorer):
    """Sum of probability margins over the example's presentations; high means easy, low mislabelled.

    sum_t (p_y - max_{k != y} p_k), the "accumulated margin" of Zheng et al. 2023 (coverage-centric coreset selection).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits", "labels"})
    meaning: ClassVar[Meaning] = "easy"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"total": 0.0}

    def step(self, signals: Signals, row: Row) -> Row:
        """Add the margin."""
        return {"total": row["total"] + signals.margins(signals.probs_BC)}

    def final(self, row: Row) -> Outputs:
        """The sum."""
        return {"": row["total"]}
