"""How many runs are enough? Measured up to half of the runs there are; a prediction beyond.

k runs against k others need 2 k runs. What more runs would give is extrapolated from the largest measured k: the odds
of a reliability grow with the number of runs (Spearman-Brown, ``spearman_brown``). For the overlap of kept sets the
reliability is the correlation r at which a Gaussian copula gives the overlap that was measured, that is the
reliability around the cut. It differs from the correlation of all examples, since noise is not the same for easy and
hard ones; on digits an overlap computed from Spearman's correlation was wrong by up to .1 (continuous scores, 30 %
kept), the one extrapolated from the measured overlap by .04 at most. As more runs are averaged, errors become normal
and 1 - overlap falls as one over the root of their number, in this model as in truth.

Not predicted, with the reason: what is no better than chance, what ties break, and what did not follow the rule where
that could be checked, from half of the largest k to the largest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from scoring.compare.intervals.over_pairs import Interval, t_quantile
from scoring.compare.reliability.run_curve import Measure, RunCurve
from scoring.compare.reliability.spearman_brown import MOST_TIE_LOSS, runs_needed
from scoring.errors import bad_value

MOST_BY_LOT = 0.05
"""With a larger share of the kept set drawn by lot among ties, overlaps of more runs are not predicted."""
TOLERANCE = 0.05
"""So far may a prediction be off where it can be checked."""
MOST_REACH = 5.0
"""In log odds; a number of runs known to no better than a factor of 150 has no interval worth a name."""


@dataclass(frozen=True)
class Expected:
    """What so many runs give against as many others."""

    value: float
    interval: Interval | None
    """95 %, over runs."""
    predicted: bool
    """Whether it is extrapolated."""


@dataclass(frozen=True)
class RunsFor:
    """How many runs reach a target."""

    runs: int
    interval: tuple[int, int] | None
    predicted: bool


def expected(curve: RunCurve, measure: Measure, runs: int) -> Expected | None:
    """Correlation or overlap of means of ``runs`` runs; None where it cannot be predicted (see ``unpredictable``)."""
    if runs < 1:
        raise bad_value("runs", "expected", runs, "at least 1")
    largest = curve.largest
    if runs > largest.runs:
        if unpredictable(curve, measure):
            return None
        value = curve.scale(measure).grown(largest.measured(measure).value, runs / largest.runs)
    else:
        sizes = [point.runs for point in curve.points]
        value = float(np.interp(math.log(runs), np.log(sizes), _values(curve, measure)))
    measured = next((point.measured(measure) for point in curve.points if point.runs == runs), None)
    if measured is not None:
        return Expected(value, measured.interval, False)
    reach = _reach(curve, measure, runs)
    interval = None if reach is None else curve.scale(measure).around(value, reach)
    return Expected(value, interval, runs > largest.runs)


def runs_for(curve: RunCurve, measure: Measure, target: float) -> RunsFor | None:
    """The fewest runs whose means reach ``target``; None where they cannot be told (see ``unpredictable``)."""
    if not 0 < target < 1:
        raise bad_value("target", "runs_for", target, "between 0 and 1, both excluded")
    largest = curve.largest
    for runs in range(1, largest.runs + 1):
        found = expected(curve, measure, runs)
        if found is not None and found.value >= target:
            return RunsFor(runs, _range(curve, measure, runs), False)
    if unpredictable(curve, measure):
        return None
    scale = curve.scale(measure)
    reliability = scale.reliability(largest.measured(measure).value)
    factor = runs_needed(reliability, scale.reliability(target))
    runs = math.ceil(largest.runs * factor - 1e-9)
    return RunsFor(runs, _range(curve, measure, runs), True)


def unpredictable(curve: RunCurve, measure: Measure) -> str:
    """Why more runs than were measured cannot be predicted, in words; empty where they can."""
    reliability = curve.scale(measure).reliability(curve.largest.measured(measure).value)
    if np.isnan(reliability):
        return "some runs give all examples the same value"
    if reliability <= 0:
        return "runs agree no better than chance"
    if measure == "rho" and curve.tie_loss > MOST_TIE_LOSS:
        return f"ties take {curve.tie_loss:.0%} of the differences in rank"
    if measure == "overlap" and curve.largest.by_lot > MOST_BY_LOT:
        return f"{curve.largest.by_lot:.0%} of the kept would be drawn by lot among ties"
    missed = miss(curve, measure)
    if missed is not None and abs(missed) > TOLERANCE:
        return f"from half of these runs the same rule would have been wrong by {abs(missed):.2f}"
    return ""


def miss(curve: RunCurve, measure: Measure) -> float | None:
    """Predicted minus measured at the largest k, from at most half of it; None with fewer than four runs."""
    largest = curve.largest
    if largest.runs < 2:
        return None
    base = curve.of(largest.runs // 2)
    guess = curve.scale(measure).grown(base.measured(measure).value, largest.runs / base.runs)
    return guess - largest.measured(measure).value


def _values(curve: RunCurve, measure: Measure) -> list[float]:
    return [point.measured(measure).value for point in curve.points]


def _reach(curve: RunCurve, measure: Measure, runs: int) -> float | None:
    """Half the width of an interval in log odds; beyond what was measured, what the rule missed there is carried on."""
    error = curve.of(runs).measured(measure).error
    if error is None:
        return None
    return math.hypot(t_quantile(curve.runs) * error, _drift(curve, measure, runs))


def _drift(curve: RunCurve, measure: Measure, runs: int) -> float:
    """Log odds by which the rule is off at ``runs``, if it goes on to be off as it was from base to largest."""
    largest = curve.largest
    if runs <= largest.runs or largest.runs < 2:
        return 0.0
    base = curve.of(largest.runs // 2)
    ends = np.array([base.measured(measure).value, largest.measured(measure).value])
    before, after = curve.scale(measure).log_odds(ends)
    grown = math.log(largest.runs / base.runs)
    missed = float(after - before) - grown
    return abs(missed) * math.log(runs / largest.runs) / grown if math.isfinite(missed) else 0.0


def _range(curve: RunCurve, measure: Measure, runs: int) -> tuple[int, int] | None:
    """Odds that may be wrong by a factor ask for a number of runs that may be wrong by the same."""
    reach = _reach(curve, measure, runs)
    if reach is None or reach > MOST_REACH:
        return None
    return max(1, math.floor(runs / math.exp(reach))), math.ceil(runs * math.exp(reach))
