"""Data map: mean confidence against variability over training (Swayamdipta et al. 2020, figure 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.hashing import shuffled
from scoring.plots.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 25_000
"""A data map of more examples shows this many of them, chosen by hash."""

CORRECTNESS = (
    (0.2, "0 to 0.2", VERMILLION, "X"),
    (0.4, "0.2 to 0.4", ORANGE, "D"),
    (0.6, "0.4 to 0.6", GREY, "s"),
    (0.8, "0.6 to 0.8", SKY, "^"),
    (1.01, "0.8 to 1", BLUE, "o"),
)
"""Upper end, name, colour and marker of the bins of correctness; a bin holds its lower end."""


def data_map(
    confidence: npt.ArrayLike,
    variability: npt.ArrayLike,
    correctness: npt.ArrayLike,
    *,
    marked: npt.ArrayLike | None = None,
    marked_name: str = "marked",
    title: str = "Data map",
) -> Figure:
    """Mean confidence against variability, coloured by correctness (Swayamdipta et al. 2020, figure 1).

    Args:
        confidence: mean probability of the gold label over training, in [0, 1], (N,).
        variability: its standard deviation over training, (N,).
        correctness: share of the predictions over training that were right, in [0, 1], (N,).
        marked: examples to ring, such as planted label errors, (N,) bool.
        marked_name: what they are, for the legend.
        title: of the figure.
    """
    y, x, right = (np.asarray(values, dtype=np.float64) for values in (confidence, variability, correctness))
    rings = np.zeros(len(y), dtype=np.bool_) if marked is None else np.asarray(marked, dtype=np.bool_)
    for name, values in (("variability", x), ("correctness", right), ("marked", rings)):
        if values.shape != y.shape:
            raise bad_value(name, "data_map", values.shape, f"of the shape of confidence, {y.shape}")
    shown = np.sort(shuffled(0, len(y))[:MOST_POINTS])
    few = f" ({len(shown):,} of {len(y):,} shown)" if len(shown) < len(y) else ""
    size = float(np.clip(26_000 / max(len(shown), 1), 5, 28))

    with style():
        figure = new_figure(8.6, 5.4)
        grid = figure.add_gridspec(3, 2, width_ratios=[3.3, 1], wspace=0.06, hspace=0.12)
        axes = figure.add_subplot(grid[:, 0])
        axes.grid(True)
        low = -np.inf
        for high, name, colour, marker in CORRECTNESS:
            rows = shown[(right[shown] >= low) & (right[shown] < high)]
            low = high
            axes.scatter(
                x[rows], y[rows], s=size, c=colour, marker=marker, linewidths=0.4, edgecolors="white",
                label=f"{name} ({len(rows):,})", zorder=2,
            )  # fmt: skip
        rows = shown[rings[shown]]
        if len(rows):
            axes.scatter(
                x[rows], y[rows], s=3 * size, facecolors="none", edgecolors=BLACK, linewidths=0.9,
                label=f"{marked_name} ({len(rows):,})", zorder=3,
            )  # fmt: skip
        # The names of the three regions stand in margins that no point can reach.
        most = max(0.1, float(np.nanmax(x, initial=0.0)))
        axes.set(xlim=(-0.03 * most, 1.13 * most), ylim=(-0.1, 1.1))
        axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1])
        axes.set_xlabel("variability: standard deviation of that probability")
        axes.set_ylabel("confidence: mean probability of the given label")
        axes.set_title(title + few)
        region: dict[str, Any] = {"style": "italic", "color": "#444444", "va": "center"}
        axes.text(0, 1.06, "easy to learn", ha="left", **region)
        axes.text(0, -0.06, "hard to learn", ha="left", **region)
        axes.text(1.09 * most, 0.5, "ambiguous", ha="center", rotation=90, **region)
        for row, (values, name) in enumerate(((y, "confidence"), (x, "variability"), (right, "correctness"))):
            side = figure.add_subplot(grid[row, 1])
            limits = (0.0, most) if name == "variability" else (0.0, 1.0)
            side.hist(values[~np.isnan(values)], bins=25, range=limits, color="#5B6B7A")
            side.locator_params(axis="x", nbins=4 if name == "variability" else 3)
            side.set_xlabel(name)
            side.yaxis.tick_right()
            side.spines[["left"]].set_visible(False)
            side.spines[["right"]].set_visible(True)
            side.set_xlim(limits)
            side.locator_params(axis="y", nbins=3)
        figure.legend(
            *axes.get_legend_handles_labels(), loc="outside lower center", ncols=3,
            title="share of predictions over training that were right (number of examples)",
            title_fontsize=9, columnspacing=1.6, handletextpad=0.3,
        )  # fmt: skip
    return figure
