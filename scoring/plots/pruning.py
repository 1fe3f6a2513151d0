"""What is kept, and how well a model learns from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILLION, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES: Mapping[str, tuple[str, str]] = {
    "hardest": (VERMILLION, "o"),
    "easiest": (BLUE, "s"),
    "random": (GREY, "D"),
}
SPARE = ((GREEN, "^"), (PURPLE, "v"), (ORANGE, "P"), (SKY, "X"), (BLACK, "*"))


@dataclass(frozen=True)
class Curve:
    """One way of choosing: mean and standard deviation of a metric over seeds at each share kept."""

    name: str
    keep: Sequence[float]
    mean: Sequence[float]
    sd: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One data set: curves, and mean and standard deviation with all examples."""

    title: str
    curves: Sequence[Curve]
    full: tuple[float, float]


def pruning_curves(
    panels: Sequence[Panel],
    *,
    title: str = "What is kept, and how well a model learns from it",
    metric: str = "test accuracy",
    note: str = "",
) -> Figure:
    """A metric against the share of examples kept, one panel per data set, error bars of one standard deviation.

    Args:
        panels: from left to right; each has its own vertical axis, since noise moves the whole picture.
        title: of the figure.
        metric: name of the vertical axis.
        note: what else a reader must know (seeds, steps), under the figure.
    """
    keeps = sorted({keep for panel in panels for curve in panel.curves for keep in curve.keep})
    if not keeps:
        raise bad_value("panels", "pruning_curves", panels, "panels with at least one curve")
    spare = iter(SPARE * 10)
    looks: dict[str, tuple[str, str]] = {}
    for panel in panels:
        for curve in panel.curves:
            looks.setdefault(curve.name, CURVES.get(curve.name) or next(spare))
    with style():
        figure = new_figure(4.5 * len(panels) + 0.4, 4.8)
        all_axes: Sequence[Axes] = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(all_axes, panels):
            axes.grid(True, axis="y")
            mean, sd = panel.full
            axes.axhspan(mean - sd, mean + sd, color=GREEN, alpha=0.18, linewidth=0)
            axes.axhline(mean, color=GREEN, linewidth=1.4, linestyle=(0, (5, 2)), label="all examples")
            for number, curve in enumerate(panel.curves):
                colour, marker = looks[curve.name]
                # Categorical places with a small shift, so that error bars stand side by side.
                shift = 0.06 * (number - (len(panel.curves) - 1) / 2)
                places = [keeps.index(keep) + shift for keep in curve.keep]
                axes.errorbar(
                    places, curve.mean, yerr=curve.sd, color=colour, marker=marker, markersize=5,
                    linewidth=1.6, elinewidth=1.3, capsize=4, label=curve.name,
                    linestyle="--" if curve.name == "random" else "-",
                )  # fmt: skip
            axes.set_xticks(range(len(keeps)), [f"{keep:.3g}" for keep in np.array(keeps) * 100])
            axes.set_xlim(-0.35, len(keeps) - 0.65)
            axes.set_title(panel.title)
            axes.set_xlabel("examples kept, %")
            axes.set_ylabel(metric)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        handles: dict[str, Any] = {}
        for axes in all_axes:
            for handle, name in zip(*axes.get_legend_handles_labels()):
                handles.setdefault(name, handle)
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=len(handles),
            title=note or None, title_fontsize=9,
        )  # fmt: skip
    return figure
