"""One loss against another: paired runs, the maps between them, and what runs held out say of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.plots.style import BLACK, GREY, LOOKS, legend_columns, new_figure, style
from training.laws.form import Array
from training.laws.loss_to_loss.loss_map import LossMap
from training.laws.plots.axes import DASHES, LAW_ALPHA, band, label
from training.laws.words.quantities import digits, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 200


@dataclass(frozen=True)
class PairedLosses:
    """One map with the P pairs it was fitted to, H held-out pairs, and its band if there is one.

    ``band`` is (x, low, high), each (K,), ascending in x. ``held_low`` and ``held_high`` are the ends of the
    predictions for the held-out x.
    """

    name: str
    x_P: npt.ArrayLike
    y_P: npt.ArrayLike
    loss_map: LossMap
    held_x_H: npt.ArrayLike = ()
    held_y_H: npt.ArrayLike = ()
    held_low_H: npt.ArrayLike | None = None
    held_high_H: npt.ArrayLike | None = None
    band: tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike] | None = None


def loss_to_loss_plot(
    series: Sequence[PairedLosses],
    *,
    source: str = "source loss",
    target: str = "target loss",
    floors: bool = True,
    level: float = 0.95,
) -> Figure:
    """Pairs, y = K (x - E0)^kappa + E1 through them, dashed outside of the pairs, and the identity as a grey line.

    With ``floors`` the maps are followed down to (E0, E1), a hollow mark: the losses that no compute removes. Held-out
    pairs are stars; a bar beside each is the interval of its prediction.
    """
    if not series:
        raise bad_value("series", "loss_to_loss_plot", list(series), "at least one map")
    with style():
        figure = new_figure(6.4, 5.6 + 0.2 * len(series))
        axes = figure.add_subplot()
        boxes = []
        for number, each in enumerate(series):
            colour, marker = LOOKS[number % len(LOOKS)]
            boxes.append(_draw(axes, each, colour, marker, floors))
        low_x, high_x, low_y, high_y = (
            pick(box[k] for box in boxes) for k, pick in enumerate((min, max, min, max))
        )
        axes.axline((low_x, low_x), slope=1, color=GREY, linewidth=1.1, zorder=1)
        room_x, room_y = 0.05 * (high_x - low_x), 0.05 * (high_y - low_y)
        axes.set_xlim(low_x - room_x, high_x + room_x)
        axes.set_ylim(low_y - room_y, high_y + room_y)
        axes.grid(True)
        axes.set_xlabel(label(source))
        axes.set_ylabel(label(target))
        _legend(figure, series, floors, level)
    return figure


def _draw(axes: Axes, each: PairedLosses, colour: str, marker: str, floors: bool) -> tuple[float, ...]:
    """Everything of one map; the box it needs."""
    x, y = (np.asarray(v, dtype=np.float64) for v in (each.x_P, each.y_P))
    held_x, held_y = (np.asarray(v, dtype=np.float64) for v in (each.held_x_H, each.held_y_H))
    shown_x, shown_y = np.concatenate([x, held_x]), np.concatenate([y, held_y])
    found, low, high = each.loss_map, float(shown_x.min()), float(shown_x.max())
    if floors:
        axes.plot(
            found.E0, found.E1, marker, color=colour, markersize=7, markerfacecolor="white", markeredgewidth=1.4,
            zorder=4,
        )  # fmt: skip
        low = min(low, found.E0)
        shown_x, shown_y = np.append(shown_x, found.E0), np.append(shown_y, found.E1)
    if each.band is not None:
        grid, least, most = (np.asarray(v, dtype=np.float64) for v in each.band)
        band(axes, grid, least, most, colour)
    inner = np.linspace(x.min(), x.max(), POINTS)
    axes.plot(inner, found.predict(inner), color=colour, linewidth=1.8, zorder=3)
    for start, end in ((low, float(x.min())), (float(x.max()), high)):
        if start < end:
            part = start + (end - start) * np.linspace(0, 1, POINTS) ** 2  # steep near the floor
            axes.plot(part, found.predict(part), color=colour, linewidth=1.4, linestyle=DASHES, zorder=3)
    axes.plot(
        x, y, marker, color=colour, markersize=4.5, markeredgecolor="white", markeredgewidth=0.4, zorder=5
    )
    if len(held_x):
        _held(axes, each, held_x, held_y, colour)
    return float(shown_x.min()), float(shown_x.max()), float(shown_y.min()), float(shown_y.max())


def _held(axes: Axes, each: PairedLosses, x: Array, y: Array, colour: str) -> None:
    if each.held_low_H is not None and each.held_high_H is not None:
        ends = zip(x, np.ravel(each.held_low_H), np.ravel(each.held_high_H))
        for at, low, high in ends:
            axes.plot([at, at], [low, high], color=colour, linewidth=3.0, alpha=0.5, zorder=4)
    axes.plot(
        x, y, "*", color=colour, markersize=12, markeredgecolor=BLACK, markeredgewidth=0.8, linestyle="", zorder=6
    )  # fmt: skip


def _legend(figure: Figure, series: Sequence[PairedLosses], floors: bool, level: float) -> None:
    """Above the maps, one line each; below what the marks mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    maps: list[Any] = []
    for number, each in enumerate(series):
        colour, marker = LOOKS[number % len(LOOKS)]
        said = f"{label(each.name, 36)}: κ {digits(each.loss_map.kappa, 3)}, K {digits(each.loss_map.K, 3)}"
        x = np.asarray(each.held_x_H, dtype=np.float64)
        if len(x):
            error = np.abs(each.loss_map.predict(x) / np.asarray(each.held_y_H, dtype=np.float64) - 1)
            said += f", mean error held out {percent(float(error.mean()))}"
        maps.append(Line2D([], [], color=colour, marker=marker, markersize=5, linewidth=1.6, label=said))
    figure.legend(handles=maps, loc="outside upper left", borderaxespad=0.2)
    marks: list[Any] = [
        Line2D([], [], color=BLACK, linewidth=1.4, linestyle=DASHES, label="beyond the pairs")
    ]
    if floors:
        marks.append(
            Line2D([], [], color=BLACK, marker="o", markerfacecolor="white", linestyle="", label="floors (E0, E1)")
        )  # fmt: skip
    if any(len(np.ravel(each.held_x_H)) for each in series):
        marks.append(Line2D([], [], color=BLACK, marker="*", markersize=10, linestyle="", label="held out"))
    if any(each.band is not None or each.held_low_H is not None for each in series):
        marks.append(Patch(color=GREY, alpha=LAW_ALPHA, linewidth=0, label=f"{100 * level:g} % interval"))
    marks.append(Line2D([], [], color=GREY, linewidth=1.1, label="equal losses"))
    labels = [str(handle.get_label()) for handle in marks]
    figure.legend(handles=marks, loc="outside lower center", ncols=legend_columns(labels, figure))
