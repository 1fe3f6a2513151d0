"""The same comparisons by the other metrics: does the answer depend on what is measured?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pyarrow.compute as pc

from scoring.reports.section import Cell, Listing, Section
from training.studies.reporting.comparisons import Comparison, compare_with_random, count
from training.studies.reporting.results import KEPT, Results, world_of
from training.studies.reporting.tables import outcome_rows
from training.studies.reporting.verdicts import chance_words


def metric_section(
    results: Results, comparisons: Sequence[Comparison]
) -> tuple[Section | None, list[dict[str, Any]]]:
    """Verdicts by every metric, and all outcomes of the others for metrics.csv; None where there is one metric."""
    judged = results.table.filter(
        pc.and_(pc.not_equal(results.table["split"], KEPT), pc.equal(results.table["group"], ""))
    )
    names = [name for name in dict.fromkeys(judged["metric"].to_pylist()) if name != results.metric]
    if not names:
        return None, []
    mine = {_key(each): each.verdict for each in comparisons}
    rows: list[list[Cell]] = [_row(results.metric, comparisons, None)]
    document, outcomes = {}, []
    for name in names:
        other = Results.of(results.table, results.about, name)
        found = compare_with_random(other)
        against = sum({each.verdict, mine.get(_key(each))} == {"better", "worse"} for each in found)
        rows.append(_row(name, found, against))
        document[name] = {**asdict(count(found)), "opposite": against}
        outcomes += outcome_rows(other, found)
    opposite = sum(int(row[-1]) for row in rows[1:] if isinstance(row[-1], int))
    sentence = (
        f"Other metrics turn {opposite} verdicts by {results.metric} around, from better to worse or back."
        if opposite
        else f"No verdict by {results.metric} is turned around by another metric."
    )
    header = ["metric", "comparisons", "better", "worse", "cannot tell", "called by chance", "opposite"]
    caption = f"Verdicts against random by metric; opposite: better by one and worse by {results.metric}"
    section = Section(
        "metrics", "Other metrics", [sentence], [Listing(header, rows, caption)], document=document
    )
    return section, outcomes


def _row(name: str, comparisons: Sequence[Comparison], opposite: int | None) -> list[Cell]:
    counts = count(comparisons)
    unsure = counts.tested - counts.better - counts.worse
    return [
        name,
        counts.tested,
        counts.better,
        counts.worse,
        unsure,
        chance_words(counts.by_chance),
        opposite,
    ]


def _key(each: Comparison) -> tuple[Any, ...]:
    return (each.outcome.split, *world_of(each.outcome), each.outcome.way, each.outcome.budget)
