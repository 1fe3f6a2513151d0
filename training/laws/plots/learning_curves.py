"""What a selection is worth: learning curves of selectors with the places where they cross, and multipliers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.plots.style import BLACK, GREY, LOOKS, legend_columns, new_figure, style
from training.laws.form import Array
from training.laws.plots.axes import DASHES, LAW_ALPHA, band, label, log_axis, margins, quantity
from training.laws.uncertainty.interval import Interval
from training.laws.words.quantities import digits, with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class SelectorCurve:
    """One selector: R measured runs and the fitted curve at K places with its interval if known, ascending in x."""

    name: str
    x_R: npt.ArrayLike
    y_R: npt.ArrayLike
    x_K: npt.ArrayLike
    y_K: npt.ArrayLike
    low_K: npt.ArrayLike | None = None
    high_K: npt.ArrayLike | None = None


@dataclass(frozen=True)
class CrossingMark:
    """Where two curves cross: place and outcome, the ends of its interval (infinite or NaN where there is none)."""

    x: float
    y: float
    low: float = float("nan")
    high: float = float("nan")
    name: str = ""


@dataclass(frozen=True)
class Multiplier:
    """How many times the data, or the compute, of the base a selection is worth; NaN or infinite ends are open."""

    name: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    group: str = ""


def learning_curve_plot(
    curves: Sequence[SelectorCurve],
    crossings: Sequence[CrossingMark] = (),
    *,
    x: str = "D",
    outcome: str = "loss",
    level: float = 0.95,
) -> Figure:
    """Outcome against data, one curve per selector with its band, dashed beyond its own runs; crossings as diamonds.

    The bar of a crossing is its interval along x, cut at the edges of the figure with an arrow where it goes on.
    """
    if not curves:
        raise bad_value("curves", "learning_curve_plot", list(curves), "at least one")
    with style():
        figure = new_figure(7.0, 4.8)
        axes = figure.add_subplot()
        places, values = [], []
        for number, each in enumerate(curves):
            colour, marker = LOOKS[number % len(LOOKS)]
            at, y = np.asarray(each.x_R, dtype=np.float64), np.asarray(each.y_R, dtype=np.float64)
            grid, line = np.asarray(each.x_K, dtype=np.float64), np.asarray(each.y_K, dtype=np.float64)
            if at.shape != y.shape or grid.shape != line.shape or len(at) == 0:
                raise InputError(f"learning curve {label(each.name)}: columns of unequal length, or no run.")
            if each.low_K is not None and each.high_K is not None:
                low, high = (np.asarray(v, dtype=np.float64) for v in (each.low_K, each.high_K))
                band(axes, grid, low, high, colour, LAW_ALPHA * 0.75)
            within = (grid >= at.min()) & (grid <= at.max())
            axes.plot(grid, np.where(within, line, np.nan), color=colour, linewidth=1.8, zorder=3)
            for outside in (grid <= at.min(), grid >= at.max()):
                if outside.sum() < 2:
                    continue
                axes.plot(
                    grid, np.where(outside, line, np.nan), color=colour, linewidth=1.4, linestyle=DASHES, zorder=3
                )  # fmt: skip
            axes.plot(
                at, y, marker, color=colour, markersize=5.5, markeredgecolor="white", markeredgewidth=0.5, linestyle="",
                zorder=4,
            )  # fmt: skip
            places += [at, grid]
            values += [y, line]
        ends = margins(np.concatenate(places), 0.02)
        log_axis(axes, "x", *ends, x)
        log_axis(axes, "y", *margins(np.concatenate(values)))
        for each_crossing in crossings:
            _crossing(axes, each_crossing, *ends)
        axes.grid(True, axis="y")
        axes.set_xlabel(quantity(x))
        axes.set_ylabel(label(outcome))
        _legend(figure, curves, crossings, level)
    return figure


def _crossing(axes: Axes, crossing: CrossingMark, first: float, last: float) -> None:
    if not np.isnan(crossing.low) and not np.isnan(crossing.high):
        low, high = max(crossing.low, first), min(crossing.high, last)
        axes.plot([low, high], [crossing.y] * 2, color=BLACK, linewidth=1.6, zorder=5)
        for end, known, arrow in ((low, crossing.low >= first, "<"), (high, crossing.high <= last, ">")):
            axes.plot(end, crossing.y, "|" if known else arrow, color=BLACK, markersize=7, zorder=5)
    if first <= crossing.x <= last:
        axes.plot(
            crossing.x, crossing.y, "D", color=BLACK, markerfacecolor="white", markersize=7.5, markeredgewidth=1.5,
            zorder=6,
        )  # fmt: skip
        if crossing.name:
            axes.annotate(
                label(crossing.name, 30), (crossing.x, crossing.y), (0, 10), textcoords="offset points", ha="center",
                fontsize=8.5, zorder=7, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1},
            )  # fmt: skip


def _legend(
    figure: Figure, curves: Sequence[SelectorCurve], crossings: Sequence[CrossingMark], level: float
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for number, each in enumerate(curves):
        colour, marker = LOOKS[number % len(LOOKS)]
        handles.append(
            Line2D([], [], color=colour, marker=marker, linewidth=1.8, markersize=5.5, label=label(each.name))
        )
    handles.append(Line2D([], [], color=BLACK, linestyle=DASHES, linewidth=1.4, label="beyond its runs"))
    named = f"{100 * level:g} % interval"
    if any(each.low_K is not None for each in curves):
        handles.append(Patch(color=GREY, alpha=LAW_ALPHA, linewidth=0, label=named))
    if crossings:
        handles.append(
            Line2D([], [], color=BLACK, marker="D", markerfacecolor="white", markersize=7, label=f"crossing, {named}")
        )  # fmt: skip
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(labels, figure))


def multiplier_plot(
    rows: Sequence[Multiplier], *, of: str = "data", base: str = "the base", level: float = 0.95
) -> Figure:
    """Multipliers on a logarithmic axis, one row each; filled marks if the interval leaves out 1, hollow if not.

    A mark without an interval is hollow, too: nothing says that it is not chance. Ends that are open, or beyond the
    axis, are arrows. Rows of one ``group`` share a colour.
    """
    if not rows:
        raise bad_value("rows", "multiplier_plot", list(rows), "at least one")
    groups = list(dict.fromkeys(each.group for each in rows))
    values = np.array([[each.value, each.low, each.high] for each in rows], dtype=np.float64)
    first, last = _axis_ends(values)
    with style():
        names = [label(each.name, 34) for each in rows]
        longest = max(map(len, names))
        figure = new_figure(5.6 + 0.075 * longest, 1.3 + 0.34 * len(rows))
        axes = figure.add_subplot()
        axes.axvline(1, color=BLACK, linewidth=1.0, linestyle=(0, (5, 2)), zorder=1)
        for place, each in enumerate(rows):
            _row(axes, each, place, LOOKS[groups.index(each.group) % len(LOOKS)], first, last)
        log_axis(axes, "x", first, last)
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.tick_params(axis="y", length=0, pad=8)
        axes.spines["left"].set_visible(False)
        axes.grid(True, axis="x")
        axes.set_xlabel(f"times the {label(of)} of {label(base)}; {100 * level:g} % intervals")
        right = axes.secondary_yaxis("right")
        right.set_yticks(range(len(rows)), [_said(each) for each in rows])
        right.tick_params(length=0, labelsize=8.5, pad=8)
        right.spines["right"].set_visible(False)
        if groups != [""]:
            from matplotlib.lines import Line2D

            looks = [LOOKS[k % len(LOOKS)] for k in range(len(groups))]
            handles = [
                Line2D([], [], color=colour, marker=marker, linestyle="", label=label(group))
                for group, (colour, marker) in zip(groups, looks)
            ]
            labels = [label(g) for g in groups]
            figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(labels, figure))
    return figure


def _axis_ends(values: Array) -> tuple[float, float]:
    """Around 1 and all estimates, and the ends of intervals up to a factor of three beyond these."""
    middle = values[:, 0][np.isfinite(values[:, 0]) & (values[:, 0] > 0)]
    low, high = margins(np.append(middle, 1.0), 0.0)
    ends = values[np.isfinite(values) & (values > low / 3) & (values < high * 3)]
    return margins(np.append(ends, 1.0), 0.08)


def _row(axes: Axes, each: Multiplier, place: int, look: tuple[str, str], first: float, last: float) -> None:
    colour, marker = look
    known = not (np.isnan(each.low) or np.isnan(each.high))
    if known:
        low, high = max(each.low, first), min(each.high, last)
        axes.plot([low, high], [place, place], color=colour, linewidth=1.5, zorder=2)
        for end, open_end, arrow in ((low, each.low < first, "<"), (high, each.high > last, ">")):
            if open_end:
                axes.plot(end, place, arrow, color=colour, markersize=6, zorder=2, clip_on=False)
    if first <= each.value <= last:
        sure = known and not each.low <= 1 <= each.high
        axes.plot(
            each.value, place, marker, color=colour, markersize=7, markerfacecolor=colour if sure else "white",
            markeredgewidth=1.4, zorder=3,
        )  # fmt: skip


def _said(each: Multiplier) -> str:
    if np.isnan(each.value):
        return "none"
    if np.isinf(each.value):
        return f"out of reach ({digits(each.low, 2)} or more)" if each.low > 0 else "out of reach"
    if np.isnan(each.low) or np.isnan(each.high):
        return f"{digits(each.value, 2)} (no interval)"
    if np.isfinite(each.high) and each.low > 0:
        return with_interval(Interval(each.value, each.low, each.high, 0.95))
    low = "0" if each.low <= 0 else digits(each.low, 2)
    return f"{digits(each.value, 2)} ({low} to {'∞' if np.isinf(each.high) else digits(each.high, 2)})"
