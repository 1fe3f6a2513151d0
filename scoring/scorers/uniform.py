"""The random score: the baseline that every other score is measured against."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scoring.errors import bad_value
from scoring.hashing import uniform
from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals


@dataclass(frozen=True)
class Random(Scorer):
    """A uniform number in [0, 1) from the hash of (seed, id); high means nothing.

    The same in every run, order and shard (hash: splitmix64, Steele et al. 2014).
    """

    seed: int = 0
    needs: ClassVar[frozenset[str]] = frozenset()
    meaning: ClassVar[Meaning] = "arbitrary"

    def __post_init__(self) -> None:
        if not isinstance(self.seed, int) or isinstance(self.seed, bool):
            raise bad_value("seed", "random", self.seed, "a whole number")

    def score(self, signals: Signals) -> Tensor:
        """Uniform numbers, (B,)."""
        return torch.from_numpy(uniform(self.seed, signals.ids_B))

    def over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """The number itself, the same in all runs; a mean would round its last bit."""
        some_N = torch.where(seen_RN, values_RN, -1.0).amax(dim=0)
        return torch.where(some_N < 0, float("nan"), some_N)
