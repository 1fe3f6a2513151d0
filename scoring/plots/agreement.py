"""Heat maps of rank correlations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.plots.style import new_figure, short, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from scoring.compare.agreement.columns import Agreement

Floats = npt.NDArray[np.float64]
MANY = 12
"""With more columns cells and digits are smaller."""
LABEL = "Spearman correlation, high = hard on both"


def agreement_map(agreement: Agreement, *, title: str = "Agreement of scores") -> Figure:
    """Heat map of Spearman correlations, every column turned so that high is hard; similar scores side by side.

    Columns that are constant stay blank. The order is that of ``Agreement.ordered``.
    """
    found = agreement.ordered()
    count = len(found.names)
    longest = max(len(name) for name in found.names)
    cell = 0.40 if count > MANY else 0.55
    with style():
        margin = 0.085 * longest
        figure = new_figure(cell * count + margin + 1.6, cell * count + margin + 0.8)
        axes = figure.add_subplot()
        image = _heat(axes, found.rho_SS, found.names, found.names)
        axes.set_title(title, pad=10)
        _bar(figure, image, [axes], LABEL)
    return figure


def agreement_panels(
    names: Sequence[str],
    panels: Mapping[str, Floats],
    *,
    title: str,
    label: str = "correlation, high = hard on both",
) -> Figure:
    """Heat maps of the same scores side by side: title of a panel -> (S, S) correlations, blank where NaN.

    The order is the caller's. With more than 8 scores there are two panels in a row.
    """
    count, many = len(names), len(names) > MANY
    columns = min(len(panels), 4 if count <= 8 else 2)
    lines = -(-len(panels) // columns)
    cell = 0.36 if many else 0.5
    margin = 0.085 * max(len(name) for name in names)
    with style():
        side = max(cell * count, 2.6)
        figure = new_figure(columns * (side + 0.25) + margin + 1.2, lines * (side + 0.4) + margin + 0.9)
        grid = figure.subplots(lines, columns, squeeze=False)
        images = []
        for number, axes in enumerate(grid.flat):
            if number >= len(panels):
                axes.set_visible(False)
                continue
            name, rho = list(panels.items())[number]
            below = number + columns >= len(panels)
            images.append(
                _heat(axes, rho, names if number % columns == 0 else None, names if below else None)
            )
            axes.set_title(name, pad=6, fontsize=10)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        _bar(figure, images[0], list(grid.flat), label)
    return figure


def architecture_map(
    scores: Sequence[str], pairs: Sequence[str], panels: Mapping[str, Floats],
    *, title: str = "The same score in two architectures",
) -> Figure:  # fmt: skip
    """Heat maps of scores (rows) by pairs of architectures (columns): title of a panel -> (S, pairs), blank where NaN.

    Scores are ordered by the mean of the last panel, those that agree least at the bottom.
    """
    last = list(panels.values())[-1]
    known = ~np.isnan(last)
    mean = np.where(known, last, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    order = np.argsort(-np.where(known.any(axis=1), mean, -2), kind="stable")
    cell = 0.42
    with style():
        width = max(cell * len(pairs), 1.6)
        left, below = (0.085 * max(len(name) for name in names) for names in (scores, pairs))
        figure = new_figure(
            len(panels) * (width + 0.3) + left + 1.3, max(cell * 0.75 * len(scores), 1.2) + below + 1.0
        )
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        for number, (axes, (name, rho)) in enumerate(zip(grid, panels.items())):
            rows = [scores[i] for i in order] if number == 0 else None
            image = _heat(axes, rho[order], rows, pairs)
            axes.set_aspect("auto")
            axes.set_title(name, pad=6, fontsize=10)
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        _bar(figure, image, list(grid), "Spearman correlation")
    return figure


def _heat(axes: Axes, rho: Floats, rows: Sequence[str] | None, columns: Sequence[str] | None) -> AxesImage:
    """One matrix with its numbers; labels where names are given."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import Normalize

    height, width = rho.shape
    image = axes.imshow(np.ma.masked_invalid(rho), cmap="RdBu_r", norm=Normalize(-1, 1))
    axes.set_xticks(range(width) if columns else [], columns or [], rotation=90)
    axes.set_yticks(range(height) if rows else [], rows or [])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    right, bottom = width - 0.5, height - 0.5
    gaps = [[(-0.5, i - 0.5), (right, i - 0.5)] for i in range(height + 1)]
    gaps += [[(i - 0.5, -0.5), (i - 0.5, bottom)] for i in range(width + 1)]
    axes.add_collection(LineCollection(gaps, colors="white", linewidths=1, zorder=1.5), autolim=False)
    small = max(height, width) > MANY
    for i, j in np.argwhere(~np.isnan(rho)):
        number = axes.text(
            j, i, short(float(rho[i, j])), ha="center", va="center", fontsize=7.5 if small else 9,
            color="white" if abs(rho[i, j]) > 0.62 else "black",
        )  # fmt: skip
        number.set_in_layout(False)  # it is inside its cell, and to measure thousands of them takes seconds
    return image


def _bar(figure: Figure, image: AxesImage, axes: Sequence[Axes], label: str) -> None:
    bar = figure.colorbar(
        image, ax=axes[0] if len(axes) == 1 else list(axes), shrink=0.6, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1]
    )
    bar.set_label(label)
    bar.outline.set(visible=False)
