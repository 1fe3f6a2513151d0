"""Relative error change and data efficiency of every cell of a study, as the production table of Anand et al. 2023."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from scoring.errors import InputError, bad_value, unknown_name
from training.measures.fieller import ratio_change
from training.studies.outcomes import FEWEST, Outcome, higher_is_better, outcomes
from training.studies.paired import Difference, Verdict
from training.studies.ways import ALL, PLAIN_RANDOM, STRATIFIED_RANDOM

OWNER = "relative_error"
AGAINST = (ALL, PLAIN_RANDOM.name, STRATIFIED_RANDOM.name)


@dataclass(frozen=True)
class RelativeError:
    """How much more a model errs than one trained on something else; negative is better.

    Attributes:
        outcome: The cell: its variant, model, regime, way, budget and values.
        against: What it is compared with: ``all``, or a random share of the same budget.
        error: Mean over the seeds that both have.
        baseline: The same of what it is compared with.
        percent: 100 (ER - ER of the baseline) / (ER of the baseline), with its 95 % interval (``fieller``).
        sigma: Data efficiency, ``percent`` over dd/d = rows / (rows of all) - 1 as a fraction, which is how the paper's
            sigma is scaled; None where the baseline is not ``all`` or nothing was removed. Near 0 is best: -10 is 10 %
            more errors for all of the data, in proportion.
    """

    outcome: Outcome
    against: str
    error: float
    baseline: float
    percent: Difference
    sigma: Difference | None

    @property
    def verdict(self) -> Verdict:
        """``better`` or ``worse`` only with 3 seeds and an interval that excludes zero."""
        return self.percent.verdict(higher_is_better=False) if self.percent.seeds >= FEWEST else "cannot tell"


def relative_errors(
    study: pa.Table,
    metric: str = "accuracy",
    *,
    against: str = ALL,
    split: str | None = None,
    group: str = "",
) -> list[RelativeError]:
    """Every way of choosing at every budget, paired with ``against`` of the same variant, model, regime and seeds.

    ER is 1 - metric where more of the metric is better (a share in [0, 1]), else the metric itself. Anand et al. 2023,
    section 5, give (ER - ER_all) / ER_all in percent and sigma_ER = (dER/ER) / (dd/d). Over seeds it is the ratio of
    means; see ``fieller.ratio_change``. The interval is over what the seeds vary: the same test examples are behind all
    of them, and how those were sampled is not in it.

    Args:
        study: A run table.
        metric, split, group: As for ``outcomes``; ``group="class:alarm"`` compares errors on one class.
        against: ``all``, ``random`` or ``stratified random``.

    Raises:
        InputError: What ``outcomes`` refuses, a metric that is no share, or no runs of ``against``.
    """
    if against not in AGAINST:
        raise unknown_name("against", OWNER, against, AGAINST)
    found = outcomes(study, metric, split=split, group=group)
    if higher_is_better(metric) and not all(0 <= v <= 1 for each in found for v in each.values.values()):
        raise bad_value("metric", OWNER, metric, "a share in [0, 1] such as accuracy, or an error or loss")
    bases = {_world(each, against): each for each in found if each.way == against}
    if not bases:
        raise InputError(f"{OWNER}: the study has no finished runs of {against!r} to compare with.")
    return [
        _compare(each, bases[_world(each, against)], against)
        for each in found
        if each.way not in (ALL, against) and _world(each, against) in bases
    ]


def data_efficiency(percent: Difference, keep: float) -> Difference | None:
    """``percent`` per share of data removed, keep - 1; None where nothing was."""
    removed = keep - 1
    if removed == 0:
        return None
    low, high = sorted((percent.low / removed, percent.high / removed))
    return Difference(percent.mean / removed, low, high, percent.seeds)


def _world(outcome: Outcome, against: str) -> tuple[str | None, ...]:
    budget = None if against == ALL else outcome.budget
    return (outcome.variant, outcome.model, outcome.regime, budget)


def _compare(outcome: Outcome, base: Outcome, against: str) -> RelativeError:
    seeds = sorted(outcome.values.keys() & base.values.keys())
    if not seeds:
        raise InputError(f"{OWNER}: {outcome.way!r} and {against!r} share no seeds.")
    turned = higher_is_better(outcome.metric)

    def errors(of: Outcome) -> list[float]:
        return [1 - of.values[seed] if turned else of.values[seed] for seed in seeds]

    mine, theirs = errors(outcome), errors(base)
    change = ratio_change(mine, theirs)
    percent = Difference(100 * change.mean, 100 * change.low, 100 * change.high, change.seeds)
    sigma = data_efficiency(percent, outcome.keep) if against == ALL and outcome.keep is not None else None
    return RelativeError(outcome, against, sum(mine) / len(seeds), sum(theirs) / len(seeds), percent, sigma)
