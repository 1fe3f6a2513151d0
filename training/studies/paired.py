"""Two ways of doing something, run with the same seeds: is one better, or can these runs not tell?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value

Verdict = Literal["better", "worse", "cannot tell"]


@dataclass(frozen=True)
class Difference:
    """Mean of one minus the other over S seeds, with the 95 % t interval of the paired differences."""

    mean: float
    low: float
    high: float
    seeds: int

    def verdict(self, higher_is_better: bool = True) -> Verdict:
        """``better`` or ``worse`` only where the interval excludes zero."""
        if not (self.low > 0 or self.high < 0):
            return "cannot tell"
        return "better" if (self.low > 0) == higher_is_better else "worse"


def paired_difference(values_S: npt.ArrayLike, baseline_S: npt.ArrayLike) -> Difference:
    """Difference of two rows of results that share their seeds, in the same order.

    The seed decides the initial weights and the order of the data, so part of the noise cancels in the difference.
    With one seed there is no interval: it is infinite, and the verdict is ``cannot tell``. The t interval supposes
    differences that are roughly normal; few seeds make it wide, which is the honest answer.
    """
    values, baseline = np.asarray(values_S, dtype=np.float64), np.asarray(baseline_S, dtype=np.float64)
    if values.shape != baseline.shape or values.ndim != 1 or len(values) == 0:
        raise bad_value(
            "values", "paired_difference", values.shape, f"one value per seed, like {baseline.shape}"
        )
    differences = values - baseline
    mean, seeds = float(differences.mean()), len(differences)
    if seeds == 1:
        return Difference(mean, -np.inf, np.inf, 1)
    from scipy.special import stdtrit

    half = float(stdtrit(seeds - 1, 0.975) * differences.std(ddof=1) / np.sqrt(seeds))
    return Difference(mean, mean - half, mean + half, seeds)
