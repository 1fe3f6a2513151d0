"""Profile likelihoods: how much worse a law fits with one parameter held elsewhere."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, VERMILLION, legend_columns, new_figure, style
from training.laws.plots.axes import label, log_axis, margins
from training.laws.uncertainty.profile import Profile
from training.laws.words.quantities import with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEIGHT = 3.0
"""Panels end at so many thresholds."""
WIDE = 4.0
"""Values that span more than this factor stand on a logarithmic axis."""
MOST_COLUMNS = 3


def profile_plot(profiles: Sequence[Profile]) -> Figure:
    """The deviance (what the objective lost) against the held value, one panel per parameter.

    Below the dashed threshold a value is within chance; the ground between the ends of the interval is shaded. A
    profile that never rises above it on some side is drawn in vermillion and called flat: the runs do not determine
    that parameter.
    """
    if not profiles:
        raise bad_value("profiles", "profile_plot", list(profiles), "at least one profile")
    columns = min(MOST_COLUMNS, len(profiles))
    rows = math.ceil(len(profiles) / columns)
    with style():
        figure = new_figure(max(4.4, 3.1 * columns + 0.4), 2.7 * rows + 0.6)
        panels: Any = figure.subplots(rows, columns, squeeze=False, sharey=True)
        for axes, profile in zip(panels.flat, profiles):
            _panel(axes, profile)
        for axes in panels.flat[len(profiles) :]:
            axes.set_visible(False)
        for row in panels:
            row[0].set_ylabel("deviance / threshold")
        panels[0, 0].set_ylim(0, HEIGHT)
        _legend(figure, profiles)
    return figure


def _panel(axes: Axes, profile: Profile) -> None:
    colour = VERMILLION if profile.flat else BLUE
    values, ratio = profile.values_K, profile.deviance_K / profile.threshold
    low, high = max(profile.interval.low, values[0]), min(profile.interval.high, values[-1])
    axes.axvspan(low, high, color=colour, alpha=0.13, linewidth=0, zorder=0)
    axes.axhline(1, color=BLACK, linewidth=1.0, linestyle=(0, (5, 2)), zorder=1)
    axes.plot(values, np.minimum(ratio, 2 * HEIGHT), color=colour, linewidth=1.8, zorder=3)
    axes.plot(profile.interval.value, 0, "o", color=colour, markersize=7, clip_on=False, zorder=4)
    seen = values[ratio <= HEIGHT] if (ratio <= HEIGHT).any() else values
    ends = (min(float(seen[0]), low), max(float(seen[-1]), high))
    if ends[0] > 0 and ends[1] / ends[0] > 1 + 1e-9:
        if ends[1] / ends[0] > WIDE:
            log_axis(axes, "x", *margins(ends, 0.03), most=5)
        else:
            axes.set_xlim(ends[0] - 0.03 * (ends[1] - ends[0]), ends[1] + 0.03 * (ends[1] - ends[0]))
            axes.locator_params(axis="x", nbins=5)
    name = label(profile.parameter, 18)
    said = "flat: not determined" if profile.flat else with_interval(profile.interval)
    axes.set_title(f"{name}  {said}", fontsize=10, color=VERMILLION if profile.flat else BLACK)
    axes.set_xlabel(name)


def _legend(figure: Figure, profiles: Sequence[Profile]) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    level = f"{100 * profiles[0].interval.level:g} %"
    handles: list[Any] = [
        Line2D([], [], color=BLUE, linewidth=1.8, marker="o", label="profile, estimate"),
        Line2D([], [], color=BLACK, linewidth=1.0, linestyle=(0, (5, 2)), label=f"threshold, {level}"),
        Patch(color=BLUE, alpha=0.13, linewidth=0, label=f"{level} interval"),
    ]
    if any(each.flat for each in profiles):
        handles.append(Line2D([], [], color=VERMILLION, linewidth=1.8, label="flat"))
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(labels, figure))
