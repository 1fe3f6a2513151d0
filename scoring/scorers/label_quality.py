"""Label quality as in cleanlab: Kuan & Mueller 2022, "Model-agnostic label quality scoring to detect label errors".

They want probabilities of models that did not train on the example (``train_folds``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from scoring.meaning import Meaning
from scoring.scorer import Scorer
from scoring.signals import Signals

SMALLEST = 1e-6
LEAST_MEAN = 2e-6
DENORMAL = torch.finfo(torch.float64).tiny


@dataclass(frozen=True)
class _LabelQuality(Scorer):
    """``adjust``: judge each class by its own level, as cleanlab's ``adjust_pred_probs`` does: the mean probability
    that the model gives class k over the examples labelled k is taken from p_k, then all are shifted by the largest of
    these means and renormalised. The mean is at least 2e-6, and 2 for a class without examples, which is so never
    suggested. Rows with NaN are NaN and do not count in the means."""

    adjust: bool = False
    thresholds: tuple[float, ...] | None = field(default=None, repr=False)
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "labels"})
    meaning: ClassVar[Meaning] = "clean"

    @property
    def fits(self) -> bool:
        """Only to adjust."""
        return self.adjust and self.thresholds is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """Per class: how many examples, and the sum of their gold probabilities."""
        classes = signals.logits_BC.shape[1]
        zeros = torch.zeros(classes, dtype=torch.float64)
        known = ~signals.label_probs_B.isnan()
        return {
            "count": zeros.index_add(0, signals.labels_B, known.double()),
            "total": zeros.index_add(0, signals.labels_B, torch.where(known, signals.label_probs_B, 0.0)),
        }

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With the mean gold probability of every class."""
        floored_C = (sums["total"] / sums["count"]).clamp(min=LEAST_MEAN)
        means_C = torch.where(sums["count"] > 0, floored_C, 2.0)
        return replace(self, thresholds=tuple(means_C.tolist()))

    def probs(self, signals: Signals) -> Tensor:
        """Probabilities, adjusted if asked for, (B, C)."""
        if not self.adjust:
            return signals.probs_BC
        assert self.thresholds is not None, "adjust needs fit"
        means_C = torch.tensor(self.thresholds, dtype=torch.float64)
        shifted_BC = signals.probs_BC - means_C + means_C.max()
        return shifted_BC / shifted_BC.sum(dim=1, keepdim=True)

    def label_probs(self, signals: Signals) -> Tensor:
        """Probability of the gold label among ``probs``, (B,)."""
        return self.probs(signals).gather(1, signals.labels_B[:, None])[:, 0]


@dataclass(frozen=True)
class SelfConfidence(_LabelQuality):
    """Probability of the gold label; high means clean, low a suspected label error.

    Self-confidence, Kuan & Mueller 2022, section 2.
    """

    def score(self, signals: Signals) -> Tensor:
        """p_y, (B,)."""
        return self.label_probs(signals)


@dataclass(frozen=True)
class NormalizedMargin(_LabelQuality):
    """(p_y - max_{k != y} p_k + 1) / 2, in [0, 1]; high means clean.

    Normalized margin, Kuan & Mueller 2022, section 2.
    """

    def score(self, signals: Signals) -> Tensor:
        """Margin scaled to [0, 1], (B,)."""
        return (signals.margins(self.probs(signals)) + 1) / 2


@dataclass(frozen=True)
class ConfidenceWeightedEntropy(_LabelQuality):
    """log(1 + s) / s with s = entropy / (log C * p_y), in (0, 1]; high means clean.

    Confidence-weighted entropy, Kuan & Mueller 2022, section 2, in cleanlab's orientation (low = suspected error); p_y
    is at least 1e-6, as there. Two differences: cleanlab also divides by no less than 1e-6, so that a right prediction
    with s below that gets about s / 1e-6, in the limit the worst score of all, where the formula tends to 1, as here;
    and cleanlab refuses to ``adjust`` this score.
    """

    def score(self, signals: Signals) -> Tensor:
        """The score, (B,)."""
        probs_BC = self.probs(signals)
        entropy_B = torch.special.entr(probs_BC).sum(dim=1) / math.log(probs_BC.shape[1])
        ratio_B = entropy_B / self.label_probs(signals).clamp(min=SMALLEST)
        return torch.where(ratio_B < DENORMAL, 1.0, torch.log1p(ratio_B) / ratio_B)
