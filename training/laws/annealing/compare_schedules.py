"""Which learning-rate schedule is predicted to end lowest, and for which others that cannot be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scoring.errors import bad_value
from training.laws.annealing.curve_bootstrap import CurveBootstrap
from training.laws.annealing.schedules import Schedule
from training.laws.cautions import Caution
from training.laws.uncertainty.interval import Interval, percentile_interval


@dataclass(frozen=True)
class ScheduleComparison:
    """Last losses by schedule, and by how much each ends above the ``best`` one, with intervals for new runs.

    ``undecided`` are those whose interval reaches down to 0 or below: they may be the better ones.
    """

    final: Mapping[str, Interval]
    best: str
    behind: Mapping[str, Interval]
    undecided: tuple[str, ...]
    cautions: tuple[Caution, ...]


def compare_schedules(
    law: CurveBootstrap,
    schedules: Mapping[str, Schedule],
    *,
    N: float | None = None,
    level: float = 0.95,
) -> ScheduleComparison:
    """Predict the last loss under every schedule: ``compare_schedules(resample_curves(law), {"cosine": ..., ...})``.

    Differences are taken within refits, so what all schedules share cancels; the misfit of the law does not. It is that
    of shapes which were fitted: on the 100M curves of Luo et al. the momentum law puts the end of a WSD schedule 0.7 %
    too low, beyond its interval, as no curve that it saw ends in a decay; the multi-power law is off by 0.3 %.
    """
    if len(schedules) < 2:
        raise bad_value("schedules", "compare_schedules", len(schedules), "at least 2")
    names = list(schedules)
    value = {name: float(law.law.predict(schedule, None, N)[0]) for name, schedule in schedules.items()}
    draws = law.final_losses(list(schedules.values()), N)
    final = {name: percentile_interval(value[name], draws[:, k], level) for k, name in enumerate(names)}
    best = min(names, key=lambda name: value[name])
    lowest = draws[:, names.index(best)]
    behind = {
        name: percentile_interval(value[name] - value[best], draws[:, k] - lowest, level)
        for k, name in enumerate(names)
        if name != best
    }
    undecided = tuple(name for name, gap in behind.items() if not gap.low > 0)
    beyond = [caution for schedule in schedules.values() for caution in law.law.reaches_beyond(schedule)]
    found = dict.fromkeys([*law.law.cautions, *law.cautions, *beyond])
    return ScheduleComparison(final, best, behind, undecided, tuple(found))
