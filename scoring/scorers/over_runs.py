"""Scores that only several runs can give: what they agree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals

NAN = float("nan")


@dataclass(frozen=True)
class DichotomousDifficulty(Scorer):
    """1 if every run is right, -1 if every run is wrong, 0 if they differ; high means easy.

    Dichotomous data difficulty, Meding et al. 2022 ("Trivial or Impossible"), section 3. With one run it is 1 or -1.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "labels"})
    meaning: ClassVar[Meaning] = "easy"

    def score(self, signals: Signals) -> Tensor:
        """Right (1) or wrong (-1) in this run, (B,)."""
        return 2 * signals.correct_B - 1

    def over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """The common value, 0 if there is none, NaN if no run saw the example."""
        low_N = torch.where(seen_RN, values_RN, 1.0).amin(dim=0)
        high_N = torch.where(seen_RN, values_RN, -1.0).amax(dim=0)
        return torch.where(seen_RN.any(dim=0), (low_N + high_N) / 2, NAN)

    def se_over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """NaN: agreement is no mean."""
        return torch.full_like(values_RN[0], NAN)


@dataclass(frozen=True)
class ConsensusLabel(Scorer):
    """The class that most runs predict, ties to the lowest index; high means nothing, it is a label.

    The consensus label of Kwok et al. 2024, for examples whose gold label is in doubt. A run whose outputs are NaN
    abstains.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"predictions"})
    meaning: ClassVar[Meaning] = "label"

    def score(self, signals: Signals) -> Tensor:
        """Predicted class of this run, (B,)."""
        return torch.where(signals.predictions_B < 0, NAN, signals.predictions_B.double())

    def over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """The most frequent value, NaN if no run has one."""
        sorted_RN = torch.where(seen_RN, values_RN, NAN).sort(dim=0).values  # NaN sorts last
        votes_RN = (sorted_RN[:, None, :] == sorted_RN[None, :, :]).sum(dim=1)
        return sorted_RN.gather(0, votes_RN.argmax(dim=0, keepdim=True))[0]

    def se_over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """NaN: classes have no mean."""
        return torch.full_like(values_RN[0], NAN)
