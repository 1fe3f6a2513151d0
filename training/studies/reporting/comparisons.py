"""Every way against random shares of its size, each verdict by itself and beside what chance alone would call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.studies.outcomes import FEWEST, Outcome, higher_is_better
from training.studies.paired import Difference, Verdict
from training.studies.reporting.results import Results, asked_for

ALPHA = 0.05
"""Of one verdict: its interval is of 95 %."""
ROUNDING = 1e-9
"""Of the mean: a spread below it is that of rounding."""


@dataclass(frozen=True)
class Comparison:
    """One way at one budget against the plain random share.

    Attributes:
        p: Of the paired t-test that the interval belongs to (p < .05 where it leaves out zero); NaN if there is none.
        holm: p adjusted over all comparisons of the study by Holm (1979).
        bh: The false discovery rate at which it is among the discoveries, Benjamini & Hochberg (1995).
    """

    outcome: Outcome
    difference: Difference
    verdict: Verdict | None
    p: float
    holm: float
    bh: float

    @property
    def tested(self) -> bool:
        """Whether a verdict was possible: three seeds or more, and finite values."""
        return not math.isnan(self.p)

    @property
    def direction(self) -> Verdict:
        """Which side of zero the mean lies on; not a verdict."""
        mean = self.difference.mean
        if mean == 0 or math.isnan(mean):
            return "cannot tell"
        return "better" if (mean > 0) == higher_is_better(self.outcome.metric) else "worse"


@dataclass(frozen=True)
class Counts:
    """How many comparisons there are, and how many are called."""

    tested: int
    better: int
    worse: int
    better_holm: int
    worse_holm: int
    better_bh: int
    worse_bh: int
    untested: int
    """Too few seeds, or values that are not finite."""

    @property
    def by_chance(self) -> float:
        """How many would be called, half of them better, if no way differed from random.

        It holds for comparisons that depend on each other, as those do that share a random share; only the spread
        around it is larger then.
        """
        return ALPHA * self.tested


def compare_with_random(results: Results) -> list[Comparison]:
    """All ways asked for, in all worlds, budgets and splits, adjusted together."""
    pairs = [
        (each, each.against_random)
        for each in results.everything
        if asked_for(each) and each.against_random is not None
    ]
    p_N = np.array([p_value(difference) for _, difference in pairs])
    holm_N, bh_N = np.full(len(p_N), np.nan), np.full(len(p_N), np.nan)
    tested = np.isfinite(p_N)
    if tested.any():
        from scoring.compare.sensitive.multiple_testing import benjamini_hochberg

        holm_N[tested], bh_N[tested] = holm(p_N[tested]), benjamini_hochberg(p_N[tested])
    return [
        Comparison(
            each, difference, each.called(difference) if np.isfinite(p) else None, float(p), float(h), float(q)
        )
        for (each, difference), p, h, q in zip(pairs, p_N, holm_N, bh_N)
    ]  # fmt: skip


def count(comparisons: Sequence[Comparison]) -> Counts:
    """Over some comparisons."""
    tested = [each for each in comparisons if each.tested]

    def called(verdict: str, attribute: str) -> int:
        return sum(each.direction == verdict and getattr(each, attribute) < ALPHA for each in tested)

    return Counts(
        len(tested), sum(each.verdict == "better" for each in tested),
        sum(each.verdict == "worse" for each in tested), called("better", "holm"), called("worse", "holm"),
        called("better", "bh"), called("worse", "bh"), len(comparisons) - len(tested),
    )  # fmt: skip


def p_value(difference: Difference | None) -> float:
    """Two-sided, of the paired t-test behind the interval; NaN with fewer than 3 seeds or values that are not finite.

    Differences that are all the same have no spread: 1 if they are zero; else not the 0 of the t-test but what equal
    signs say, 2^(1 - S), or less than .05 as the interval says. Accuracies come in steps of a test example: with true
    differences around 0 of about one step, 3 in 100 are alike at 3 seeds, and 0 would pass any adjustment.
    """
    if difference is None or difference.seeds < FEWEST:
        return math.nan
    half = (difference.high - difference.low) / 2
    if not (math.isfinite(difference.mean) and math.isfinite(half)):
        return math.nan
    if half <= ROUNDING * abs(difference.mean):
        return 1.0 if difference.mean == 0 else min(math.nextafter(ALPHA, 0), 2.0 ** (1 - difference.seeds))
    from scipy.special import stdtr, stdtrit

    freedom = difference.seeds - 1
    t = abs(difference.mean) / half * float(stdtrit(freedom, 1 - ALPHA / 2))
    return float(2 * stdtr(freedom, -t))


def holm(p_N: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Holm's step-down adjustment: p_(i) becomes max over j <= i of (N - j + 1) p_(j), at most 1."""
    order = np.argsort(p_N, kind="stable")
    stepped = np.maximum.accumulate((len(p_N) - np.arange(len(p_N))) * p_N[order])
    adjusted = np.empty_like(p_N)
    adjusted[order] = np.minimum(stepped, 1)
    return adjusted


def interval_of_mean(outcome: Outcome) -> tuple[float, float]:
    """The 95 % t interval of the mean over seeds; NaN for one seed."""
    seeds = len(outcome.values)
    if seeds < 2:
        return math.nan, math.nan
    from scipy.special import stdtrit

    half = float(stdtrit(seeds - 1, 1 - ALPHA / 2)) * outcome.sd / math.sqrt(seeds)
    return outcome.mean - half, outcome.mean + half
