"""Classes and other groups of the test data: the worst one under every way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.reports.section import Cell, Listing, Section
from training.studies.outcomes import Outcome, higher_is_better, outcomes
from training.studies.reporting.results import KEPT, Results, World, asked_for, fixed, world_of
from training.studies.reporting.tables import told
from training.studies.reporting.verdicts import place_of
from training.studies.table import SCHEMA
from training.studies.ways import ALL

CELL = ("variant", "model", "regime", "way", "budget")


def group_section(results: Results) -> Section | None:
    """The worst class, and the worst of every other grouping; None without groups.

    The worst of a run is the lowest over its groups (the highest of a loss), seed by seed, so that its paired interval
    is that of a number fixed in advance. Which group it is may differ from seed to seed.
    """
    sentences: list[str] = []
    listings: list[Listing] = []
    document: dict[str, Any] = {}
    for split in results.splits:
        for column, groups in groupings(results, split).items():
            found = worst_of(results, split, groups)
            kept = worst_names(results, split, groups)
            name = place_of(results, split, "") or split
            called = [each.verdict for each in found if asked_for(each) and each.against_random is not None]
            sentences.append(
                f"The worst {column} of {len(groups)} ({results.metric}, {name}): against random better in "
                f"{called.count('better')} and worse in {called.count('worse')} of {len(called)} comparisons."
            )
            for world in results.worlds:
                here = [each for each in found if world_of(each) == world]
                listings.append(_worst_listing(results, here, kept, column, split, world))
            document[f"{split}/{column}"] = [
                {"variant": each.variant, "model": each.model, "regime": each.regime, "way": each.way,
                 "budget": each.budget, "mean": each.mean, "sd": each.sd, "verdict": each.verdict,
                 "lowest_mean": kept.get(_key(each))}
                for each in found
            ]  # fmt: skip
    if not sentences:
        return None
    sentences.append(
        "The name beside a value is the group with the worst mean over seeds. With few test examples in a group its "
        "value is coarse; all groups are in groups.csv."
    )
    return Section("groups", "Worst classes and groups", sentences, listings, document=document)


def groupings(results: Results, split: str) -> dict[str, list[str]]:
    """Column -> its groups in the table, ``class`` first: those with two groups or more."""
    found: dict[str, list[str]] = {}
    for group in dict.fromkeys(results.rows(split, results.metric)["group"].to_pylist()):
        if group:
            found.setdefault(group.partition(":")[0], []).append(group)
    return {name: groups for name, groups in found.items() if len(groups) > 1}


def worst_of(results: Results, split: str, groups: Sequence[str]) -> list[Outcome]:
    """Outcomes of the worst group, seed by seed."""
    rows = results.rows(split, results.metric)
    rows = rows.filter(pc.is_in(rows["group"], pa.array(groups)))
    worst = min if higher_is_better(results.metric) else max
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows.to_pylist():
        key = (*(row[name] for name in CELL), row["seed"], row["step"])
        before = found.get(key)
        value = row["value"] if before is None else worst(before["value"], row["value"])
        found[key] = {**row, "group": "worst", "value": value}
    table = pa.Table.from_pylist(list(found.values()), schema=SCHEMA)
    return outcomes(table, results.metric, split=split, group="worst")


def worst_names(results: Results, split: str, groups: Sequence[str]) -> dict[tuple[Any, ...], str]:
    """Cell -> the group of the worst mean over seeds, without its column."""
    sign = 1 if higher_is_better(results.metric) else -1
    worst: dict[tuple[Any, ...], tuple[float, str]] = {}
    for row in group_means(results, split, results.metric, groups):
        key, value = tuple(row[name] for name in CELL), sign * row["mean"]
        if key not in worst or value < worst[key][0]:
            worst[key] = (value, row["group"].partition(":")[2])
    return {key: name for key, (_, name) in worst.items()}


def group_means(
    results: Results, split: str, metric: str, groups: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Mean and sd over seeds of every (cell, group) at the end of training, in the order of the table."""
    rows = results.rows(split, metric)
    rows = rows.filter(
        pc.is_in(rows["group"], pa.array(groups)) if groups else pc.not_equal(rows["group"], "")
    )
    last: dict[tuple[Any, ...], tuple[int, float]] = {}
    for row in rows.to_pylist():
        key = (*(row[name] for name in CELL), row["group"], row["seed"])
        if key not in last or row["step"] >= last[key][0]:
            last[key] = (row["step"], row["value"])
    values: dict[tuple[Any, ...], list[float]] = {}
    for key, (_, value) in last.items():
        values.setdefault(key[:-1], []).append(value)
    return [
        {
            **dict(zip((*CELL, "group"), key)), "seeds": len(each), "mean": float(np.mean(each)),
            "sd": float(np.std(each, ddof=1)) if len(each) > 1 else math.nan,
        }
        for key, each in values.items()
    ]  # fmt: skip


def group_rows(results: Results) -> list[dict[str, Any]]:
    """The rows of groups.csv: the metric of every group, and what the train split says of it."""
    pairs = [(split, results.metric) for split in results.splits]
    kept = dict.fromkeys(results.rows(KEPT)["metric"].to_pylist())
    rows = []
    for split, metric in [*pairs, *((KEPT, metric) for metric in kept)]:
        rows += [{"split": split, "metric": metric, **row} for row in group_means(results, split, metric)]
    return rows


def _worst_listing(
    results: Results,
    found: Sequence[Outcome],
    names: dict[tuple[Any, ...], str],
    column: str,
    split: str,
    world: World,
) -> Listing:
    cells = {(each.way, each.budget): each for each in found}
    budgets = [each for each in results.budgets if any(budget == each for _, budget in cells)]
    ways = [way for way in results.ways if any(name == way for name, _ in cells)]

    def cell(each: Outcome | None) -> Cell:
        return None if each is None else f"{told(each)} · {names.get(_key(each), '-')}"

    whole = "".join(
        f"; {results.words.whole if each.way == ALL else each.way}: {cell(each)}"
        for each in found
        if fixed(each)
    )
    where = place_of(results, split, results.told(world))
    rows: list[list[Cell]] = [[way, *(cell(cells.get((way, budget))) for budget in budgets)] for way in ways]
    return Listing(["way", *budgets], rows, f"Worst {column}{f', {where}' if where else ''}{whole}")


def _key(each: Outcome) -> tuple[Any, ...]:
    return tuple(getattr(each, name) for name in CELL)
