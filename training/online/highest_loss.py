"""The largest losses of the draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class HighestLoss:
    """Train on what the model gets most wrong.

    Online hard example mining (Shrivastava et al. 2016); a baseline of Mindermann et al. 2022. Wrong labels have high
    losses: on noisy data it picks them.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        return candidates.losses_L
