"""What figures of laws share: axes of N, D, C and losses with readable ticks, ordered colours, bands, safe names."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.lines import cut_to, one_line
from training.laws.form import Array
from training.laws.words.quantities import NAMES, digits, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

LAW_ALPHA, RUN_ALPHA = 0.30, 0.11
"""How dense the bands of the law, and of a new run, are drawn."""
DASHES = (0, (4, 2))
"""Beyond what was measured."""
BEYOND = "#F1F1F1"
MOST_TICKS = 7
LONGEST = 42


def label(text: object, columns: int = LONGEST) -> str:
    """A user's text as a label: one line, not too long, dollars and a leading underscore without their meanings."""
    line = cut_to(one_line(text), columns).replace("$", r"\$")
    return f" {line}" if line.startswith("_") else line  # a leading underscore hides a label from legends


def quantity(name: str) -> str:
    """The label of an axis: ``N, parameters``."""
    if name == "M":
        return "D / N, tokens per parameter"
    return f"{name}, {NAMES[name]}" if name in NAMES else label(name)


def ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """Round numbers between two positive ones, at places that are even enough on a logarithmic axis."""
    decades = math.log10(high / low)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    if decades > 1:
        for steps in ((1, 2, 5), (1, 3), (1,)):
            found = [step * 10.0**k for k in range(first, last + 1) for step in steps]
            found = [each for each in found if low <= each <= high]
            if len(found) <= most:
                return found
        every = math.ceil(len(found) / most)
        return [each for each in found if round(math.log10(each)) % every == 0]
    from matplotlib.ticker import MaxNLocator

    even = MaxNLocator(nbins=most, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    found = [float(each) for each in even if low <= each <= high]
    # on a logarithmic axis the upper ones of an even row come close to each other
    room, kept = math.log(high / low) / (1.6 * most), found[:1]
    for each in found[1:]:
        if math.log(each / kept[-1]) >= room:
            kept.append(each)
    return kept


def tick_text(value: float, name: str = "") -> str:
    """``100M`` for N and D, a power of ten for the very large and small, digits for the rest."""
    if name in ("N", "D"):
        return size(value, name)
    if value > 0 and not 1e-3 <= value < 1e5:
        mantissa, exponent = f"{value:.2e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".")
        power = f"10^{{{int(exponent)}}}"
        return f"${power}$" if mantissa == "1" else rf"${mantissa}\times{power}$"
    text = digits(value, 3)
    return text.rstrip("0").rstrip(".") if "." in text else text


def log_axis(axes: Axes, side: str, low: float, high: float, name: str = "", most: int = MOST_TICKS) -> None:
    """A logarithmic axis from ``low`` to ``high`` with few, plainly written ticks."""
    axis = axes.xaxis if side == "x" else axes.yaxis
    (axes.set_xscale if side == "x" else axes.set_yscale)("log")
    (axes.set_xlim if side == "x" else axes.set_ylim)(low, high)
    places = ticks(low, high, most)
    axis.set_ticks(places, [tick_text(each, name) for each in places])
    axis.set_ticks([], minor=True)


def margins(values: npt.ArrayLike, share: float = 0.05) -> tuple[float, float]:
    """The ends of a logarithmic axis that leaves some room around positive values."""
    found = np.asarray(values, dtype=np.float64)
    found = found[np.isfinite(found) & (found > 0)]
    low, high = float(found.min()), float(found.max())
    room = max((high / low) ** share, 1.01)
    return low / room, high * room


def colour_map() -> Colormap:
    """Viridis without its lightest part, for quantities in order: it darkens evenly and prints in grey."""
    import matplotlib
    from matplotlib.colors import ListedColormap

    return ListedColormap(matplotlib.colormaps["viridis"](np.linspace(0, 0.88, 256)))


class Shades:
    """Colours of a positive quantity on a logarithmic scale, with the bar that explains them."""

    def __init__(self, values: npt.ArrayLike, name: str = "") -> None:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LogNorm

        low, high = margins(values, 0.0)
        self.name, self.low, self.high = name, low, high
        self.mappable = ScalarMappable(LogNorm(low, high), colour_map())

    def __call__(self, values: npt.ArrayLike) -> Any:
        """RGBA, (..., 4)."""
        return self.mappable.to_rgba(np.asarray(values, dtype=np.float64))

    def bar(self, figure: Figure, axes: Axes | Sequence[Axes], levels: Sequence[float] = ()) -> None:
        """Beside ``axes``; a line for each of ``levels``."""
        drawn = figure.colorbar(self.mappable, ax=axes, pad=0.02, aspect=28, fraction=0.05)
        places = ticks(self.low, self.high)
        drawn.ax.yaxis.set_ticks(places, [tick_text(each, self.name) for each in places])
        drawn.ax.yaxis.set_ticks([], minor=True)
        for each in levels:
            drawn.ax.axhline(each, color="white", linewidth=1.6)
        drawn.outline.set_visible(False)
        drawn.set_label(quantity(self.name))


def band(axes: Axes, x: Array, low: Array, high: Array, colour: Any, alpha: float = LAW_ALPHA) -> None:
    """A filled interval along x; where an end is not known there is none."""
    axes.fill_between(
        x, low, high, where=np.isfinite(low) & np.isfinite(high), color=colour, alpha=alpha, linewidth=0
    )
