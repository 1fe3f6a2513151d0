"""What selections are worth beside a base as a report: verdicts, multipliers, crossings, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.reports.folder import Report
from scoring.reports.section import Cell, Listing, Section
from training.laws.analysis.names import KIND, ends, file_stem, interval_cell
from training.laws.catalog import form_of
from training.laws.form import Array
from training.laws.run_table import RunTable
from training.laws.selections.comparison import SelectionComparison, SelectionResult, compare_selections
from training.laws.selections.learning_curves import LearningCurve
from training.laws.uncertainty.interval import Interval
from training.laws.words.quantities import digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = {"D": "data", "C": "compute", "N": "model size"}
MOST_DRAWN = 7
PLACES = 120


@dataclass(frozen=True, kw_only=True)
class SelectionRequest:
    """How selections are compared; see :func:`~training.laws.selections.comparison.compare_selections`.

    Attributes:
        base: What the others are measured beside: ``random``.
        law: The learning curve; None: Chinchilla where runs have several N and D, else a power law with offset.
        at: A scale on the axis to predict the gap at.
    """

    base: str
    axis: str = "D"
    law: str | None = None
    at: float | None = None
    groups: str | None = None
    resamples: int = 1_000
    seed: int = 0
    level: float = 0.95


def selection_report(table: RunTable, request: SelectionRequest, *, source: str = "") -> Report:
    """Compare every corpus of a run table with the base, metric by metric (lower values must be better)."""
    form = None if request.law is None else form_of(request.law, [*table.columns, "M"])
    sections, found = [], {}
    for metric in table.names("metric"):
        compared = compare_selections(
            table, request.base, metric, request.axis, form, request.at, groups=request.groups, level=request.level,
            resamples=request.resamples, seed=request.seed,
        )  # fmt: skip
        found[metric] = compared
        sections.append(_section(compared, request))
    about = {
        "source": source,
        "request": {name: getattr(request, name) for name in SelectionRequest.__dataclass_fields__},
        "parameters": {
            metric: {name: each.curve.fitted.parameters for name, each in compared.selections.items()}
            for metric, compared in found.items()
        },
    }
    preamble = [f"runs: {source}"] if source else []
    preamble.append(
        f"base: {request.base}; along {request.axis}; intervals of {request.resamples:,} resamples"
    )
    preamble.append(
        "every verdict is made by itself: of twenty with nothing to find one will still be called"
    )
    return Report(KIND, f"What selections are worth beside {request.base}", preamble, about, sections)


def _section(compared: SelectionComparison, request: SelectionRequest) -> Section:
    stem = file_stem("selections", compared.metric)
    results = list(compared.selections.values())
    figures: dict[str, Any] = {
        f"{stem}-multipliers-{way}": partial(_multipliers, results, way, request)
        for way in (results[0].multipliers if results else ())
        if any(np.isfinite(each.multipliers[way].value) for each in results)
    }
    if not [name for name in compared.base.fitted.form.inputs if name not in ("x", compared.axis)]:
        figures = {f"{stem}-curves": partial(_curves, compared, request.level)} | figures
    return Section(
        name=stem,
        title=f"{compared.metric[:1].upper()}{compared.metric[1:]}",
        sentences=[_headline(compared, request.base), *compared.sentences],
        listings=[_listing(results, request.level)],
        figures=figures,
        document={
            "metric": compared.metric,
            "base": compared.base.fitted.parameters,
            "selections": {each.name: _document(each) for each in results},
        },
    )


def _listing(results: Sequence[SelectionResult], level: float) -> Listing:
    ways = list(results[0].multipliers) if results else []
    rows: list[list[Cell]] = []
    for each in results:
        row: list[Cell] = [each.name, each.gap.verdict, interval_cell(each.gap.difference)]
        row += [_factor(each.multipliers[way].interval) for way in ways]
        row.append(None if each.crossings is None else each.crossings.verdict)
        rows.append(row)
    header = ["selection", "verdict", "gap", *(f"times the {WAYS.get(way, way)}" for way in ways), "crossing"]
    return Listing(
        header, rows, f"At the largest scale that both measured; {100 * level:g} % intervals of the laws"
    )


def _factor(found: Interval) -> Cell:
    """A multiplier with its interval; one that has no number says that no amount of the base reaches the loss."""
    if np.isfinite(found.value):
        return interval_cell(found)
    return f"out of reach ({digits(found.low, 2)} or more)" if 0 < found.low < np.inf else "out of reach"


def _headline(compared: SelectionComparison, base: str) -> str:
    """``Beside random: hardest is better; easiest is worse; of middle these runs cannot tell.``"""
    said = []
    for verdict, words in (("better", "better"), ("worse", "worse")):
        names = [each.name for each in compared.selections.values() if each.gap.verdict == verdict]
        if names:
            said.append(f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} {words}")
    if others := [
        each.name for each in compared.selections.values() if each.gap.verdict not in ("better", "worse")
    ]:
        said.append(f"of {' and '.join(others)} these runs cannot tell")
    return f"{compared.metric} beside {base}: {'; '.join(said)}." if said else f"Nothing lies beside {base}."


def _curves(compared: SelectionComparison, level: float) -> Figure:
    from training.laws.plots.learning_curves import CrossingMark, SelectorCurve, learning_curve_plot

    drawn = [compared.base, *(each.curve for each in compared.selections.values())][:MOST_DRAWN]
    first = min(curve.range[0] for curve in drawn)
    last = max(curve.range[1] for curve in drawn)
    grid = np.geomspace(first, last, PLACES)
    shown = []
    for curve in drawn:
        value, low, high = curve.band({compared.axis: grid}, level)
        shown.append(SelectorCurve(curve.name, curve.scales_N, curve.losses_N, grid, value, low, high))
    marks = [
        CrossingMark(
            found.interval.value, _height(each.curve, found.interval.value, compared.axis), found.interval.low,
            found.interval.high, each.name,
        )
        for each in compared.selections.values() if each.crossings is not None
        for found in each.crossings.found if found.measured
    ]  # fmt: skip
    return learning_curve_plot(shown, marks, x=compared.axis, outcome=compared.metric, level=level)


def _height(curve: LearningCurve, at: float, axis: str) -> float:
    value: Array = curve.samples({axis: np.array([at])})[0]
    return float(value[0])


def _multipliers(results: Sequence[SelectionResult], way: str, request: SelectionRequest) -> Figure:
    from training.laws.plots.learning_curves import Multiplier, multiplier_plot

    rows = [
        Multiplier(each.name, found.value, found.interval.low, found.interval.high)
        for each in results
        for found in (each.multipliers[way],)
    ]
    return multiplier_plot(rows, of=WAYS.get(way, way), base=request.base, level=request.level)


def _document(result: SelectionResult) -> Mapping[str, Any]:
    return {
        "parameters": result.curve.fitted.parameters,
        "verdict": result.gap.verdict,
        "at": result.gap.at,
        "gap": ends(result.gap.difference),
        "signal_to_noise": result.gap.signal_to_noise,
        "multipliers": {way: [*ends(each.interval), each.reach] for way, each in result.multipliers.items()},
        "runs": {
            way: {
                "values": each.values_R,
                "low": each.low_R,
                "high": each.high_R,
                "reach": each.reach_R.tolist(),
            }
            for way, each in result.runs.items()
        },
        "crossing": None if result.crossings is None else result.crossings.verdict,
        "crossings": []
        if result.crossings is None
        else [
            {
                "direction": each.direction,
                "interval": ends(each.interval),
                "share": each.share,
                "measured": each.measured,
            }
            for each in result.crossings.found
        ],
        "target": None
        if result.target_gap is None
        else {
            "at": result.target_gap.at,
            "verdict": result.target_gap.verdict,
            "gap": ends(result.target_gap.difference),
        },
        "cautions": [[caution.code, caution.text] for caution in result.cautions],
    }
