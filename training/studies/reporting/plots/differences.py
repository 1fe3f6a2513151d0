"""Paired differences from random shares with their intervals: a row per way and budget, a column per place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, GREY, VERMILLION, new_figure, style
from training.studies.reporting.plots.looks import drawable, frame, legend_below, named

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Mapping[str | None, str] = {"better": BLUE, "worse": VERMILLION}
ROW = 0.19


@dataclass(frozen=True)
class Mark:
    """One difference: its verdict, None without, and whether that is left after adjusting for their number."""

    mean: float
    low: float
    high: float
    verdict: str | None
    adjusted: bool = False


@dataclass(frozen=True)
class Column:
    """One place: (way, budget) -> difference."""

    title: str
    marks: Mapping[tuple[str, str], Mark]


def difference_plot(
    rows: Sequence[tuple[str, str]], columns: Sequence[Column], *, title: str, metric: str, better: str
) -> Figure:
    """Filled marks where the interval leaves out zero; diamonds are left after Holm's adjustment, circles are not.

    Args:
        rows: (way, budget) from top to bottom, those of a way together.
        better: which side is better, for the label of the axis: ``right`` or ``left``.
    """
    if not rows or not columns:
        raise bad_value("rows and columns", "difference_plot", [len(rows), len(columns)], "at least one each")
    places, heads = _lines(rows)
    names = named(list(heads), 48)
    with style():
        height = max(places.values()) + 1
        left = 0.075 * max(9, *(len(name) for name in names.values()))
        figure = new_figure(3.2 * len(columns) + left + 0.4, ROW * height + 2.0)
        grid: Any = figure.subplots(1, len(columns), squeeze=False, sharey=True)[0]
        for axes, column in zip(grid, columns):
            _column(axes, column, places)
            axes.set_title(drawable(column.title, 38), fontsize=10)
            axes.set_xlabel(f"{drawable(metric)} minus random ({better} is better)", fontsize=9)
        _names(grid[0], places, heads, names, height)
        figure.suptitle(
            drawable(title, 36 * len(columns) + 20), x=0.01, ha="left", fontsize=12, fontweight="bold"
        )
        legend_below(figure, _handles(columns), "paired differences over seeds, 95 % t intervals")
    return figure


def _lines(rows: Sequence[tuple[str, str]]) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """Where every row stands, and the heading of its way above it."""
    places: dict[tuple[str, str], float] = {}
    heads: dict[str, float] = {}
    at = 0.0
    for way, budget in rows:
        if way not in heads:
            heads[way] = at + (0.5 if heads else 0.0)
            at = heads[way] + 1
        places[way, budget] = at
        at += 1
    return places, heads


def _names(
    axes: Axes,
    places: Mapping[tuple[str, str], float],
    heads: Mapping[str, float],
    names: Mapping[str, str],
    height: float,
) -> None:
    ticks = [*((place, names[way], True) for way, place in heads.items())]
    ticks += [(place, drawable(budget, 14), False) for (_, budget), place in places.items()]
    axes.set_yticks([place for place, _, _ in ticks], [text for _, text, _ in ticks])
    for tick, (_, _, bold) in zip(axes.get_yticklabels(), ticks):
        tick.set_fontweight("bold" if bold else "normal")
        tick.set_fontsize(8.5)
    axes.set_ylim(height - 0.3, -0.7)


def _column(axes: Axes, column: Column, places: Mapping[tuple[str, str], float]) -> None:
    marks = list(column.marks.values())
    first, last = frame(
        [0.0, *(mark.mean for mark in marks)], [end for mark in marks for end in (mark.low, mark.high)], 0.8
    )
    axes.set_xlim(first, last)
    axes.axvline(0, color=BLACK, linewidth=1.0, linestyle=(0, (5, 2)), zorder=1)
    for key, mark in column.marks.items():
        place = places[key]
        colour = COLOURS.get(mark.verdict, GREY)
        if math.isfinite(mark.low) and math.isfinite(mark.high):
            low, high = np.clip([mark.low, mark.high], first, last)
            axes.plot([low, high], [place, place], color=colour, linewidth=1.4, zorder=2)
            for end, beyond, arrow in ((low, mark.low < first, "<"), (high, mark.high > last, ">")):
                if beyond:
                    axes.plot(end, place, arrow, color=colour, markersize=4, zorder=2, clip_on=False)
        if math.isfinite(mark.mean):
            axes.plot(
                mark.mean, place, "D" if mark.adjusted else "o", color=colour, markersize=4.5 if mark.adjusted else 5,
                markerfacecolor=colour if mark.verdict in COLOURS else "white", markeredgewidth=1.2, zorder=3,
            )  # fmt: skip
    axes.tick_params(axis="y", length=0, pad=9)
    axes.locator_params(axis="x", nbins=5)
    axes.spines["left"].set_visible(False)
    axes.grid(True, axis="x")


def _handles(columns: Sequence[Column]) -> list[Any]:
    """Of the kinds of marks that there are."""
    from matplotlib.lines import Line2D

    marks = [mark for column in columns for mark in column.marks.values()]
    there = {(mark.verdict or "cannot tell", mark.adjusted) for mark in marks}
    order = [(verdict, adjusted) for verdict in (*COLOURS, "cannot tell") for adjusted in (False, True)]
    return [
        Line2D(
            [], [], color=COLOURS.get(verdict, GREY), marker="D" if adjusted else "o",
            markerfacecolor=COLOURS.get(verdict, "white"), linestyle="-", linewidth=1.4,
            label=f"{verdict}{', also by Holm' if adjusted else ''}",
        )
        for verdict, adjusted in order if (verdict, adjusted) in there
    ]  # fmt: skip
