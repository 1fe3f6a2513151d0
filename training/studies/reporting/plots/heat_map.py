"""How the share of every class changed, under every way: one panel per budget."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.plots.style import new_figure, style
from training.studies.reporting.plots.looks import drawable, named

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GONE = "#FFD500"
"""The edge of a cell of which nothing was kept."""
WRAPPED = 30
"""Letters of a line of the name of a way."""
MOST_WRITTEN = 12
"""Columns of one panel that still have room for digits."""


def representation_map(
    classes: Sequence[str], ways: Sequence[str], panels: Mapping[str, npt.NDArray[np.float64]], *, title: str
) -> Figure:
    """Heat maps of (share among the kept) / (share before) - 1.

    Colours go from -1 (nothing kept) to 1 (twice the share or more); a frame marks -1 itself. Cells
    without a value are blank.

    Args:
        panels: budget -> (classes, ways).
    """
    names = ["\n".join(_wrapped(name)) for name in named(ways, 2 * WRAPPED).values()]
    rows = list(named(classes, 24).values())
    cell = 0.40
    with style():
        below, left = (
            0.075 * max(len(line) for name in names for line in name.split("\n")),
            0.075 * max(map(len, rows)),
        )
        width = len(panels) * (cell * len(ways) + 0.35) + left + 1.3
        figure = new_figure(max(width, 5.2), max(0.24 * len(rows), 1.0) + below + 1.3)
        grid = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        image = None
        for axes, (budget, values) in zip(grid, panels.items()):
            image = axes.imshow(values, cmap="PuOr", vmin=-1, vmax=1, aspect="auto")
            axes.set_title(drawable(budget, 16), fontsize=10)
            axes.set_xticks(range(len(ways)), names, rotation=90, fontsize=8, linespacing=0.95)
            axes.set_yticks(range(len(rows)), rows)
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            _written(axes, values)
        assert image is not None
        bar = figure.colorbar(image, ax=list(grid), pad=0.015, fraction=0.05, aspect=25, extend="max")
        bar.set_label("change of the share of a class", fontsize=9)
        bar.outline.set_visible(False)
        figure.suptitle(
            drawable(title, int(figure.get_figwidth() * 11)),
            x=0.01,
            ha="left",
            fontsize=11,
            fontweight="bold",
        )
    return figure


def _wrapped(name: str) -> list[str]:
    return textwrap.wrap(name, WRAPPED, break_long_words=False, break_on_hyphens=False)[:2]


def _written(axes: object, values: npt.NDArray[np.float64]) -> None:
    from matplotlib.axes import Axes
    from matplotlib.patches import Rectangle

    assert isinstance(axes, Axes)
    for (row, column), value in np.ndenumerate(values):
        if not np.isfinite(value):
            continue
        text = "gone" if value == -1 else f"{value:+.1f}" if abs(value) >= 0.05 else "0"
        if values.shape[1] <= MOST_WRITTEN:
            axes.text(
                column, row, text, ha="center", va="center", fontsize=6.5,
                color="white" if abs(value) > 0.6 else "black",
            )  # fmt: skip
        if value == -1:
            axes.add_patch(
                Rectangle((column - 0.46, row - 0.44), 0.92, 0.88, fill=False, edgecolor=GONE, linewidth=1.2)
            )
