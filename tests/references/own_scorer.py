"""A scorer as a user writes one, in a module that can be named."""

from dataclasses import dataclass
from typing import ClassVar

from scoring import Scorer


@dataclass(frozen=True)
class HalfLoss(Scorer):
    """Half the loss; high means hard (2026)."""

    factor: float = 0.5
    needs: ClassVar[frozenset[str]] = frozenset({"losses"})
    meaning: ClassVar[str] = "hard"

    def score(self, signals):
        return signals.losses_B * self.factor
