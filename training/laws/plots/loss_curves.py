"""Loss curves under schedules: what was measured, what a law predicts, and the learning rate below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.plots.style import BLACK, BLUE, GREY, VERMILLION, legend_columns, new_figure, style
from training.laws.plots.axes import LAW_ALPHA, band, label
from training.laws.words.quantities import percent, size

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_COLUMNS = 3
THOUSANDS = 10_000
"""From so many steps on they are written as 10K."""
SETTLED = 0.1
"""The vertical axis shows what comes after so much of a run: its first steps would hide the rest."""


@dataclass(frozen=True)
class ScheduleCurve:
    """One run: T steps with the loss measured and predicted, its interval if known, and the rate at S steps."""

    name: str
    step_T: npt.ArrayLike
    measured_T: npt.ArrayLike
    predicted_T: npt.ArrayLike
    rate_step_S: npt.ArrayLike
    rate_S: npt.ArrayLike
    fitted: bool
    low_T: npt.ArrayLike | None = None
    high_T: npt.ArrayLike | None = None


def loss_curve_plot(curves: Sequence[ScheduleCurve], *, outcome: str = "loss", level: float = 0.95) -> Figure:
    """One panel per run, its learning rate in a strip below; the runs fitted to are blue, those predicted vermillion.

    Measured loss is light, the law black on top; titles say the mean absolute error relative to the loss. All panels
    share their loss axis, which starts after the first tenth of the steps.
    """
    if not curves:
        raise bad_value("curves", "loss_curve_plot", list(curves), "at least one")
    columns = min(MOST_COLUMNS, len(curves))
    rows = math.ceil(len(curves) / columns)
    with style():
        figure = new_figure(max(5.0, 3.3 * columns + 0.5), 3.0 * rows + 0.6)
        grid = figure.add_gridspec(2 * rows, columns, height_ratios=[3.2, 1] * rows)
        shared: tuple[Any, Any] = (None, None)
        lows, highs = [], []
        for number, each in enumerate(curves):
            row, column = divmod(number, columns)
            axes = figure.add_subplot(grid[2 * row, column], sharey=shared[0])
            strip = figure.add_subplot(grid[2 * row + 1, column], sharex=axes, sharey=shared[1])
            shared = (shared[0] or axes, shared[1] or strip)
            low, high = _draw(axes, strip, each)
            lows.append(low)
            highs.append(high)
            if column == 0:
                axes.set_ylabel(label(outcome))
                strip.set_ylabel("lr")
            if number + columns >= len(curves):
                strip.set_xlabel("step")
        room = 0.06 * (max(highs) - min(lows)) or 0.01
        shared[0].set_ylim(min(lows) - room, max(highs) + room)
        shared[1].set_ylim(bottom=0)
        _legend(figure, curves, level)
    return figure


def _draw(axes: Any, strip: Any, each: ScheduleCurve) -> tuple[float, float]:
    step, measured, predicted = (
        np.asarray(v, dtype=np.float64) for v in (each.step_T, each.measured_T, each.predicted_T)
    )
    if not step.shape == measured.shape == predicted.shape or len(step) == 0:
        raise InputError(f"loss curve {label(each.name)}: its columns are not equally long, or empty.")
    colour = BLUE if each.fitted else VERMILLION
    axes.plot(step, measured, color=colour, linewidth=2.6, alpha=0.55, zorder=2)
    if each.low_T is not None and each.high_T is not None:
        low, high = (np.asarray(v, dtype=np.float64) for v in (each.low_T, each.high_T))
        band(axes, step, low, high, GREY, LAW_ALPHA)
    axes.plot(step, predicted, color=BLACK, linewidth=1.1, zorder=3)
    error = percent(float(np.mean(np.abs(predicted / measured - 1))))
    axes.set_title(f"{label(each.name, 22)}: {error}", fontsize=9.5)
    axes.grid(True, axis="y")
    axes.tick_params(labelbottom=False)
    strip.fill_between(
        np.asarray(each.rate_step_S, dtype=np.float64), 0, np.asarray(each.rate_S, dtype=np.float64), color=colour,
        alpha=0.25, linewidth=0,
    )  # fmt: skip
    strip.plot(each.rate_step_S, each.rate_S, color=colour, linewidth=1.1)
    strip.ticklabel_format(axis="y", style="sci", scilimits=(-2, 2), useMathText=True)
    strip.locator_params(axis="y", nbins=2)
    strip.locator_params(axis="x", nbins=5)
    if step.max() >= THOUSANDS:
        strip.xaxis.set_major_formatter(lambda value, place: size(value, "D"))
    late = step >= SETTLED * step.max()
    shown = np.concatenate([measured[late], predicted[late]])
    return float(np.nanmin(shown)), float(np.nanmax(shown))


def _legend(figure: Figure, curves: Sequence[ScheduleCurve], level: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for colour, fitted, said in (
        (BLUE, True, "measured, fitted to"),
        (VERMILLION, False, "measured, held out"),
    ):
        if any(each.fitted is fitted for each in curves):
            handles.append(Line2D([], [], color=colour, alpha=0.55, linewidth=2.6, label=said))
    handles.append(
        Line2D([], [], color=BLACK, linewidth=1.1, label="law (mean absolute error in the titles)")
    )
    if any(each.low_T is not None for each in curves):
        handles.append(Patch(color=GREY, alpha=LAW_ALPHA, linewidth=0, label=f"{100 * level:g} % interval"))
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(labels, figure))
