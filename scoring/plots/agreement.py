"""Heat map of rank correlations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scoring.plots.style import new_figure, short, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from scoring.compare.agreement import Agreement


def agreement_map(agreement: Agreement, *, title: str = "Agreement of scores") -> Figure:
    """Heat map of Spearman correlations, every column turned so that high is hard; similar scores side by side.

    Columns that are constant stay blank. The order is that of ``Agreement.ordered``.
    """
    found = agreement.ordered()
    count = len(found.names)
    longest = max(len(name) for name in found.names)
    cell = 0.40 if count > 12 else 0.55
    with style():
        from matplotlib.colors import Normalize

        margin = 0.085 * longest
        figure = new_figure(cell * count + margin + 1.6, cell * count + margin + 0.8)
        axes = figure.add_subplot()
        image = axes.imshow(np.ma.masked_invalid(found.rho_SS), cmap="RdBu_r", norm=Normalize(-1, 1))
        axes.set_xticks(range(count), found.names, rotation=90)
        axes.set_yticks(range(count), found.names)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(count + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(count + 1) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1)
        axes.tick_params(which="minor", length=0)
        for i in range(count):
            for j in range(count):
                rho = found.rho_SS[i, j]
                text = "" if np.isnan(rho) else short(rho)
                axes.text(
                    j, i, text, ha="center", va="center", fontsize=7.5 if count > 12 else 9,
                    color="white" if abs(rho) > 0.62 else "black",
                )  # fmt: skip
        axes.set_title(title, pad=10)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
        bar.set_label("Spearman correlation, high = hard on both")
        bar.outline.set(visible=False)
    return figure
