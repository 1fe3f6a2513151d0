"""Section: how do scores relate to columns from elsewhere, such as published scores or human votes?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.compare.agreement.beside import LEAST_EXAMPLES, Beside, External, beside, externals
from scoring.compare.intervals.crossed_error import Estimates
from scoring.compare.ranks import has_hard_end
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.meaning import Meaning
from scoring.reports.section import Cell, Listing, Section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME, TITLE = "beside", "Beside columns from elsewhere"
MOST_ROWS = 12
"""The strongest correlations with a column that are listed."""


def section(scores: RunScores, request: Request) -> Section:
    """Spearman correlation of every score with every column of ``request.beside``, raw and corrected."""
    if request.beside is None:
        said = (
            "There are no columns from elsewhere: give a score table of published scores or human votes as beside, or "
            "--beside."
        )
        return Section(NAME, TITLE, [said])
    columns = externals(scores, request.beside)
    if not columns:
        return Section(NAME, TITLE, ["The table from elsewhere has no score columns."])
    found = beside(scores, columns, seed=request.seed)
    by = {column.name: [each for each in found if each.column == column.name] for column in columns}
    sentences = [sentence for column in columns for sentence in _said(column, by[column.name])]
    drawn = {
        name: rows for name, rows in by.items() if any(not np.isnan(each.averaged.values) for each in rows)
    }
    document = {
        "columns": {
            column.name: {
                "meaning": column.meaning, "examples": len(column.rows), "missing": column.missing,
                "unknown": column.unknown, "scores": [_document(each) for each in by[column.name]],
            }
            for column in columns
        }
    }  # fmt: skip
    return Section(
        NAME, TITLE, sentences, [_listing(name, rows) for name, rows in by.items() if rows],
        {"beside": partial(_draw, drawn)} if drawn else {}, document,
    )  # fmt: skip


def _said(column: External, rows: Sequence[Beside]) -> Iterator[str]:
    count = len(column.rows)
    turned = _direction(column.meaning)
    of = f"{count:,} examples ({column.missing:,} of the compared ones have no value there)"
    if column.unknown:
        of += f"; {column.unknown:,} of its rows belong to no compared example"
    if count < LEAST_EXAMPLES:
        yield f"{column.name}: only {of}: no correlation with fewer than {LEAST_EXAMPLES}."
        return
    known = [each for each in rows if not np.isnan(each.averaged.values)]
    if not known:
        yield f"{column.name}: {of}; it or every score is constant there, so nothing correlates."
        return
    best = max(known, key=lambda each: abs(float(each.averaged.values)))
    more = ""
    if best.corrected is not None and not np.isnan(best.corrected.values):
        more = f", {best.corrected.words()} corrected for the noise of the score's runs"
    yield (
        f"{column.name} ({turned}): {best.score} of {best.architecture} is closest, Spearman {best.averaged.words()}"
        f"{' averaged over runs' if best.runs > 1 else ''}{more}; {of}."
    )


def _direction(meaning: Meaning) -> str:
    return (
        "turned so that high is hard"
        if has_hard_end(meaning) and meaning != "arbitrary"
        else "taken as it is"
    )


def _listing(name: str, rows: Sequence[Beside]) -> Listing:
    cells: list[list[Cell]] = [
        [
            each.score, each.architecture, _value(each.single), each.averaged.words(), each.reliability,
            None if each.corrected is None or np.isnan(each.corrected.values) else each.corrected.words(),
        ]
        for each in sorted(rows, key=_strength)
    ]  # fmt: skip
    header = ["score", "architecture", "single run", "averaged (95 %)", "reliability", "corrected (95 %)"]
    caption = f"Spearman correlation with {name}, {rows[0].examples:,} examples"
    if len(cells) > MOST_ROWS:
        caption += f": the {MOST_ROWS} strongest; all {len(cells)} are in summary.json"
    return Listing(header, cells[:MOST_ROWS], caption)


def _strength(each: Beside) -> tuple[bool, float, str, str]:
    value = float(each.averaged.values)
    return np.isnan(value), 0.0 if np.isnan(value) else -abs(value), each.score, each.architecture


def _value(found: Estimates | None) -> float | None:
    return None if found is None or np.isnan(found.values) else float(found.values)


def _document(each: Beside) -> dict[str, Any]:
    return {
        "score": each.score, "architecture": each.architecture, "runs": each.runs, "examples": each.examples,
        "single": None if each.single is None else each.single.document(), "averaged": each.averaged.document(),
        "reliability": each.reliability,
        "corrected": None if each.corrected is None else each.corrected.document(),
    }  # fmt: skip


def _draw(by: dict[str, list[Beside]]) -> Figure:
    from scoring.plots.components import dot_panels

    first = next(iter(by.values()))
    names = list(dict.fromkeys(each.score for each in first))
    kinds = list(dict.fromkeys(each.architecture for each in first))
    panels = {}
    for column, rows in by.items():
        place = {(each.score, each.architecture): each.averaged for each in rows}
        panels[column] = {
            kind: np.array(
                [
                    [float(part) for part in (e.values, e.low, e.high)]
                    for name in names
                    for e in [place[name, kind]]
                ]
            ).T
            for kind in kinds
        }
    return dot_panels(
        names, panels, title="Scores beside columns from elsewhere", axis="Spearman correlation"
    )
