"""The smallest losses of the draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class LowestLoss:
    """Train on what the model agrees with: the small-loss trick against wrong labels.

    Han et al. 2018 (Co-teaching), algorithm 1, keep a share of 1 - (noise rate) that falls over the first epochs, and
    let two networks choose for each other; here one network chooses for itself, and the share is constant.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        return -candidates.losses_L
