"""The metric while runs train, where it was measured on the way: one panel per budget, a row per place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.plots.style import BLACK, new_figure, style
from training.studies.reporting.plots.looks import (
    FIXED_LINES,
    Look,
    drawable,
    fixed_handle,
    frame,
    handles_of,
    legend_below,
)
from training.studies.ways import PLAIN_RANDOM

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Course:
    """Means over seeds at K steps or epochs, with the ends of their intervals (NaN where there are none)."""

    at_K: Floats
    mean_K: Floats
    low_K: Floats
    high_K: Floats


@dataclass(frozen=True)
class Row:
    """One place: budget -> way -> course; and that of all examples."""

    title: str
    budgets: Mapping[str, Mapping[str, Course]]
    full: Course | None = None
    x: str = "step"


def training_curves(
    rows: Sequence[Row], ways: Mapping[str, Look], *, title: str, metric: str, whole: str
) -> Figure:
    """Lines are means over seeds; the band is the 95 % interval of random shares."""
    columns = max(len(row.budgets) for row in rows)
    with style():
        figure = new_figure(max(3.4 * columns + 0.6, 5.6), 2.5 * len(rows) + 1.0 + 0.2 * len(ways) / columns)
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for line, row in zip(grid, rows):
            courses = [each for found in row.budgets.values() for each in found.values()]
            courses += [] if row.full is None else [row.full]
            limits = frame([float(mean) for each in courses for mean in each.mean_K], ())
            for place, axes in enumerate(line):
                if place >= len(row.budgets):
                    axes.set_visible(False)
                    continue
                budget, found = list(row.budgets.items())[place]
                for way, look in ways.items():
                    if (course := found.get(way)) is None:
                        continue
                    if way == PLAIN_RANDOM.name:
                        axes.fill_between(
                            course.at_K, course.low_K, course.high_K, color=look.colour, alpha=0.22, linewidth=0
                        )  # fmt: skip
                    axes.plot(
                        course.at_K, course.mean_K, color=look.colour, linestyle=look.line, marker=look.marker,
                        markersize=3.5, markevery=max(1, len(course.at_K) // 6), linewidth=1.4,
                        zorder=2 if way == PLAIN_RANDOM.name else 3,
                    )  # fmt: skip
                if row.full is not None:
                    axes.plot(
                        row.full.at_K,
                        row.full.mean_K,
                        color=BLACK,
                        linestyle=FIXED_LINES[0],
                        linewidth=1.2,
                        zorder=1,
                    )
                axes.set_ylim(*limits)
                axes.grid(True, axis="y")
                where = ", ".join(each for each in (row.title, budget) if each)
                axes.set_title(drawable(where, 40), fontsize=9)
                axes.set_xlabel(row.x, fontsize=9)
            line[0].set_ylabel(drawable(metric))
        figure.suptitle(drawable(title, 34 * columns), x=0.01, ha="left", fontsize=12, fontweight="bold")
        handles = handles_of(ways)
        if any(row.full is not None for row in rows):
            handles.append(fixed_handle(whole))
        legend_below(figure, handles, "means over seeds; the band is the 95 % interval of random shares")
    return figure
