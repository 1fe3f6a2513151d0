"""The scale on which averaging over runs moves a measure: odds of the reliability behind it.

Averaging n runs multiplies the odds r / (1 - r) of a reliability by n (``spearman_brown``). A correlation is taken for
the reliability itself. Behind an overlap of kept sets stands the correlation at which a Gaussian copula gives that
overlap (``kept_overlap``): the reliability around the cut, where noise may be other than among all examples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from scoring.compare.intervals.over_pairs import Interval
from scoring.compare.ranks import Floats
from scoring.compare.reliability.kept_overlap import expected_overlap, pearson_of_overlap
from scoring.compare.reliability.spearman_brown import spearman_brown


@dataclass(frozen=True)
class Scale:
    """Between a measure and its reliability."""

    share: float | None = None
    """Kept share, for overlaps; None for correlations."""

    def reliability(self, value: float) -> float:
        """The reliability behind a value; NaN of NaN."""
        if self.share is None or np.isnan(value):
            return value
        return pearson_of_overlap(value, self.share)

    def value(self, reliability: float) -> float:
        """The value that a reliability gives."""
        return reliability if self.share is None else expected_overlap(reliability, self.share)

    def log_odds(self, values: Floats) -> Floats:
        """log(r / (1 - r)) of the reliability r; infinite or NaN unless 0 < r < 1."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(logit(self._reliabilities(values)))

    def fisher_z(self, values: Floats) -> Floats:
        """arctanh of the reliability; infinite at -1 and 1."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.arctanh(self._reliabilities(values)))

    def of_fisher_z(self, z: float) -> float:
        """The value with this z."""
        return self.value(float(np.tanh(z)))

    def grown(self, value: float, factor: float) -> float:
        """The value after ``factor`` times as many runs; as it is where its reliability is not positive."""
        reliability = self.reliability(value)
        return self.value(min(1.0, spearman_brown(reliability, factor))) if reliability > 0 else value

    def around(self, value: float, reach: float) -> Interval | None:
        """``value`` minus and plus ``reach`` in log odds; None unless its reliability is inside 0 and 1."""
        middle = float(self.log_odds(np.array([value]))[0])
        if not np.isfinite(middle):
            return None
        return self.value(float(expit(middle - reach))), self.value(float(expit(middle + reach)))

    def _reliabilities(self, values: Floats) -> Floats:
        return np.array([self.reliability(float(value)) for value in values])
