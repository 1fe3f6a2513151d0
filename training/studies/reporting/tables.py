"""Tables of results: one per place, a row per way, a column per budget; and the same for machines as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from scoring.reports.section import Cell, Listing
from scoring.reports.text import number
from training.studies.outcomes import FEWEST, Outcome, higher_is_better
from training.studies.paired import Difference
from training.studies.reporting.comparisons import Comparison, interval_of_mean
from training.studies.reporting.results import Results, World, fixed
from training.studies.reporting.verdicts import place_of
from training.studies.ways import ALL

MARKS = (
    "mean ± sd over seeds, and the verdict against random; s+ and s-: better and worse than stratified random, "
    "a+ and a-: than all examples, by the same kind of interval"
)  # fmt: skip


def result_listings(results: Results) -> list[Listing]:
    """One table per split and world."""
    return [
        listing for split in results.splits for world in results.worlds
        if (listing := result_listing(results, split, world)) is not None
    ]  # fmt: skip


def result_listing(results: Results, split: str, world: World) -> Listing | None:
    """Ways by budgets; None where the world has nothing on this split."""
    found = results.of_world(split, world)
    cells = {(each.way, each.budget): each for each in found}
    budgets = [each for each in results.budgets if any(budget == each for _, budget in cells)]
    ways = [way for way in results.ways if any(name == way for name, _ in cells)]
    if not found:
        return None
    rows: list[list[Cell]] = [
        [way, *(None if (way, budget) not in cells else told(cells[way, budget]) for budget in budgets)]
        for way in ways
    ]
    direction = "" if higher_is_better(results.metric) else " (lower is better)"
    where = place_of(results, split, results.told(world))
    caption = f"{results.metric}{direction}{f', {where}' if where else ''}"
    for each in filter(fixed, found):
        whole = each.way == ALL
        caption += f"; {results.words.whole if whole else each.way}: {spread(each) if whole else told(each)}"
    return Listing(["way", *budgets], rows, caption)


def told(outcome: Outcome) -> str:
    """``0.912 ± 0.004 better s+ a-``."""
    words = [spread(outcome)]
    if outcome.against_random is not None and outcome.against_random.seeds >= FEWEST:
        words.append(str(outcome.verdict))
    marks = {"better": "+", "worse": "-"}
    for letter, difference in (("s", outcome.against_stratified), ("a", outcome.against_all)):
        if (verdict := outcome.called(difference)) in marks:
            words.append(f"{letter}{marks[verdict]}")
    return " ".join(words)


def spread(outcome: Outcome) -> str:
    """Mean and standard deviation over seeds; of one seed the value alone."""
    mean = number(outcome.mean)
    return mean if math.isnan(outcome.sd) and len(outcome.values) < 2 else f"{mean} ± {number(outcome.sd)}"


def outcome_rows(results: Results, comparisons: Sequence[Comparison]) -> list[dict[str, Any]]:
    """Every outcome with its intervals, differences and verdicts."""
    adjusted = {id(each.outcome): each for each in comparisons}
    return [{**_outcome(each), **_against(each, adjusted.get(id(each)))} for each in results.everything]


def _outcome(each: Outcome) -> dict[str, Any]:
    low, high = interval_of_mean(each)
    return {
        "split": each.split, "metric": each.metric, "variant": each.variant, "model": each.model,
        "regime": each.regime, "way": each.way, "budget": each.budget, "keep": each.keep, "rows": each.rows,
        "seeds": len(each.values), "mean": each.mean, "sd": each.sd, "low": low, "high": high,
    }  # fmt: skip


def _against(each: Outcome, comparison: Comparison | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    others = (
        ("random", each.against_random),
        ("stratified", each.against_stratified),
        ("all", each.against_all),
    )
    for name, difference in others:
        row |= _difference(name, difference)
        enough = difference is not None and difference.seeds >= FEWEST
        row[f"{name}_verdict"] = each.called(difference) if enough else None
    for name in ("p", "holm", "bh"):
        row[name] = None if comparison is None else getattr(comparison, name)
    return row


def _difference(name: str, difference: Difference | None) -> dict[str, Any]:
    parts = ("mean", "low", "high", "seeds")
    return {f"{name}_{part}": None if difference is None else getattr(difference, part) for part in parts}


def write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Rows of equal keys as CSV in UTF-8: nothing for None, ``nan`` and ``inf`` as they are, floats in full."""
    from scoring.files import atomic_file

    several = list(rows)
    with atomic_file(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        if several:
            writer = csv.DictWriter(file, list(several[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(several)
