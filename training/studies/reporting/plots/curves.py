"""A metric against the share kept: curves with intervals over seeds, random shares as a grey band behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from scoring.errors import bad_value
from scoring.plots.style import BLACK, new_figure, style
from training.studies.reporting.plots.looks import (
    FIXED_LINES,
    Look,
    drawable,
    fixed_handle,
    frame,
    handles_of,
    hide_rest,
    legend_below,
)
from training.studies.ways import PLAIN_RANDOM

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDE = 5.0
"""From this ratio of the largest to the smallest share kept on, the axis is logarithmic."""
NEAREST = 0.07
"""Ticks closer than this share of the axis are left out."""


@dataclass(frozen=True)
class Point:
    """One way at one budget: the mean, and its interval where there is one (NaN ends where not)."""

    budget: str
    keep: float
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Panel:
    """One place: way -> points; and means of what has no budget, as all examples, by name."""

    title: str
    ways: Mapping[str, Sequence[Point]]
    fixed: Mapping[str, float] = field(default_factory=dict)


def result_curves(
    panels: Sequence[Panel], ways: Mapping[str, Look], *, columns: int, title: str, metric: str, share: str
) -> Figure:
    """One panel per place, each with its own vertical axis, in rows of ``columns``; points stand a little apart."""
    if not panels:
        raise bad_value("panels", "result_curves", list(panels), "at least one")
    rows = -(-len(panels) // columns)
    fixed = list(dict.fromkeys(name for panel in panels for name in panel.fixed))
    with style():
        lines = len(ways) / max(1, columns)
        figure = new_figure(4.3 * columns + 0.5, 3.3 * rows + 0.9 + 0.2 * lines)
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes, panel in zip(grid.flat, panels):
            _panel(axes, panel, ways, fixed, share)
            axes.set_title(drawable(panel.title, 46), fontsize=10)
        for line in grid[:, :1].flat:
            line.set_ylabel(drawable(metric))
        hide_rest(grid.flat, len(panels))
        figure.suptitle(drawable(title, 40 * columns), x=0.01, ha="left", fontsize=12, fontweight="bold")
        handles = handles_of(ways)
        handles += [fixed_handle(name, number) for number, name in enumerate(fixed)]
        legend_below(
            figure,
            handles,
            "bars and the band of random: 95 % intervals of the mean over seeds, cut at the edges",
        )
    return figure


def _panel(axes: Axes, panel: Panel, ways: Mapping[str, Look], fixed: Sequence[str], share: str) -> None:
    shown = {way: panel.ways[way] for way in ways if panel.ways.get(way)}
    points = [point for found in shown.values() for point in found]
    places, log = _places(points)
    span = max(places.values(), default=1.0) - min(places.values(), default=0.0)
    others = [way for way in shown if way != PLAIN_RANDOM.name]
    # With one budget there is room beside each other.
    step = min(0.012, 0.06 / max(1, len(others))) * span if span else min(0.1, 0.7 / max(1, len(others)))
    for way, found in shown.items():
        look = ways[way]
        shift = 0.0 if way == PLAIN_RANDOM.name else step * (others.index(way) - (len(others) - 1) / 2)
        x = np.array([places[point.budget] + shift for point in found])
        y, low, high = (np.array([getattr(p, name) for p in found]) for name in ("mean", "low", "high"))
        known = np.isfinite(low) & np.isfinite(high)
        if way == PLAIN_RANDOM.name and known.sum() > 1:
            axes.fill_between(x, low, high, where=known, color=look.colour, alpha=0.22, linewidth=0, zorder=1)
        else:
            axes.vlines(
                x[known], low[known], high[known], color=look.colour, linewidth=1.2, alpha=0.75, zorder=2
            )
        axes.plot(
            x, y, color=look.colour, marker=look.marker, linestyle=look.line, linewidth=1.6, markersize=5,
            markeredgecolor="white", markeredgewidth=0.5, zorder=2 if way == PLAIN_RANDOM.name else 3,
        )  # fmt: skip
    for name, mean in panel.fixed.items():
        line = FIXED_LINES[fixed.index(name) % len(FIXED_LINES)]
        axes.axhline(mean, color=BLACK, linestyle=line, linewidth=1.2, zorder=1)
    ends = [end for point in points for end in (point.low, point.high)]
    axes.set_ylim(*frame([*(point.mean for point in points), *panel.fixed.values()], ends))
    first, last = min(places.values(), default=0.0), max(places.values(), default=1.0)
    room = 0.07 * (span or 1.0) if span else 0.5
    axes.set_xlim(first - room, last + room)
    _ticks(axes, points, places, span)
    numbers = bool(points) and _has_shares(points)
    axes.set_xlabel(f"{share}{' (logarithmic)' if log else ''}" if numbers else "budget")
    axes.grid(True, axis="y")


def _has_shares(points: Sequence[Point]) -> bool:
    return all(math.isfinite(point.keep) and point.keep > 0 for point in points)


def _places(points: Sequence[Point]) -> tuple[dict[str, float], bool]:
    """Budget -> where it stands, and whether that is logarithmic; budgets without shares stand side by side."""
    order = list(dict.fromkeys(point.budget for point in points))
    if not points or not _has_shares(points):
        return {budget: float(-at) for at, budget in enumerate(order)}, False
    keeps = {
        budget: float(np.mean([point.keep for point in points if point.budget == budget])) for budget in order
    }
    log = max(keeps.values()) / min(keeps.values()) >= WIDE
    return {budget: math.log(keep) if log else keep for budget, keep in keeps.items()}, log


def _ticks(axes: Axes, points: Sequence[Point], places: Mapping[str, float], span: float) -> None:
    shares = bool(points) and _has_shares(points)
    kept: list[tuple[float, str]] = []
    for budget, place in sorted(places.items(), key=lambda item: item[1]):
        if kept and place - kept[-1][0] < NEAREST * span:
            continue
        keep = np.mean([point.keep for point in points if point.budget == budget])
        kept.append((place, f"{100 * keep:.3g}" if shares else drawable(budget, 12)))
    axes.set_xticks([place for place, _ in kept], [text for _, text in kept])
