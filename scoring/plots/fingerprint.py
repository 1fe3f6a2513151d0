"""How many examples identify an architecture, and where the architectures put them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.plots.style import BLACK, GREEN, GREY, LOOKS, PURPLE, SKY, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CURVES = ((BLACK, "o"), (PURPLE, "D"), (SKY, "P"))
LINES = ("-", "--", ":", "-.")


def fingerprint_figure(
    curves: Mapping[str, npt.ArrayLike],
    sizes: Sequence[int],
    band: tuple[npt.ArrayLike, npt.ArrayLike],
    chance: float,
    means_AK: npt.ArrayLike,
    architectures: Sequence[str],
    *,
    others: Sequence[npt.ArrayLike] = (),
    reach: float = 0.95,
    title: str = "Fingerprint",
) -> Figure:
    """Accuracy on held-out runs by number of examples; beside it the centroids on the examples chosen.

    Args:
        curves: name -> accuracies in [0, 1] by size; the first one has the band.
        sizes: numbers of examples.
        band: low and high ends of the interval of the first curve, by size.
        chance: accuracy of always naming the most frequent architecture.
        means_AK: centroids in scales from their mean, (A, K), the most telling example first.
        architectures: names, A of them.
        others: accuracies of single scores, drawn thin and unnamed.
        reach: the accuracy asked for, a line.
        title: of the figure.
    """
    means = np.asarray(means_AK, dtype=np.float64)
    if means.shape[0] != len(architectures) or not curves:
        raise bad_value(
            "means_AK", "fingerprint_figure", means.shape, f"{len(architectures)} rows, with a curve"
        )
    with style():
        figure = new_figure(9.4, 4.4)
        axes, side = figure.subplots(1, 2, width_ratios=(1.25, 1))
        axes.grid(True, axis="y")
        places = np.arange(len(sizes))
        for values in others:
            axes.plot(places, np.asarray(values), color=GREY, linewidth=0.8, alpha=0.6, zorder=1)
        if others:
            axes.plot([], [], color=GREY, linewidth=0.8, label="single scores")
        low, high = (np.asarray(end) for end in band)
        axes.fill_between(places, low, high, color=CURVES[0][0], alpha=0.1, linewidth=0, zorder=2)
        for number, (name, values) in enumerate(curves.items()):
            colour, marker = CURVES[number % len(CURVES)]
            axes.plot(
                places, np.asarray(values), color=colour, marker=marker, linewidth=1.8, linestyle=LINES[number % 4],
                label=name, zorder=3,
            )  # fmt: skip
        axes.axhline(
            reach, color=GREEN, linewidth=1.1, linestyle=(0, (5, 2)), label=f"asked for: {reach:.0%}"
        )
        axes.axhline(
            chance, color=GREY, linewidth=1.1, linestyle=":", label=f"always the most frequent: {chance:.0%}"
        )
        axes.set_xticks(places, [str(size) for size in sizes])
        axes.set_ylim(-0.02, 1.04)
        axes.set_xlabel("examples in the fingerprint")
        axes.set_ylabel("held-out runs named rightly")
        axes.set_title(title)
        side.grid(True, axis="y")
        columns = np.arange(means.shape[1])
        for number, (name, row) in enumerate(zip(architectures, means)):
            colour, marker = LOOKS[number % len(LOOKS)]
            shift = 0.5 * (number - (len(means) - 1) / 2) / max(len(means), 2)
            side.plot(
                columns + shift, row, color=colour, marker=marker, linewidth=0, markersize=6, label=name
            )
        side.axhline(0, color=GREY, linewidth=0.8)
        step = max(1, -(-len(columns) // 10))
        side.set_xticks(columns[::step], [str(number) for number in columns[::step] + 1])
        side.set_xlim(-0.7, len(columns) - 0.3)
        side.set_xlabel("example, the most telling first")
        side.set_ylabel("mean of the runs, in standard deviations")
        side.set_title("Where architectures put them")
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=8.5)
        wide = 3 if max(map(len, architectures)) < 14 else 2
        side.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=wide, fontsize=8.5)
    return figure
