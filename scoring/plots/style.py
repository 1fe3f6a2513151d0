"""What all figures share: colours that everyone can tell apart, one style, files of equal bytes.

Each figure function gives a ``matplotlib.figure.Figure`` that belongs to the caller; ``save`` writes it. pyplot is not
used, no window opens, and matplotlib's settings are left as they were. Colours are those of Okabe and Ito
(2008), which people with any colour vision can tell apart; shapes or labels repeat what colour says. The same input
gives the same file.

matplotlib is the extra ``report``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.errors import bad_value, missing_extra
from scoring.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#8C8C8C"

LOOKS = (
    (BLUE, "o"), (VERMILLION, "s"), (GREEN, "^"), (PURPLE, "D"), (ORANGE, "v"), (SKY, "P"), (BLACK, "X"),
)  # fmt: skip
"""Colour and marker of the architectures in turn, the same in every figure; from the eighth on they return."""

STYLE: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.8,
    "savefig.bbox": None,
}


def require() -> None:
    """Fail now, not after an hour of work, if matplotlib is not installed."""
    style()


def save(figure: Figure, path: str | Path) -> Path:
    """Write a PNG of 150 dots per inch, atomically; equal figures give equal bytes."""
    path = Path(path)
    if path.suffix != ".png":
        raise bad_value("path", "plots.save", str(path), "a name ending in .png")
    with style(), atomic_file(path) as temporary:
        # matplotlib would otherwise write its version and, for other formats, the date into the file.
        figure.savefig(temporary, dpi=DPI, format="png", metadata={"Software": None})
    return path


def new_figure(width: float, height: float) -> Figure:
    """A white figure of so many inches that belongs to no window; axes find their places by themselves."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def style() -> AbstractContextManager[None]:
    """A block with the settings of all figures; those of the caller are back after it."""
    try:
        import matplotlib
    except ImportError as error:
        raise missing_extra("matplotlib", "report") from error
    style: Any = dict(STYLE)  # newer versions list every key in the type
    return matplotlib.rc_context(style)


def short(rho: float) -> str:
    """``.87``, ``-.31``, ``1``: two digits without the zero; a 1 only where it is one."""
    if rho > 0.995:
        return "1" if rho > 1 - 1e-9 else ">.99"
    text = f"{rho:.2f}".replace("0.", ".")
    return "0" if text in ("-.00", ".00") else text


def legend_columns(labels: Sequence[str], figure: Figure) -> int:
    """In how many columns a legend of these labels fits under a figure; at least one."""
    room = figure.get_figwidth() - 0.2
    for columns in range(len(labels), 1, -1):
        lines, more = divmod(len(labels), columns)  # matplotlib gives the first columns one more
        ends = [at * lines + min(at, more) for at in range(columns + 1)]
        widest = [max(map(len, labels[start:end])) for start, end in pairwise(ends)]
        if sum(0.085 * letters + 0.65 for letters in widest) <= room:
            return columns
    return 1
