"""The most uncertain predictions of the draw."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class Entropy:
    """Entropy of the prediction in nats: uncertainty sampling. Labels play no part."""

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        log_probs_LC = candidates.log_probs_LC
        probs_LC = np.exp(log_probs_LC)
        # 0 log 0 is 0
        return np.asarray(-np.where(probs_LC > 0, probs_LC * log_probs_LC, 0.0).sum(axis=1))
