"""Margins: between the label and its best rival, or between the two best classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals


@dataclass(frozen=True)
class LabelMargin(Scorer):
    """Probability of the gold label minus that of its best rival, in [-1, 1]; high means easy, below 0 wrong.

    p_y - max_{k != y} p_k: ``margin`` of Kwok et al. 2024. With two classes it is 2 p_y - 1.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits", "labels"})
    meaning: ClassVar[Meaning] = "easy"

    def score(self, signals: Signals) -> Tensor:
        """p_y - max other p, (B,)."""
        return signals.margins(signals.probs_BC)


@dataclass(frozen=True)
class TopTwoMargin(Scorer):
    """Largest probability minus the second largest, in [0, 1]; high means certain, right or wrong.

    Scheffer et al. 2001; the label is not read.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    meaning: ClassVar[Meaning] = "certain"

    def score(self, signals: Signals) -> Tensor:
        """p_(1) - p_(2), (B,)."""
        top_B2 = signals.probs_BC.topk(2, dim=1).values
        return top_B2[:, 0] - top_B2[:, 1]


@dataclass(frozen=True)
class LogitMargin(Scorer):
    """Gold logit minus the largest other logit; high means easy, below 0 wrong.

    z_y - max_{k != y} z_k: the margin of Toneva et al. 2019 and, averaged over training, of Pleiss et al. 2020 (AUM).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logit_margins"})
    meaning: ClassVar[Meaning] = "easy"

    def score(self, signals: Signals) -> Tensor:
        """z_y - max other z, (B,)."""
        return signals.logit_margins_B
