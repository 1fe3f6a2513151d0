"""Calibration: whether predicted probabilities are as often right as they say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value, unknown_name

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Binning = Literal["equal_width", "equal_mass"]
BINNINGS = ("equal_width", "equal_mass")
BINS = 15
"""As Guo et al. 2017, table 1."""


@dataclass(frozen=True)
class ReliabilityBins:
    """Examples by confidence, M bins from low to high; what a reliability diagram draws.

    Attributes:
        count_M: Examples; a bin may be empty.
        confidence_M, accuracy_M: Means; NaN in an empty bin.
    """

    count_M: IntArray
    confidence_M: FloatArray
    accuracy_M: FloatArray

    @property
    def error(self) -> float:
        """Expected calibration error: sum over bins of count / N * \\|accuracy - confidence\\|, in [0, 1]."""
        filled = self.count_M > 0
        gaps = np.abs(self.accuracy_M[filled] - self.confidence_M[filled])
        return float((self.count_M[filled] * gaps).sum() / self.count_M.sum())


def reliability_bins(
    confidence_N: npt.ArrayLike, right_N: npt.ArrayLike, bins: int = BINS, binning: Binning = "equal_width"
) -> ReliabilityBins:
    """Top-label confidences and whether the prediction was right, in bins.

    ``equal_width``: bin m of M holds confidences in ((m - 1) / M, m / M] (Guo et al. 2017, section 2). ``equal_mass``:
    the examples in order of confidence, cut into M parts whose sizes differ by one at most (Nguyen and O'Connor 2015;
    "adaptive" in Nixon et al. 2019, who do it class by class); fewer than M examples have a bin each. Where a cut falls
    between equal confidences, each of these counts as right as often as all of them are, so the order of rows never
    matters.
    """
    confidence, right = np.asarray(confidence_N, dtype=np.float64), np.asarray(right_N, dtype=np.float64)
    if confidence.ndim != 1 or confidence.shape != right.shape or len(confidence) == 0:
        raise bad_value("confidence", "calibration", confidence.shape, "one per example, as is right")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise bad_value("confidence", "calibration", "others", "in [0, 1]")
    if not isinstance(bins, int) or bins < 1:
        raise bad_value("bins", "calibration", bins, "a whole number from 1")
    if binning == "equal_width":
        bin_N = np.searchsorted(np.arange(1, bins) / bins, confidence, side="left")
    elif binning == "equal_mass":
        _, tie_N, ties = np.unique(confidence, return_inverse=True, return_counts=True)
        right = (np.bincount(tie_N, right) / ties)[tie_N]
        rank_N = np.empty(len(confidence), dtype=np.int64)
        rank_N[np.argsort(confidence, kind="stable")] = np.arange(len(confidence))
        bin_N = rank_N * bins // len(confidence)
    else:
        raise unknown_name("binning", "calibration", str(binning), BINNINGS)
    count = np.bincount(bin_N, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(bin_N, values, bins) / count for values in (confidence, right)]
    return ReliabilityBins(count, means[0], means[1])


def calibration_error(
    confidence_N: npt.ArrayLike, right_N: npt.ArrayLike, bins: int = BINS, binning: Binning = "equal_width"
) -> float:
    """Expected calibration error of the top label (Naeini et al. 2015; Guo et al. 2017, eq. 3); see the bins.

    Biased upwards where bins hold few examples: a calibrated model does not get 0, and errors of test sets of
    different sizes do not compare.
    """
    return reliability_bins(confidence_N, right_N, bins, binning).error


def brier_score(probs_NC: npt.ArrayLike, labels_N: npt.ArrayLike) -> float:
    """Mean over examples of sum_k (p_k - [y = k])^2, from 0 to 2 (Brier 1950); halved it is the binary one."""
    probs, labels = np.asarray(probs_NC, dtype=np.float64), np.asarray(labels_N, dtype=np.int64)
    gold = probs[np.arange(len(labels)), labels]
    return float((np.square(probs).sum(axis=1) - 2 * gold + 1).mean())
