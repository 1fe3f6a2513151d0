"""What proxies keep of a target's set, how alike they predict, and what ensembling mends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from scoring.plots.style import BLACK, BLUE, GREY, LOOKS, VERMILLION, legend_columns, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scoring.compare.intervals.over_runs import Estimate
    from scoring.compare.predictions.agreement import PredictionAgreement
    from scoring.compare.predictions.ensembling import Ensembling
    from scoring.compare.proxy import ProxyCheck


def kept_by_proxies(checks: Sequence[ProxyCheck]) -> Figure:
    """Of every score: the share of the target's kept set that each proxy keeps, beside the ceiling and chance.

    Filled marks will do, hollow ones will not or cannot be told; bars are 95 % intervals over runs. The black tick with
    its grey band is what the target's own next runs would keep, the dotted line what chance would.
    """
    scores = list(dict.fromkeys(check.score for check in checks))
    proxies = {check.proxy: LOOKS[check.place % len(LOOKS)] for check in checks}
    row = 0.24 + 0.16 * len(proxies)
    with style():
        figure = new_figure(6.4 + 0.075 * max(map(len, scores)), 1.5 + row * len(scores))
        axes = figure.add_subplot()
        for check in checks:
            place = len(scores) - 1 - scores.index(check.score)
            number = list(proxies).index(check.proxy)
            colour, marker = proxies[check.proxy]
            at = place + 0.7 * ((len(proxies) - 1) / 2 - number) / max(len(proxies), 1)
            if number == 0:
                _ceiling(axes, check, place)
            _mark(axes, check.overlap, at, colour, marker, check.verdict == "yes")
        axes.axvline(100 * checks[0].chance, color=GREY, linestyle=":", linewidth=1.4)
        axes.set_yticks(range(len(scores)), scores[::-1])
        axes.set_ylim(-0.55, len(scores) - 0.45)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(True, axis="x")
        low = min(100 * c.overlap.value for c in checks)
        axes.set_xlim(min(low, 100 * checks[0].chance) - 4, 101)
        axes.set_xlabel(f"of what {checks[0].target} keeps, %")
        axes.set_title("What proxies keep of the target's set")
        _kept_legend(figure, proxies, checks[0].target)
    return figure


def _ceiling(axes: Axes, check: ProxyCheck, place: int) -> None:
    if np.isnan(check.ceiling.value):
        return
    if check.ceiling.firm:
        low, high = (100 * end for end in check.ceiling.interval)
        axes.fill_betweenx([place - 0.42, place + 0.42], low, high, color="#D9D9D9", linewidth=0)
    axes.plot([100 * check.ceiling.value] * 2, [place - 0.42, place + 0.42], color=BLACK, linewidth=1.8)


def _mark(axes: Axes, found: Estimate, at: float, colour: str, marker: str, filled: bool) -> None:
    if found.firm:
        low, high = found.interval
        axes.plot([100 * low, 100 * high], [at, at], color=colour, linewidth=1.3)
    axes.plot(
        100 * found.value, at, marker, color=colour, markersize=5.5, markeredgewidth=1.3,
        markerfacecolor=colour if filled else "white",
    )  # fmt: skip


def _kept_legend(figure: Figure, proxies: Mapping[str, tuple[str, str]], target: str) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="", label=name)
        for name, (colour, marker) in proxies.items()
    ]
    handles += [
        Line2D(
            [], [], color=BLACK, marker="|", linestyle="", markersize=12, markeredgewidth=1.8, label=f"{target} itself"
        ),
        Line2D([], [], color=GREY, linestyle=":", linewidth=1.4, label="chance"),
    ]  # fmt: skip
    labels = [*proxies, f"{target} itself", "chance"]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=legend_columns(labels, figure),
        title="filled: will do; hollow: will not, or cannot be told", title_fontsize=9,
    )  # fmt: skip


def agreement_by_width(pairs: PredictionAgreement) -> Figure:
    """Left: how often two runs predict another class. Right: their mean total variation. Cheapest architecture first.

    Circles are two runs of one architecture, squares a run of it and one of the target. Axes are logarithmic where
    values span a factor of four.
    """
    names, target = pairs.architectures, pairs.architectures[-1]
    panels = (
        ("Another class is predicted, %", 100 * pairs.disagreement_MM),
        ("Mean total variation", pairs.variation_MM),
    )
    with style():
        figure = new_figure(max(7.4, 2.2 + 1.5 * len(names)), 3.8)
        for axes, (title, matrix) in zip(figure.subplots(1, 2), panels):
            for other, colour, marker, shift, label in (
                (None, BLUE, "o", -0.09, "two runs of it"),
                (target, VERMILLION, "s", 0.09, f"a run of it and one of {target}"),
            ):
                kinds = [name for name in names if other is None or name != target]
                found = [pairs.mean(matrix, name, name if other is None else other) for name in kinds]
                shown = [(i, each) for i, each in enumerate(found) if each.value > 0]
                _bars(axes, shown, shift, colour)
                axes.plot(
                    [i + shift for i, _ in shown], [each.value for _, each in shown], marker, color=colour,
                    linestyle="-", linewidth=1.0, markersize=6, label=label,
                )  # fmt: skip
            long = sum(map(len, names)) > 36
            axes.set_xticks(
                range(len(names)), names, rotation=35 if long else 0, ha="right" if long else "center",
                rotation_mode="anchor" if long else None,
            )  # fmt: skip
            axes.set_xlim(-0.5, len(names) - 0.5)
            _logarithmic(axes)
            axes.set_title(title)
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _bars(axes: Axes, shown: Sequence[tuple[int, Estimate]], shift: float, colour: str) -> None:
    for place, each in shown:
        if each.firm:
            # An interval that reaches 0 has no place on a logarithmic axis; it ends at a twentieth of the value.
            low, high = max(each.interval[0], each.value / 20), each.interval[1]
            axes.plot([place + shift] * 2, [low, high], color=colour, linewidth=1.3)


def _logarithmic(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.grid(True, axis="y")
    low, high = axes.dataLim.intervaly
    if not (low > 0 and high > 4 * low):
        return  # so little a range has ticks of its own only where it is even
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def ensemble_curves(found: Sequence[Ensembling]) -> Figure:
    """Loss of ensembles against the number of runs in them; at the right edge, if known, that of infinitely many.

    The dashed line is one run of the target, the last of the architectures: what stays above it is bias.
    """
    largest = max(each.runs for each in found)
    ticks = sorted({size for each in found for size in each.sizes})
    ticks = [size for size in ticks if size == largest or size * 1.3 < largest]
    far = largest * 2.0
    with style():
        figure = new_figure(6.6 + 0.07 * max(len(each.architecture) for each in found), 4.2)
        axes = figure.add_subplot()
        axes.axhline(found[-1].single.value, color=GREY, linestyle=(0, (5, 2)), linewidth=1.4)
        for number, each in enumerate(found):
            colour, marker = LOOKS[each.place % len(LOOKS)]
            axes.plot(
                each.sizes, each.losses, marker, linestyle="-", linewidth=1.5, color=colour, markersize=6,
                label=each.architecture,
            )  # fmt: skip
            if each.infinite is None:
                continue
            at = far * 1.045 ** (number - (len(found) - 1) / 2)
            if each.infinite.firm:
                low, high = (
                    max(each.infinite.interval[0], each.infinite.value / 20),
                    each.infinite.interval[1],
                )
                axes.plot([at, at], [low, high], color=colour, linewidth=1.3)
            axes.plot(at, each.infinite.value, marker, color=colour, markersize=6, markerfacecolor="white")
        axes.set_xscale("log", base=2)
        names = [f"{size}" for size in ticks]
        known = any(each.infinite is not None for each in found)
        axes.set_xticks([*ticks, far] if known else ticks, [*names, "infinitely\nmany"] if known else names)
        axes.minorticks_off()
        axes.set_xlim(0.85, (far if known else largest) * 1.35)
        _logarithmic(axes)
        axes.set_xlabel("runs in the ensemble")
        axes.set_ylabel("negative log-likelihood, nats")
        axes.set_title("What ensembling mends, and what stays")
        figure.legend(
            loc="outside right upper", title=f"dashed: one run\nof {found[-1].architecture}", title_fontsize=9,
        )  # fmt: skip
    return figure
