"""How much of what an architecture keeps would its own next runs keep? The ceiling of any stand-in for it.

Two halves of the runs keep two sets. Their overlap gives the correlation of a Gaussian copula that would part them so
(``kept_overlap``), that correlation the reliability of a single run, and Spearman-Brown the correlation, and so the
overlap, of two means over as many runs as there are. The copula stands for the ranking near the cut alone, as a
tetrachoric correlation does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats, chance_in_top
from scoring.compare.reliability.kept_overlap import expected_overlap
from scoring.compare.reliability.run_groups import half_splits

SPLITS = 10
"""Most splits into halves that are averaged."""


class OverlapScale:
    """Overlaps of kept sets of one share and the correlations of the copula that give them, by a table."""

    def __init__(self, share: float) -> None:
        self.share = share
        # Even in the angle arcsin r, in which the overlap is nearly straight up to r = 1.
        self._correlations = np.sin(np.linspace(0, np.pi / 2, 513))
        self._overlaps = np.array([expected_overlap(min(r, 1.0), share) for r in self._correlations])

    def correlation(self, overlap: float) -> float:
        """0 for an overlap at chance or below."""
        return float(np.interp(overlap, self._overlaps, self._correlations))

    def overlap(self, correlation: float) -> float:
        """Of a correlation from 0 to 1."""
        return float(np.interp(correlation, self._correlations, self._overlaps))


def single_reliability(correlation: float, a: int, b: int) -> float:
    """Reliability t of one run from the correlation r of two means over a and b runs.

    r = t / sqrt((t + (1 - t) / a) (t + (1 - t) / b)), solved for t; r from 0 to 1.
    """
    square = correlation**2
    first, second = a * b - square * (a - 1) * (b - 1), square * (a + b - 2)
    return float((second + np.sqrt(second**2 + 4 * first * square)) / (2 * first))


def self_overlap(values_RN: npt.ArrayLike, kept: int, scale: OverlapScale, seed: int) -> tuple[float, Floats]:
    """Expected share of the kept that two means over R fresh runs each have in common; the same without each run.

    Args:
        values_RN: R runs, high = hard, finite.
        kept: size of the kept set.
        scale: of the share ``kept / N``.
        seed: decides which splits are averaged where there are more than ``SPLITS``.

    Returns:
        The overlap, and its replicates for a jackknife, (R,), all of R runs. NaN of one run; no replicates of two.
    """
    values = np.asarray(values_RN, dtype=np.float64)
    runs = len(values)
    whole: list[float] = []
    left_out: list[list[float]] = [[] for _ in range(runs)]
    for halves in half_splits(runs, SPLITS, seed):
        sums = [values[half].sum(axis=0) for half in halves]
        sets = [chance_in_top(total, kept) for total in sums]
        sizes = [len(half) for half in halves]
        whole.append(_reliability(scale, sets[0], sets[1], kept, *sizes))
        # The same split without one run each, so that which splits were drawn does not tell the runs apart.
        for side, half in enumerate(halves):
            for run in half if sizes[side] > 1 else ():
                rest = chance_in_top(sums[side] - values[run], kept)
                left_out[run].append(
                    _reliability(scale, rest, sets[1 - side], kept, sizes[side] - 1, sizes[1 - side])
                )

    def ceiling(reliabilities: list[float]) -> float:
        one = float(np.mean(reliabilities)) if reliabilities else float("nan")
        return scale.overlap(runs * one / (1 + (runs - 1) * one))

    return ceiling(whole), np.array([ceiling(each) for each in left_out])


def _reliability(scale: OverlapScale, a_N: Floats, b_N: Floats, kept: int, a: int, b: int) -> float:
    return single_reliability(scale.correlation(float(a_N @ b_N) / kept), a, b)
