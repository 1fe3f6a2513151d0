"""What came of every way of choosing: mean and spread over seeds, and verdicts against both random baselines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.errors import InputError, unknown_name
from training.studies.paired import Difference, Verdict, paired_difference
from training.studies.ways import ALL, PLAIN_RANDOM, STRATIFIED_RANDOM

LOWER_IS_BETTER = ("loss", "ece", "brier", "error", "perplexity", "wrong")
FEWEST = 3
"""Seeds that a verdict needs."""

CELL_KEY = ("variant", "model", "regime", "way", "budget")


@dataclass(frozen=True)
class Outcome:
    """One way of choosing over its seeds, against random shares of the same budget."""

    variant: str | None
    model: str
    regime: str
    way: str
    by: str | None
    take: str
    options: str | None
    balance: str | None
    budget: str | None
    keep: float
    rows: int
    metric: str
    group: str
    split: str
    values: Mapping[int, float]
    """The metric of every seed."""
    mean: float
    sd: float
    """Over seeds, ddof 1; NaN for one seed."""
    against_random: Difference | None = None
    """None for the plain random share itself, and for all examples."""
    against_stratified: Difference | None = None
    """Against the class-stratified random share; None for itself and for all examples."""
    against_all: Difference | None = None
    """Against training on all examples; None for that."""

    def minus(self, other: Outcome) -> Difference | None:
        """The paired difference to another way over the seeds that both have, or None if there are none."""
        seeds = sorted(self.values.keys() & other.values.keys())
        if not seeds:
            return None
        return paired_difference([self.values[s] for s in seeds], [other.values[s] for s in seeds])

    def called(self, difference: Difference | None) -> Verdict | None:
        """A difference of this outcome in a word; with fewer than 3 seeds none can be told."""
        if difference is None:
            return None
        if difference.seeds < FEWEST:
            return "cannot tell"
        return difference.verdict(higher_is_better(self.metric))

    @property
    def verdict(self) -> Verdict | None:
        """Against the plain random share: ``better`` or ``worse`` if the paired 95 % interval excludes zero."""
        return self.called(self.against_random)


def higher_is_better(metric: str) -> bool:
    """Whether more of a metric is better; ``prose/loss`` counts as ``loss``."""
    return not metric.rpartition("/")[2].startswith(LOWER_IS_BETTER)


def outcomes(
    study: pa.Table, metric: str = "accuracy", *, split: str | None = None, group: str = ""
) -> list[Outcome]:
    """Values, spread and verdicts of every cell, in the order of the table, from its last evaluation.

    ``split`` is by default the only one beside ``train``. A cell is compared with the baselines of its own data
    variant, model, regime and budget. Each verdict is made by itself: of twenty comparisons with nothing to find, one
    will still be called.

    Raises:
        InputError: A metric, split or group that the table does not have.
    """
    splits = [each for each in dict.fromkeys(study["split"].to_pylist()) if each != "train"]
    if split is None:
        if len(splits) > 1:
            raise InputError(f"outcomes: name one split of {', '.join(splits)}.")
        split = splits[0] if splits else "train"
    elif split not in (*splits, "train"):
        raise unknown_name("split", "outcomes", split, (*splits, "train"))
    chosen = _where(_where(study, split=split, group=group), metric=metric)
    if chosen.num_rows == 0:
        known = dict.fromkeys(_where(study, split=split)["metric"].to_pylist())
        if metric not in known:
            raise unknown_name("metric", "outcomes", metric, known)
        raise unknown_name("group", "outcomes", group, dict.fromkeys(study["group"].to_pylist()))
    cells: dict[tuple[Any, ...], dict[int, dict[str, Any]]] = {}
    for row in chosen.to_pylist():
        seeds = cells.setdefault(tuple(row[name] for name in CELL_KEY), {})
        before = seeds.get(row["seed"])
        if before is None or row["step"] >= before["step"]:
            seeds[row["seed"]] = row
    found = [_outcome(list(seeds.values()), metric, group, split) for seeds in cells.values()]
    return [_against(each, found) for each in found]


def _outcome(rows: list[dict[str, Any]], metric: str, group: str, split: str) -> Outcome:
    first, values = rows[0], {row["seed"]: row["value"] for row in rows}
    each = np.array(list(values.values()))
    return Outcome(
        **{name: first[name] for name in (*CELL_KEY, "by", "take", "options", "balance", "keep", "rows")},
        metric=metric, group=group, split=split, values=values, mean=float(each.mean()),
        sd=float(each.std(ddof=1)) if len(each) > 1 else float("nan"),
    )  # fmt: skip


def _against(outcome: Outcome, found: list[Outcome]) -> Outcome:
    if outcome.way == ALL:
        return outcome
    world = (outcome.variant, outcome.model, outcome.regime)

    def other(way: str, budget: str | None) -> Difference | None:
        for each in found:
            if (each.variant, each.model, each.regime) == world and (each.way, each.budget) == (way, budget):
                return None if each is outcome else outcome.minus(each)
        return None

    return replace(
        outcome,
        against_random=other(PLAIN_RANDOM.name, outcome.budget),
        against_stratified=other(STRATIFIED_RANDOM.name, outcome.budget),
        against_all=other(ALL, None),
    )


def _where(table: pa.Table, **equal: str) -> pa.Table:
    mask = None
    for name, value in equal.items():
        found = pc.equal(table[name], value)
        mask = found if mask is None else pc.and_(mask, found)
    return table.filter(mask)
