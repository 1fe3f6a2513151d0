"""What the resamples of a bootstrap say of every pair of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, VERMILLION, new_figure, style
from training.laws.form import Array
from training.laws.plots.axes import label, log_axis, margins
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.words.quantities import with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 6
MOST_POINTS = 2_000
WIDE = 4.0
MIDDLE = 0.97
"""Axes show so much of the resamples; a few far ones would hide the others."""


def parameter_plot(boot: Bootstrap, level: float = 0.95) -> Figure:
    """Resamples of the free parameters in natural units, pair by pair; on the diagonal each by itself.

    The cross is the fit, dashed lines the ends of the interval at ``level``. A narrow ridge says that two parameters
    are known together but not apart. Axes hold the middle 97 % of the resamples; they are logarithmic where that
    spans more than a factor of four.
    """
    names = [p.name for p in boot.fitted.form.free]
    if not 1 <= len(names) <= MOST:
        raise bad_value("boot", "parameter_plot", f"{len(names)} parameters", f"1 to {MOST} free ones")
    samples = {name: boot.samples[name][:MOST_POINTS] for name in names}
    ends = {name: _ends(samples[name], boot.fitted.parameters[name]) for name in names}
    with style():
        each = 1.75 if len(names) > 2 else 2.5
        figure = new_figure(each * len(names) + 1.2, each * len(names) + 0.9)
        panels: Any = figure.subplots(len(names), len(names), squeeze=False)
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                axes = panels[i, j]
                if j > i:
                    axes.set_visible(False)
                    continue
                _axis(axes, "x", *ends[column])
                if i == j:
                    _alone(
                        axes, boot, row, ends[row], level, "right" if i and i == len(names) - 1 else "left"
                    )
                else:
                    _axis(axes, "y", *ends[row])
                    axes.plot(
                        samples[column], samples[row], "o", color=BLUE, markersize=2.2, alpha=0.35, markeredgewidth=0
                    )  # fmt: skip
                    point = (boot.fitted.parameters[column], boot.fitted.parameters[row])
                    axes.plot(*point, "+", color=VERMILLION, markersize=10, markeredgewidth=2)
                _outer(axes, i, j, len(names), names)
        count = len(boot.theta_BP)
        shown = "" if count <= MOST_POINTS else f", {MOST_POINTS:,} drawn"
        figure.suptitle(
            f"{label(boot.fitted.form.name)}: {count:,} resamples{shown}",
            x=0.01, ha="left", fontsize=11, fontweight="bold",
        )  # fmt: skip
    return figure


def _ends(sample: Array, value: float) -> tuple[float, float]:
    found = sample[np.isfinite(sample)]
    if len(found) == 0:
        return value - 1, value + 1
    low, high = np.quantile(found, [(1 - MIDDLE) / 2, (1 + MIDDLE) / 2])
    low, high = min(float(low), value), max(float(high), value)
    if low > 0 and high > WIDE * low:
        return margins([low, high])
    room = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
    return low - room, high + room


def _axis(axes: Axes, side: Literal["x", "y"], low: float, high: float) -> None:
    if low > 0 and high > WIDE * low:
        log_axis(axes, side, low, high, most=4)
        return
    (axes.set_xlim if side == "x" else axes.set_ylim)(low, high)
    axes.locator_params(axis=side, nbins=4)


def _alone(
    axes: Axes,
    boot: Bootstrap,
    name: str,
    ends: tuple[float, float],
    level: float,
    side: Literal["left", "right"],
) -> None:
    logs = ends[0] > 0 and ends[1] > WIDE * ends[0]
    edges = np.geomspace(*ends, 25) if logs else np.linspace(*ends, 25)
    sample = boot.samples[name]
    axes.hist(sample[np.isfinite(sample)], edges.tolist(), color=BLUE, alpha=0.6)
    found = boot.interval(name, level)
    axes.axvline(found.value, color=VERMILLION, linewidth=1.8)
    for end in (found.low, found.high):
        if np.isfinite(end):
            axes.axvline(end, color=BLACK, linewidth=1.0, linestyle=(0, (4, 2)))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title(f"{label(name, 12)}  {with_interval(found)}", fontsize=8.5, loc=side)


def _outer(axes: Axes, i: int, j: int, count: int, names: list[str]) -> None:
    if i < count - 1:
        axes.set_xticklabels([])
    else:
        axes.set_xlabel(label(names[j], 18))
        axes.tick_params(axis="x", labelrotation=45 if count > 3 else 0)
    if i == j:
        return
    if j == 0:
        axes.set_ylabel(label(names[i], 18))
    else:
        axes.set_yticklabels([])
