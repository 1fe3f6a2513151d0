"""Whose variance it is: stacked shares per score, and the noise of single runs per architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scoring.compare.variance.moments import Estimate
from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, LOOKS, ORANGE, legend_columns, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHARES: Mapping[str, tuple[str, str, str]] = {
    "example": (BLUE, "", "white"),
    "interaction": (ORANGE, "//", "black"),
    "noise": ("#D9D9D9", "..", "black"),
    "interaction and noise": ("#D9D9D9", "//", "black"),
}
LABELS: Mapping[str, str] = {
    "example": "example",
    "interaction": "example x architecture",
    "noise": "run noise",
    "interaction and noise": "example x architecture and run noise",
}
LONGEST = 34


@dataclass(frozen=True)
class Bar:
    """One score: component -> share of the variance of a single run, and architecture -> share of its noise."""

    name: str
    shares: Mapping[str, Estimate]
    noise: Mapping[str, Estimate]


def variance_shares(
    bars: Sequence[Bar], *, title: str = "Whose variance it is, in the ranks of a single run"
) -> Figure:
    """Stacked shares per score, intervals (95 %) at the edges of the first and the last part; noise per architecture.

    The largest share of the example comes first. The right panel is left out where no noise is known.
    """
    if not bars:
        raise bad_value("bars", "variance_shares", list(bars), "at least one score")
    ordered = sorted(bars, key=lambda bar: -bar.shares["example"].value)
    kinds = list(dict.fromkeys(name for bar in ordered for name in bar.noise))
    places = np.arange(len(ordered))
    with style():
        height = max(2.6, 0.42 * len(ordered) + 1.5)
        figure = new_figure(10.5 if kinds else 7.0, height)
        panels: Sequence[Axes] = figure.subplots(
            1, 2 if kinds else 1, squeeze=False, sharey=True, width_ratios=(3, 2) if kinds else (1,)
        )[0]
        _stacks(panels[0], ordered, places)
        panels[0].set_yticks(places, [_short(bar.name) for bar in ordered])
        panels[0].set_ylim(len(ordered) - 0.5, -0.5)
        panels[0].tick_params(axis="y", length=0)
        if kinds:
            _noise(panels[1], ordered, kinds, places)
        handles, names = panels[0].get_legend_handles_labels()
        if kinds:
            more = panels[1].get_legend_handles_labels()
            handles, names = handles + more[0], names + more[1]
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, figure))
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    return figure


def _stacks(axes: Axes, bars: Sequence[Bar], places: np.ndarray) -> None:
    kinds = list(dict.fromkeys(name for bar in bars for name in bar.shares))
    left = np.zeros(len(bars))
    for number, kind in enumerate(kinds):
        colour, hatch, ink = SHARES[kind]
        widths = np.array([bar.shares[kind].value for bar in bars])
        axes.barh(
            places, widths, left=left, height=0.66, color=colour, hatch=hatch, edgecolor="white", linewidth=0.8,
            label=LABELS[kind],
        )  # fmt: skip
        for place, start, width in zip(places, left, widths):
            if width >= (
                0.12 if 0 < number < len(kinds) - 1 else 0.07
            ):  # between two intervals it takes more room
                axes.text(
                    start + width / 2, place, f"{width * 100:.0f}", ha="center", va="center", color=ink, fontsize=8.5,
                    bbox=None if not hatch else {"facecolor": colour, "edgecolor": "none", "pad": 1.2},
                )  # fmt: skip
        left = left + widths
    for place, bar in zip(places, bars):
        names = list(bar.shares)
        first, last = bar.shares[names[0]], bar.shares[names[-1]]
        several = len(names) > 2
        edges = [(first.value, first.low, first.high, -0.12 if several else 0.0)]
        if several:
            edges.append((1 - last.value, 1 - last.high, 1 - last.low, 0.12))
        for middle, low, high, shift in edges:
            axes.errorbar(
                middle, place + shift, xerr=[[middle - low], [high - middle]], color=BLACK, linewidth=1.2, capsize=2.5,
                fmt="none",
            )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_xticks(np.linspace(0, 1, 6), [f"{each:.0f}" for each in np.linspace(0, 100, 6)])
    axes.set_xlabel("share of the variance over examples, %")
    axes.spines["left"].set_visible(False)


def _noise(axes: Axes, bars: Sequence[Bar], kinds: Sequence[str], places: np.ndarray) -> None:
    for number, kind in enumerate(kinds):
        colour, marker = LOOKS[number % len(LOOKS)]
        shift = 0.6 * ((number + 0.5) / len(kinds) - 0.5)
        at = [(place + shift, bar.noise[kind]) for place, bar in zip(places, bars) if kind in bar.noise]
        middle = np.array([each.value for _, each in at])
        low, high = np.array([each.low for _, each in at]), np.array([each.high for _, each in at])
        axes.errorbar(
            middle, [place for place, _ in at], xerr=[middle - low, high - middle], color=colour, marker=marker,
            markersize=5, linestyle="none", elinewidth=1.2, capsize=2.5, label=_short(kind),
        )  # fmt: skip
    for place in places[:-1] + 0.5:
        axes.axhline(place, color="#E3E3E3", linewidth=0.8)
    axes.grid(True, axis="x")
    axes.set_xlim(left=0)
    most = axes.get_xlim()[1]
    axes.set_xlim(0, min(most, 1.02))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value * 100:.3g}")
    axes.set_xlabel("run noise, by architecture, %")
    axes.tick_params(axis="y", length=0)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"
