"""Entropy of the predicted distribution: Shannon 1948; as a selection score Settles 2009, section 2.3."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals


@dataclass(frozen=True)
class Entropy(Scorer):
    """Entropy of the predicted distribution in nats, in [0, log C]; high means uncertain.

    -sum p log p with 0 log 0 = 0 (Shannon 1948), without the constant that public code adds inside the logarithm. It
    does not read the label: as a detector of label errors it is far weaker than scores that do.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"entropies"})
    meaning: ClassVar[Meaning] = "uncertain"

    def score(self, signals: Signals) -> Tensor:
        """Entropy, (B,)."""
        return signals.entropies_B


@dataclass(frozen=True)
class NormalizedEntropy(Scorer):
    """Entropy over its largest value log C, in [0, 1]; high means uncertain.

    Shannon 1948; the form in which cleanlab reports entropy (Northcutt et al. 2021).
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})
    meaning: ClassVar[Meaning] = "uncertain"

    def score(self, signals: Signals) -> Tensor:
        """Entropy / log C, (B,)."""
        return signals.entropies_B / math.log(signals.logits_BC.shape[1])
