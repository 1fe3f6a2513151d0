"""A value with its interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.errors import bad_value
from training.laws.form import Array


@dataclass(frozen=True)
class Interval:
    """An estimate between the ends of its interval at ``level``; NaN or infinite ends say that there is none."""

    value: float
    low: float
    high: float
    level: float

    @property
    def factor(self) -> float:
        """Upper over lower end of a positive quantity; infinite where the lower end is not above zero."""
        return self.high / self.low if self.low > 0 else float("inf")

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def percentile_interval(value: float, samples_B: Array, level: float) -> Interval:
    """The equal-tailed interval of samples; samples that are not finite count as beyond both ends."""
    level_checked(level)
    bad = ~np.isfinite(samples_B)
    tail = (1 - level) / 2
    low = float(np.quantile(np.where(bad, -np.inf, samples_B), tail, method="inverted_cdf"))
    high = float(np.quantile(np.where(bad, np.inf, samples_B), 1 - tail, method="inverted_cdf"))
    return Interval(value, low, high, level)


def wilson_interval(share: float, count: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a mean of ``count`` independent numbers in [0, 1].

    Made for what is 0 or 1 (Wilson 1927); numbers in between vary less, and the interval is then wider than need be.
    """
    from scipy.special import ndtri

    level_checked(level)
    square = float(ndtri(0.5 + level / 2)) ** 2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = np.sqrt(square * (share * (1 - share) / count + square / (4 * count**2))) / (1 + square / count)
    low, high = float(max(0.0, middle - half)), float(min(1.0, middle + half))
    return Interval(share, low, high, level)


def level_checked(level: float) -> None:
    """Refuse a level outside (0, 1)."""
    if not 0 < level < 1:
        raise bad_value("level", "laws", level, "between 0 and 1")
