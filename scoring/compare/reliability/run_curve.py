"""How alike the means of k runs and of k other runs rank the examples, for every k that the runs allow.

The mean over runs is that of the values, turned so that high is hard; then Spearman's correlation and the overlap of
the kept sets. This is measured on disjoint groups of runs, so nothing is assumed. Kwok et al. 2024 (arXiv 2401.01867)
compare scores before and after averaging replicates in this way. For EL2N at an early epoch on CIFAR-10, ten public
seeds of another implementation give about .5 for single runs and .84 for 5 against 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.compare.intervals.over_pairs import Interval, error_on_scale, pair_interval, t_quantile
from scoring.compare.kept_sets import kept_count
from scoring.compare.ranks import Floats
from scoring.compare.reliability.group_means import FAR, Compared, compare_groups
from scoring.compare.reliability.growth import Scale
from scoring.compare.reliability.run_groups import group_sizes, run_groups
from scoring.errors import bad_value

Measure = Literal["rho", "overlap"]


@dataclass(frozen=True)
class Measured:
    """A mean over splits of the runs into two groups."""

    value: float
    """NaN where a mean of runs is the same for all examples."""
    spread: Interval
    """5 % and 95 % of the splits. Splits share runs: this is no interval of the mean."""
    interval: Interval | None
    """95 %, over runs; None with fewer than three runs, and of means that agree no better than chance."""
    error: float | None
    """Standard error of the log odds of the reliability behind it (``growth``), on which more runs only add."""


@dataclass(frozen=True)
class Point:
    """Means of ``runs`` runs against means of as many others."""

    runs: int
    splits: int
    """How many pairs of disjoint groups were compared."""
    rho: Measured
    """Spearman's correlation."""
    overlap: Measured
    """Share of the kept set in common, ties at the cut broken at random in each set by itself."""
    by_lot: float
    """Share of the kept set that is drawn by lot among examples which tie at the cut."""

    def measured(self, measure: Measure) -> Measured:
        """One of the two."""
        return self.rho if measure == "rho" else self.overlap


@dataclass(frozen=True)
class RunCurve:
    """Agreement of k runs with k other runs, k = 1 .. R // 2."""

    runs: int
    rows: int
    kept: int
    """How many examples the kept set has."""
    tie_loss: float
    """Share of the variance of ranks that ties take in single runs, on average: 0 without ties, 1 of constants."""
    points: tuple[Point, ...]

    @property
    def single(self) -> Point:
        """One run against one."""
        return self.points[0]

    @property
    def largest(self) -> Point:
        """R // 2 runs against as many."""
        return self.points[-1]

    def of(self, runs: int) -> Point:
        """``runs`` against ``runs``, or the largest number below that was measured."""
        return max((point for point in self.points if point.runs <= runs), key=lambda point: point.runs)

    def scale(self, measure: Measure) -> Scale:
        """On which a measure grows with the number of runs."""
        return Scale() if measure == "rho" else Scale(self.kept / self.rows)


def run_curve(values_RN: npt.ArrayLike, *, keep: float = 0.3, seed: int = 0) -> RunCurve:
    """Measure it for one score of one architecture.

    Args:
        values_RN: one row per run, high = hard, free of NaN, (R, N) with R >= 2 and N >= 3.
        keep: share of the examples, the hardest, that is kept.
        seed: decides the random groups; with few runs all are taken.
    """
    values = np.asarray(values_RN, dtype=np.float64)
    if values.ndim != 2 or len(values) < 2 or values.shape[1] < 3 or np.isnan(values).any():
        raise bad_value("values_RN", "run_curve", values.shape, "(runs >= 2, examples >= 3), free of NaN")
    if not 0 < keep < 1:
        raise bad_value("keep", "run_curve", keep, "a fraction between 0 and 1, both excluded")
    if np.isinf(values).any():
        values = np.clip(values, -FAR, FAR)
    kept = min(kept_count(keep, values.shape[1]), values.shape[1] - 1)
    rng = np.random.default_rng(seed)
    points: list[Point] = []
    scales = Scale(), Scale(kept / values.shape[1])
    single: Compared | None = None
    errors: list[float | None] = []
    for size in group_sizes(len(values)):
        blocks = [compare_groups(values, groups_GK, kept) for groups_GK in run_groups(len(values), size, rng)]
        if single is None:
            single = blocks[0]
            errors = [
                error_on_scale(each_RR, scale.log_odds)
                for each_RR, scale in zip((single.rho_GG, single.overlap_GG), scales)
            ]
        rho = np.concatenate([block.rho_GG[block.pairs_GG] for block in blocks])
        overlap = np.concatenate([block.overlap_GG[block.pairs_GG] for block in blocks])
        points.append(
            Point(
                runs=size,
                splits=len(rho),
                rho=_measured(rho, size, single.rho_GG, errors[0], scales[0]),
                overlap=_measured(overlap, size, single.overlap_GG, errors[1], scales[1]),
                by_lot=float(np.concatenate([block.by_lot_G for block in blocks]).mean()),
            )
        )
    assert single is not None
    return RunCurve(len(values), values.shape[1], kept, float(single.tie_loss_G.mean()), tuple(points))


def _measured(
    splits: Floats, size: int, single_RR: Floats, single_error: float | None, scale: Scale
) -> Measured:
    """The mean over splits, with its error.

    Two parts: in log odds, runs that differ in quality leave the error that single runs have (``over_pairs``); and
    means of many runs form few independent pairs, about R / (2 k), so what splits differ by does not average out.
    Where runs differ little they err on the wide side; where noise differs much from run to run they are too narrow:
    lognormal(.6) noise per run, 10 runs, k = 5: 83 % of intervals hold the truth.
    """
    value, runs = float(splits.mean()), len(single_RR)
    spread: Sequence[float] = np.quantile(splits, [0.05, 0.95]).tolist()
    if size == 1:
        interval = pair_interval(single_RR, scale.fisher_z, scale.of_fisher_z)
        return Measured(value, (spread[0], spread[1]), interval, single_error)
    noise, error = _noise(splits, value, scale), None
    if single_error is not None and noise is not None:
        error = float(np.hypot(single_error, noise / np.sqrt(runs // (2 * size))))
    interval = None if error is None else scale.around(value, t_quantile(runs) * error)
    return Measured(value, (spread[0], spread[1]), interval, error)


def _noise(splits: Floats, value: float, scale: Scale) -> float | None:
    """Standard deviation of the splits in log odds, from the slope at their mean."""
    step = 1e-4 * min(value, 1 - value) if 0 < value < 1 else 0.0
    if step == 0:
        return None
    ends = scale.log_odds(np.array([value - step, value + step]))
    if not np.isfinite(ends).all():
        return None
    return float(splits.std(ddof=1) * (ends[1] - ends[0]) / (2 * step))
