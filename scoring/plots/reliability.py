"""How alike runs rank and keep, against the number of runs that are averaged: one panel per score."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.compare.reliability.more_runs import expected
from scoring.compare.reliability.run_curve import Measure, RunCurve
from scoring.compare.reliability.spearman_brown import MOST_TIE_LOSS, spearman_brown
from scoring.plots.style import BLACK, GREY, LOOKS, legend_columns, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curves = Mapping[str, Mapping[str, RunCurve]]
"""Score -> architecture -> curve."""


def run_curves(curves: Curves, *, keep: float, measure: Measure = "rho") -> Figure:
    """Correlation or overlap of means of k runs with means of k others, against k.

    Points are measured, with the middle 90 % of the splits; at a single run and at the largest k a bar is the 95 %
    interval over runs. Dashed: for correlations Spearman-Brown from single runs, drawn grey where ties make it wrong;
    for overlaps what is predicted from the largest k, where it can be.
    """
    kinds = list(dict.fromkeys(kind for by in curves.values() for kind in by))
    columns = min(4, len(curves)) if len(curves) <= 16 else 5
    rows = math.ceil(len(curves) / columns)
    most = max(curve.runs for by in curves.values() for curve in by.values())
    with style():
        width = max(5.0, 2.75 * columns + 0.6)
        figure = new_figure(width, 2.3 * rows + 1.3)
        panels: Any = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes, (score, by) in zip(panels.flat, curves.items()):
            _panel(axes, by, kinds, measure, most)
            axes.set_title(score if len(score) <= 30 else f"{score[:29]}…", fontsize=10)
            if measure == "overlap":
                axes.axhline(keep, color=GREY, linewidth=0.8, linestyle=":")
        for axes in panels.flat[len(curves) :]:
            axes.set_visible(False)
        for column in range(columns):
            lowest = panels[(len(curves) - 1 - column) // columns, column]
            lowest.tick_params(labelbottom=True)
            lowest.set_xlabel("runs averaged on each side")
        if measure == "rho":
            title, label = "Do means of k runs rank like means of k others?", "Spearman"
        else:
            title, label = (
                f"Do they keep the same {keep * 100:.3g} %?",
                "overlap",
            )
        for row in panels:
            row[0].set_ylabel(label)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        handles, labels = _legend(kinds, measure)
        figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels, figure))
    return figure


def _panel(axes: Axes, by: Mapping[str, RunCurve], kinds: Sequence[str], measure: Measure, most: int) -> None:
    axes.grid(True, axis="y")
    for kind, curve in by.items():
        colour, marker = LOOKS[kinds.index(kind) % len(LOOKS)]
        sizes = [point.runs for point in curve.points]
        found = [point.measured(measure) for point in curve.points]
        values = [each.value for each in found]
        if np.isnan(values).all():
            continue
        low, high = ([each.spread[end] for each in found] for end in (0, 1))
        axes.fill_between(sizes, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.plot(sizes, values, color=colour, marker=marker, markersize=4.5, linewidth=1.5, zorder=3)
        for size, each in {sizes[0]: found[0], sizes[-1]: found[-1]}.items():
            if each.interval is not None:
                axes.plot([size, size], each.interval, color=colour, linewidth=1.1, zorder=2)
        dashes, line = _dashed(curve, measure)
        broken = measure == "rho" and curve.tie_loss > MOST_TIE_LOSS
        axes.plot(
            dashes, line, color=GREY if broken else colour, linewidth=1.2, linestyle=(0, (3, 2)), zorder=1
        )
    axes.set_xscale("log", base=2)
    ticks = [tick for tick in (1, 2, 3, 5, 10, 20, 50, 100) if tick <= most]
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set(xlim=(0.85, most * 1.15), ylim=(min(0.0, axes.get_ylim()[0]), 1.03))


def _dashed(curve: RunCurve, measure: Measure) -> tuple[list[float], list[float]]:
    """Up to the number of runs there are."""
    start = 1 if measure == "rho" else curve.largest.runs
    sizes = [float(size) for size in np.geomspace(start, curve.runs, 40)]
    if measure == "rho":
        single = curve.single.rho.value
        return (sizes, [spearman_brown(single, size) for size in sizes]) if single > 0 else ([], [])
    whole = range(start, curve.runs + 1)
    answers = [expected(curve, measure, size) for size in whole]
    return [float(n) for n in whole], [math.nan if each is None else each.value for each in answers]


def _legend(kinds: Sequence[str], measure: Measure) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for number, _ in enumerate(kinds):
        colour, marker = LOOKS[number % len(LOOKS)]
        handles.append(Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=1.5))
    said = "Spearman-Brown (grey: ties break it)" if measure == "rho" else "predicted (dotted: by chance)"
    handles.append(Line2D([], [], color=BLACK, linewidth=1.2, linestyle=(0, (3, 2))))
    handles.append(Patch(color=BLACK, alpha=0.18, linewidth=0))
    return handles, [*kinds, said, "middle 90 % of the splits (bars: 95 % interval)"]
