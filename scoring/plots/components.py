"""Scree plot and loadings; dots with intervals, one row per score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.plots.style import GREY, LOOKS, legend_columns, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]


def component_plot(
    explained: Mapping[str, Floats],
    chance: Floats,
    names: Sequence[str],
    loadings: Mapping[str, Floats],
    *,
    title: str = "How much is one difficulty",
) -> Figure:
    """Scree plot (left) and loadings on the first component with intervals (right).

    Args:
        explained: architecture -> shares of the variance, falling.
        chance: shares that components of unrelated scores stay below.
        names: S scores, the rows of the right side; the highest mean loading comes first.
        loadings: architecture -> (3, S): loading, low, high; NaN where a score takes no part.
    """
    with style():
        from matplotlib.ticker import PercentFormatter

        figure = new_figure(4.2 + _width(names), max(3.4, _height(names, len(loadings)) + 1.2))
        left, right = figure.subplots(1, 2, width_ratios=[3.6, _width(names)])
        for (name, shares), (colour, shape) in zip(explained.items(), _looks(len(explained))):
            left.plot(
                np.arange(1, len(shares) + 1), shares, color=colour, marker=shape, markersize=5, label=name
            )
        left.plot(
            np.arange(1, len(chance) + 1),
            chance,
            color=GREY,
            linestyle="--",
            linewidth=1.2,
            label="unrelated scores",
        )
        left.set(xlabel="component", ylabel="share of the variance", ylim=(0, None))
        left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        step = 1 if len(chance) <= 10 else 2 if len(chance) <= 20 else 5
        left.set_xticks(np.arange(1, len(chance) + 1, step))
        left.grid(axis="y")
        left.set_title("Principal components")
        _dots(right, names, loadings)
        right.set_xlim(_limits([loadings]))
        right.set_title("Loadings on the first")
        right.set_xlabel("correlation with the component (95 %)")
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        handles, labels = left.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels, figure))
    return figure


def dot_panels(
    names: Sequence[str], panels: Mapping[str, Mapping[str, Floats]], *, title: str, axis: str
) -> Figure:
    """Numbers of every score with intervals, one panel per column: column -> architecture -> (3, S)."""
    wide = min(len(panels), 3)
    lines = -(-len(panels) // wide)
    kinds = list(next(iter(panels.values())))
    with style():
        height = _height(names, len(kinds)) + 0.8
        figure = new_figure(3.2 * wide + 0.085 * max(map(len, names)) + 0.6, max(2.4, lines * height + 0.7))
        grid = figure.subplots(lines, wide, squeeze=False, sharey=True, sharex=True)
        order = None
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        for axes, (column, groups) in zip(grid.flat, panels.items()):
            order = _dots(axes, names, groups, order)
            axes.set_title(column if len(column) < 34 else f"{column[:31]}...", fontsize=10)
            axes.set_xlabel(axis)
            axes.tick_params(axis="x", labelbottom=True)
            axes.set_xlim(_limits(list(panels.values())))
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        if len(kinds) > 1:
            handles, labels = grid.flat[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels, figure))
    return figure


def _dots(
    axes: Axes, names: Sequence[str], groups: Mapping[str, Floats], order: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """Dots with intervals; rows by their mean, the highest on top, or in the given order, which is returned."""
    values = np.stack([group[0] for group in groups.values()])
    if order is None:
        known = ~np.isnan(values)
        mean = np.where(known, values, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        order = np.argsort(-mean, kind="stable")
    rows = np.arange(len(names))
    reach = min(0.3, 0.15 * (len(groups) - 1))
    spread = np.linspace(-reach, reach, len(groups))
    for (name, found), (colour, shape), shift in zip(groups.items(), _looks(len(groups)), spread):
        value, low, high = found[:, order]
        ends = np.nan_to_num(np.stack([value - low, high - value]), nan=0.0)
        axes.errorbar(
            value, rows + shift, xerr=np.maximum(ends, 0), fmt=shape, color=colour, markersize=4.5, elinewidth=1.2,
            linestyle="none", label=name,
        )  # fmt: skip
    axes.set_yticks(rows, [names[i] for i in order])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.grid(axis="x")
    return order


def _limits(panels: Sequence[Mapping[str, Floats]]) -> tuple[float, float]:
    """Room for all intervals and for 0; up to 1 where some come near it."""
    shown = np.concatenate([group[~np.isnan(group)] for groups in panels for group in groups.values()])
    low, high = min(0.0, float(shown.min())), max(0.0, float(shown.max()))
    room = 0.04 * (high - low)
    return (low - room if low < 0 else 0.0), (1.02 if 0.5 < high <= 1 else high + room)


def _looks(count: int) -> list[tuple[str, str]]:
    return [LOOKS[i % len(LOOKS)] for i in range(count)]


def _height(names: Sequence[str], groups: int) -> float:
    return len(names) * max(0.24, 0.11 * groups)


def _width(names: Sequence[str]) -> float:
    return 3.4 + 0.085 * max(map(len, names))
