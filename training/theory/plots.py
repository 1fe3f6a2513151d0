"""Figures of the theory: errors of the perceptron along the number of examples, and Zipf tails with what they lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, new_figure, style
from training.laws.plots.axes import log_axis, margins
from training.theory.crossing import Crossing
from training.theory.perceptron import EASY, HARD, RANDOM, Errors
from training.theory.perceptron_limit import perceptron_limit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOK = {HARD: (VERMILLION, "o"), EASY: (BLUE, "s"), RANDOM: (GREY, "D")}
CURVES = ((BLACK, "-"), (VERMILLION, "--"), (BLUE, "-."), (GREEN, ":"), (ORANGE, (0, (5, 1, 1, 1))))
POINTS = 25
"""Of a line of the limit."""


def perceptron_plot(errors: Sequence[Errors], crossings: Sequence[Crossing] = ()) -> Figure:
    """Error over examples per dimension, one panel per keep and angle.

    Points are means over seeds with bars of one standard deviation, lines the limit of many dimensions; an arrow at the
    bottom marks where the hard end overtakes the easy one, its band where the seeds cannot tell.
    """
    panels = list(dict.fromkeys((each.keep, each.angle) for each in errors))
    if not panels:
        raise bad_value("errors", "perceptron_plot", [], "errors of at least one setting")
    with style():
        figure = new_figure(4.4 * len(panels) + (0.3 if len(panels) > 1 else 1.9), 4.6)
        row: Sequence[Axes] = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (keep, angle) in zip(row, panels):
            here = [each for each in errors if (each.keep, each.angle) == (keep, angle)]
            _perceptron_panel(axes, here)
            for each in crossings:
                if (each.keep, each.angle) == (keep, angle) and each.alpha is not None:
                    _mark(axes, each)
            axes.set_title(f"{keep * 100:g} % kept, probe {angle:g}° off")
            axes.set_xlabel("examples per dimension before selection")
        values = np.array([value for each in errors for value in each.error_S])
        log_axis(row[0], "y", *margins(values))
        row[0].set_ylabel("error on fresh inputs")
        figure.suptitle(
            "The perceptron that keeps hard, easy or random examples",
            x=0.01,
            ha="left",
            fontsize=12,
            fontweight="bold",
        )
        handles, names = row[0].get_legend_handles_labels()
        first = errors[0]
        note = (
            f"points: mean and standard deviation of {len(first.seeds)} seeds in {first.dimension} dimensions\n"
            "lines: limit of many dimensions"
        )
        figure.legend(handles, names, loc="outside lower center", ncols=3, title=note, title_fontsize=9)
    return figure


def _perceptron_panel(axes: Axes, errors: Sequence[Errors]) -> None:
    alphas = np.array(sorted({each.alpha for each in errors}))
    log_axis(axes, "x", *margins(alphas))
    axes.grid(True, axis="y")
    for take, (colour, marker) in LOOK.items():
        mine = [each for each in errors if each.take == take]
        if not mine:
            continue
        axes.errorbar(
            [each.alpha for each in mine], [each.mean for each in mine], yerr=[each.sd for each in mine],
            color=colour, marker=marker, markersize=5, linestyle="none", elinewidth=1.2, capsize=3, label=take,
        )  # fmt: skip
        line = np.geomspace(alphas[0], alphas[-1], POINTS if len(alphas) > 1 else 1)
        keep, angle = mine[0].keep, mine[0].angle
        limit = [perceptron_limit(float(alpha), keep, angle, take) for alpha in line]
        axes.plot(line, limit, color=colour, linewidth=1.4, linestyle="--" if take == RANDOM else "-")


def _mark(axes: Axes, found: Crossing) -> None:
    assert found.alpha is not None
    low, high = found.low or found.alphas[0], found.high or found.alphas[-1]
    axes.axvspan(low, high, color=GREEN, alpha=0.12, linewidth=0)
    axes.axvline(found.alpha, color=GREEN, linewidth=1.2, linestyle=":")
    axes.annotate(
        f"{found.later} overtakes {found.first} at {found.alpha:.2g}", (found.alpha, 0.985),
        xycoords=("data", "axes fraction"),
        ha="center", va="top", fontsize=8.5, color="#00614A", backgroundcolor="white",
    )  # fmt: skip


def zipf_plot(
    unseen: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    generations: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    plateau: float | None = None,
) -> Figure:
    """Left: unseen mass over draws, by name of the data; right: over generations, expected (lines) and drawn (points).

    Colours go by place: the second curve on the left, cut data, has that of the first line of generations.

    Args:
        unseen: Name -> draws and unseen mass.
        generations: Name -> expected and drawn unseen mass of generations 0, 1, ...
        plateau: Tail mass of the cut data, drawn as a line.
    """
    if not unseen or not generations or len(unseen) > len(CURVES) or len(generations) >= len(CURVES):
        raise bad_value(
            "unseen and generations",
            "zipf_plot",
            [len(unseen), len(generations)],
            f"1 to {len(CURVES)} curves",
        )
    with style():
        figure = new_figure(9.6, 4.4)
        left, right = figure.subplots(1, 2)
        for (name, (draws, mass)), (colour, line) in zip(unseen.items(), CURVES):
            left.plot(draws, mass, color=colour, linestyle=line, linewidth=1.7, label=name)
        if plateau is not None:
            left.axhline(plateau, color=GREY, linewidth=1)
            ends = [each for draws, _ in unseen.values() for each in draws]
            left.annotate(
                "mass beyond the cut", (min(ends), plateau), xytext=(0, -4), textcoords="offset points",
                va="top", fontsize=8.5, color="#5A5A5A",
            )  # fmt: skip
        log_axis(left, "x", *margins(np.concatenate([draws for draws, _ in unseen.values()])))
        log_axis(left, "y", *margins(np.concatenate([mass for _, mass in unseen.values()])))
        left.set_xlabel("draws")
        left.set_ylabel("mass that was not seen")
        left.set_title("Data that have lost their tail")
        left.grid(True, axis="y")
        left.legend(loc="lower left", bbox_to_anchor=(0, 0))
        for (name, (expected, drawn)), (colour, line) in zip(generations.items(), CURVES[1:]):
            right.plot(
                range(len(expected)), expected, color=colour, linestyle=line, linewidth=1.7, label=name
            )
            right.plot(range(len(drawn)), drawn, color=colour, marker="o", markersize=4, linestyle="none")
        right.set_ylim(bottom=0)
        right.set_xlabel("generation")
        right.set_title("Generations of self-training, points: drawn")
        right.grid(True, axis="y")
        right.legend(loc="lower right")
    return figure
