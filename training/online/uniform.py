"""The baseline: any of the draw, at no cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class Uniform:
    """A random part of the draw; of equal values the lowest hashes of (seed, step, id) are taken."""

    needs: ClassVar[frozenset[str]] = frozenset()

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        return np.zeros(len(candidates.labels_L))
