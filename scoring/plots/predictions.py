"""Which runs predict alike, how right they are alone and together, and how many examples all or none get right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from scoring.plots.style import BLACK, BLUE, GREY, ORANGE, SKY, VERMILLION, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scoring.compare.predictions.agreement import PredictionAgreement
    from scoring.compare.predictions.votes import VoteRecord
    from scoring.compare.ranks import Floats


def pair_maps(pairs: PredictionAgreement) -> Figure:
    """Every run against every other one: disagreement, and error consistency (without labels: total variation).

    Lines part the architectures; what is undefined, and a run with itself, stays blank.
    """
    runs = len(pairs.owner_M)
    side = float(np.clip(0.11 * runs, 2.6, 4.6))
    longest = max(len(name) for name in pairs.architectures)
    errors = pairs.error_consistency_MM
    second = ("Total variation", pairs.variation_MM) if errors is None else ("Error consistency", errors)
    with style():
        figure = new_figure(2 * (side + 1.2) + 0.075 * longest + 0.3, side + 1.1 + 0.075 * longest)
        left, right = figure.subplots(1, 2, sharey=True)
        _map(left, pairs, "Disagreement of classes", pairs.disagreement_MM, signed=False)
        _map(right, pairs, *second, signed=errors is not None)
    return figure


def _map(axes: Axes, pairs: PredictionAgreement, title: str, values_MM: Floats, *, signed: bool) -> None:
    from matplotlib.colors import Normalize

    shown = np.array(values_MM)
    np.fill_diagonal(shown, np.nan)
    known = shown[~np.isnan(shown)]
    top = float(known.max()) if len(known) and known.max() > 0 else 1.0
    norm = Normalize(-1, 1) if signed else Normalize(0, top)
    image = axes.imshow(
        np.ma.masked_invalid(shown),
        cmap="RdBu_r" if signed else "cividis",
        norm=norm,
        interpolation="nearest",
    )
    counts = np.bincount(pairs.owner_M)
    edges = np.cumsum(counts)
    for edge in edges[:-1]:
        axes.axhline(edge - 0.5, color="white", linewidth=1.6)
        axes.axvline(edge - 0.5, color="white", linewidth=1.6)
    names = [f"{name} ({count})" for name, count in zip(pairs.architectures, counts)]
    upright = sum(map(len, names)) > 30
    axes.set_xticks(
        edges - counts / 2 - 0.5, names, rotation=40 if upright else 0, ha="right" if upright else "center",
        rotation_mode="anchor" if upright else None,
    )  # fmt: skip
    axes.set_yticks(edges - counts / 2 - 0.5, names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(title, pad=8)
    bar = axes.figure.colorbar(image, ax=axes, shrink=0.8, pad=0.03)
    bar.outline.set(visible=False)
    bar.ax.tick_params(length=0)


def votes(records: Sequence[VoteRecord], pairs: PredictionAgreement) -> Figure:
    """Left: accuracy of single runs, ensemble and majority vote. Right: examples that all, some, no runs get right."""
    assert pairs.accuracy_M is not None
    names = ["all runs" if r.name is None else f"{r.name} ({r.runs})" for r in records]
    longest = max(map(len, names))
    with style():
        figure = new_figure(8.6 + 0.06 * longest, 1.7 + 0.42 * len(names))
        left, right = figure.subplots(1, 2, sharey=True)
        places = np.arange(len(names))[::-1]
        for kind, place in enumerate(places[: len(pairs.architectures)]):
            single_R = 100 * pairs.accuracy_M[pairs.owner_M == kind]
            left.plot(
                single_R, np.full(len(single_R), place), "o", color=SKY, markersize=5, markeredgewidth=0, alpha=0.6,
                label="single runs" if kind == 0 else None,
            )  # fmt: skip
        left.plot(
            [100 * r.ensemble for r in records],
            places + 0.13,
            "D",
            color=BLUE,
            markersize=6,
            label="ensemble",
        )
        left.plot(
            [100 * r.majority for r in records], places - 0.13, "v", color=VERMILLION, markersize=6,
            label="majority vote",
        )  # fmt: skip
        left.set_yticks(places, names)
        left.set_ylim(-0.6, len(names) - 0.4)
        left.grid(True, axis="x")
        left.set_title("Right on these examples, %")
        left.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.07 - 0.25 / len(names)), ncols=3, columnspacing=1.0
        )
        _difficulty(right, records, places)
    return figure


def _difficulty(axes: Axes, records: Sequence[VoteRecord], places: np.ndarray) -> None:
    parts = (
        ("all right", BLUE, "white", [r.all_right for r in records]),
        ("some", GREY, "black", [r.some_right for r in records]),
        ("none", ORANGE, "black", [r.none_right for r in records]),
    )
    totals = [r.all_right + r.some_right + r.none_right for r in records]
    start = np.zeros(len(records))
    for name, colour, ink, counts in parts:
        shares = 100 * np.array(counts) / totals
        axes.barh(places, shares, left=start, height=0.62, color=colour, label=name, edgecolor="white")
        for place, low, share, count in zip(places, start, shares, counts):
            if share > 3 + 2.2 * len(f"{count:,}"):
                axes.text(
                    low + share / 2, place, f"{count:,}", ha="center", va="center", color=ink, fontsize=8
                )
        start = start + shares
    axes.set_xlim(0, 100)
    axes.tick_params(axis="y", length=0, labelleft=False)
    axes.spines["left"].set_visible(False)
    axes.set_title("Examples that runs get right, %")
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.07 - 0.25 / len(records)), ncols=3, columnspacing=1.0,
        labelcolor=BLACK,
    )  # fmt: skip
