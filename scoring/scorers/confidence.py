"""Confidence in the label, and in the prediction: two scores that share a name in public code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals


@dataclass(frozen=True)
class Confidence(Scorer):
    """Probability of the gold label, p_y; high means easy.

    ``conf`` of Kwok et al. 2024; its mean over training is the confidence of Swayamdipta et al. 2020.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"losses"})
    meaning: ClassVar[Meaning] = "easy"

    def score(self, signals: Signals) -> Tensor:
        """p_y, (B,)."""
        return signals.label_probs_B


@dataclass(frozen=True)
class MaxConfidence(Scorer):
    """Probability of the most probable class, max_k p_k; high means certain, right or wrong.

    1 minus the least confidence of Lewis & Gale 1994; ``maxconf`` of Kwok et al. 2024. A probability: ranking by the
    raw largest logit, as some public code does, changes with a shift of the logits.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    meaning: ClassVar[Meaning] = "certain"

    def score(self, signals: Signals) -> Tensor:
        """max p, (B,)."""
        return signals.probs_BC.amax(dim=1)
