"""Selective backprop: large losses with a higher probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.errors import bad_value
from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class SelectiveBackprop:
    """Draw with weights CDF(loss)^beta, without replacement.

    Jiang et al. 2019 ("Accelerating Deep Learning by Focusing on the Biggest Losers"): an example is taken
    with probability CDF(loss)^beta, the CDF being of the last R losses, until a batch is full. Here the draw has a
    fixed size, the CDF is that of the draw itself (rank over L, equal losses share the highest), and the B largest of
    log(u) / weight are taken (Efraimidis and Spirakis 2006), so that probabilities are in proportion to weights only
    for the first one taken.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    beta: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.beta, int | float) and 0 < self.beta < math.inf):
            raise bad_value("beta", "selective_backprop", self.beta, "a positive number")

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        losses_L = candidates.losses_L
        cdf_L = np.searchsorted(np.sort(losses_L), losses_L, side="right") / len(losses_L)
        # Weights of ranks to a high power underflow; no key may be NaN.
        weights_L = np.maximum(cdf_L**self.beta, np.finfo(np.float64).tiny)
        return np.asarray(np.log(candidates.uniform_L) / weights_L)
