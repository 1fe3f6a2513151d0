"""Loss: the cross-entropy of the gold label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals


@dataclass(frozen=True)
class Loss(Scorer):
    """Cross-entropy of the gold label, -log p_y in nats; high means hard (or mislabelled).

    From logits by log-softmax, so p_y = 0 in floating point keeps a finite loss. The ranking is that of 1 - p_y. The
    loss at the end of training is the score of Zheng et al. 2023; its mean over training (``loss@mean``) that of Kwok
    et al. 2024, section 3.

    Of documents, scored with a language model and no run: their mean nats per token, the logarithm of ``perplexity``.
    NaN for a document of which no token is predicted.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"losses"})
    meaning: ClassVar[Meaning] = "hard"

    def score(self, signals: Signals) -> Tensor:
        """Loss, (B,)."""
        return signals.losses_B
