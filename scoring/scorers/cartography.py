"""Data maps: Swayamdipta et al. 2020, "Dataset Cartography", section 2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from scoring.meaning import Meaning
from scoring.scorer import WELFORD_STATE, Outputs, Row, TrajectoryScorer, welford
from scoring.signals import Signals, View


@dataclass(frozen=True)
class Correctness(TrajectoryScorer):
    """How many of its presentations were right, 0..T; high means easy.

    Swayamdipta et al. 2020, section 2, where it is drawn as the fraction; the count is what their code stores.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "labels"})
    meaning: ClassVar[Meaning] = "easy"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"right": 0.0}

    def step(self, signals: Signals, row: Row) -> Row:
        """Count."""
        return {"right": row["right"] + signals.correct_B}

    def final(self, row: Row) -> Outputs:
        """The count."""
        return {"": row["right"]}


@dataclass(frozen=True)
class AccuracyOverTime(TrajectoryScorer):
    """Share of its presentations that were right, in [0, 1]; high means easy.

    ``acc`` averaged over training, Kwok et al. 2024.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "labels"})
    meaning: ClassVar[Meaning] = "easy"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"right": 0.0, "seen": 0.0}

    def step(self, signals: Signals, row: Row) -> Row:
        """Count both."""
        return {"right": row["right"] + signals.correct_B, "seen": row["seen"] + 1}

    def final(self, row: Row) -> Outputs:
        """The share."""
        return {"": row["right"] / row["seen"]}


@dataclass(frozen=True)
class MeanConfidence(TrajectoryScorer):
    """Mean probability of the gold label over its presentations, in [0, 1]; high means easy.

    Confidence of Swayamdipta et al. 2020, equation 1.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"losses"})
    meaning: ClassVar[Meaning] = "easy"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = WELFORD_STATE

    def step(self, signals: Signals, row: Row) -> Row:
        """Running moments of p_y."""
        return welford(row, signals.label_probs_B)

    def final(self, row: Row) -> Outputs:
        """The mean."""
        return {"": row["mean"]}


@dataclass(frozen=True)
class Variability(TrajectoryScorer):
    """Standard deviation of the gold label's probability over its presentations, in [0, 0.5]; high means uncertain.

    Variability of Swayamdipta et al. 2020, equation 2 ("ambiguous" examples): ddof 0, so 0 for one presentation.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"losses"})
    meaning: ClassVar[Meaning] = "uncertain"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = WELFORD_STATE

    def step(self, signals: Signals, row: Row) -> Row:
        """Running moments of p_y."""
        return welford(row, signals.label_probs_B)

    def final(self, row: Row) -> Outputs:
        """The standard deviation."""
        return {"": (row["squares"] / row["count"]).sqrt()}


@dataclass(frozen=True)
class ThresholdCloseness(TrajectoryScorer):
    """mu (1 - mu) of the mean gold probability mu over its presentations, in [0, 0.25]; high means uncertain.

    Threshold closeness in the code of Swayamdipta et al. 2020: how near the mean confidence is to one half.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"losses"})
    meaning: ClassVar[Meaning] = "uncertain"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = WELFORD_STATE

    def step(self, signals: Signals, row: Row) -> Row:
        """Running moments of p_y."""
        return welford(row, signals.label_probs_B)

    def final(self, row: Row) -> Outputs:
        """mu (1 - mu)."""
        return {"": row["mean"] * (1 - row["mean"])}
