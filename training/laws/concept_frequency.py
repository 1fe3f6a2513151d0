"""Accuracy on a concept against how often it was seen in training (Udandarao et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.evaluations.correlations import (
    canonical_order,
    finite_interval,
    paired_columns,
    resample_weights,
    weighted_pearson,
)
from training.laws.form import Array
from training.laws.uncertainty.interval import Interval, level_checked, wilson_interval

FEW_BINS = 3
FEW_CONCEPTS = 10


@dataclass(frozen=True)
class FrequencyBin:
    """The concepts seen ``low`` to below ``high`` times; ``accuracy`` is their mean with Wilson's interval.

    ``mean_log10`` is the mean log10 of their counts; NaN for the bin of concepts never seen, 0 to below 1.
    """

    low: float
    high: float
    concepts: int
    accuracy: Interval
    mean_log10: float


@dataclass(frozen=True)
class ConceptFrequency:
    """The line accuracy = intercept + slope log10 count over the concepts seen at least once, and means by decade.

    ``slope`` is accuracy gained per tenfold count. ``r`` is Pearson's over concepts, ``r_bins`` over the means of
    decades, which hides the spread within them: high values of it are no evidence that single concepts follow.
    """

    bins: tuple[FrequencyBin, ...]
    slope: Interval
    intercept: float
    r: Interval
    r_bins: float
    seen: int
    never: int
    cautions: tuple[Caution, ...]

    def predict(self, count: npt.ArrayLike) -> Array:
        """Accuracy at a count above 0; the line, so it may leave [0, 1]."""
        counts = np.asarray(count, dtype=np.float64)
        if not (counts > 0).all():
            raise bad_value("count", "concept_frequency", float(counts.min()), "above 0")
        found: Array = self.intercept + self.slope.value * np.log10(counts)
        return found


def concept_frequency(
    counts: npt.ArrayLike,
    accuracy: npt.ArrayLike,
    *,
    resamples: int = 2_000,
    level: float = 0.95,
    seed: int = 0,
) -> ConceptFrequency:
    """Fit accuracy (N,) in [0, 1] of N concepts, usually classes, against the log10 of their counts in training data.

    Least squares over concepts, each counting once; bins are decades, 1-9, 10-99 and so on, with those never seen in a
    bin of their own, since log10 0 is no point of the line. Intervals of slope and r are percentile intervals over
    resampled concepts; Wilson's of a bin takes each of its concepts as one draw, and is on the wide side.
    """
    level_checked(level)
    seen_N, right_N = paired_columns("concept_frequency", 3, counts=counts, accuracy=accuracy)
    if (seen_N < 0).any() or ((seen_N > 0) & (seen_N < 1)).any():
        bad = float(seen_N[(seen_N < 1) & (seen_N != 0)].min())
        raise bad_value("counts", "concept_frequency", bad, "0, or 1 and more")
    if (right_N < 0).any() or (right_N > 1).any():
        worst = float(right_N[np.abs(right_N - 0.5).argmax()])
        raise bad_value("accuracy", "concept_frequency", worst, "in [0, 1]")
    order = canonical_order(seen_N, right_N)
    seen_N, right_N = seen_N[order], right_N[order]
    known = seen_N > 0
    x, y = np.log10(seen_N[known]), right_N[known]
    if len(np.unique(x)) < 2:
        raise InputError("concept_frequency: concepts of at least 2 different counts above 0 are needed.")
    weights, once = resample_weights(len(x), resamples, seed), np.ones((1, len(x)))
    slope, r = float(_slopes(x, y, once)[0]), float(weighted_pearson(x, y, once)[0])
    r_interval = finite_interval(r, weighted_pearson(x, y, weights), level)
    bins = _bins(seen_N, right_N, level)
    decades = [b for b in bins if b.low >= 1]
    return ConceptFrequency(
        bins,
        finite_interval(slope, _slopes(x, y, weights), level),
        float(y.mean() - slope * x.mean()),
        r_interval,
        _r_bins(decades),
        len(x),
        len(seen_N) - len(x),
        _cautions(len(x), len(decades), r_interval),
    )


def _slopes(x: Array, y: Array, weights_BN: Array) -> Array:
    """Least-squares slope of y on x of every resample, (B,); NaN where x is constant."""
    share = weights_BN / weights_BN.sum(axis=1, keepdims=True)
    dx = x - (share @ x)[:, None]
    square = (share * dx * dx).sum(axis=1)
    varies = square > 1e-20
    found: Array = np.where(varies, (share * dx * y).sum(axis=1) / np.where(varies, square, 1.0), np.nan)
    return found


def _bins(counts: Array, accuracy: Array, level: float) -> tuple[FrequencyBin, ...]:
    """The bin of zero and the decades that hold a concept, ascending."""
    # the number of digits before the point: no logarithm that rounding could push over a border
    decade = np.array([0 if count == 0 else len(str(int(count))) for count in counts.tolist()])
    found = []
    for d in np.unique(decade).tolist():
        inside = decade == d
        low, high = (0.0, 1.0) if d == 0 else (10.0 ** (d - 1), 10.0**d)
        mean_log10 = float(np.log10(counts[inside]).mean()) if d else float("nan")
        mean = wilson_interval(float(accuracy[inside].mean()), int(inside.sum()), level)
        found.append(FrequencyBin(low, high, int(inside.sum()), mean, mean_log10))
    return tuple(found)


def _r_bins(decades: list[FrequencyBin]) -> float:
    """Pearson's r over the means of the decades; NaN with fewer than 3."""
    if len(decades) < FEW_BINS:
        return float("nan")
    x = np.array([b.mean_log10 for b in decades])
    y = np.array([b.accuracy.value for b in decades])
    return float(weighted_pearson(x, y, np.ones((1, len(x))))[0])


def _cautions(concepts: int, decades: int, r: Interval) -> tuple[Caution, ...]:
    found = []
    if concepts < FEW_CONCEPTS:
        found.append(Caution("few_runs", f"only {concepts} concepts that were seen at all."))
    if decades < FEW_BINS:
        found.append(
            Caution(
                "flat", f"counts span {decades} decades only; a line on their logarithm is hardly tested."
            )
        )
    if not (r.low > 0 or r.high < 0):
        found.append(Caution("unrelated", "the interval of r includes zero: frequency may not matter here."))
    return tuple(found)
