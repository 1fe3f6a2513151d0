"""Three figures about scores: data map, agreement of scores, pruning curves.

Each function gives a ``matplotlib.figure.Figure`` that belongs to the caller; ``save`` writes it. pyplot is not
used, no window opens, and matplotlib's settings are left as they were. Colours are those of Okabe and Ito
(2008), which people with any colour vision can tell apart; shapes or labels repeat what colour says. The same input
gives the same file.

matplotlib is the extra ``report``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value, missing_extra
from scoring.files import atomic_file
from scoring.hashing import shuffled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from scoring.compare.agreement import Agreement

DPI = 150
MOST_POINTS = 25_000
"""A data map of more examples shows this many of them, chosen by hash."""

BLACK, ORANGE, SKY, GREEN, BLUE, VERMILLION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
GREY = "#8C8C8C"

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

CORRECTNESS = (
    (0.2, "0 to 0.2", VERMILLION, "X"),
    (0.4, "0.2 to 0.4", ORANGE, "D"),
    (0.6, "0.4 to 0.6", GREY, "s"),
    (0.8, "0.6 to 0.8", SKY, "^"),
    (1.01, "0.8 to 1", BLUE, "o"),
)
"""Upper end, name, colour and marker of the bins of correctness; a bin holds its lower end."""

CURVES: Mapping[str, tuple[str, str]] = {
    "hardest": (VERMILLION, "o"),
    "easiest": (BLUE, "s"),
    "random": (GREY, "D"),
}
SPARE = ((GREEN, "^"), (PURPLE, "v"), (ORANGE, "P"), (SKY, "X"), (BLACK, "*"))


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

    with _style():
        figure = _figure(8.6, 5.4)
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


def agreement_map(agreement: Agreement, *, title: str = "Agreement of scores") -> Figure:
    """Heat map of Spearman correlations, every column turned so that high is hard; similar scores side by side.

    Columns that are constant stay blank. The order is that of ``Agreement.ordered``.
    """
    found = agreement.ordered()
    count = len(found.names)
    longest = max(len(name) for name in found.names)
    cell = 0.40 if count > 12 else 0.55
    with _style():
        from matplotlib.colors import Normalize

        margin = 0.085 * longest
        figure = _figure(cell * count + margin + 1.6, cell * count + margin + 0.8)
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
                text = "" if np.isnan(rho) else _short(rho)
                axes.text(
                    j, i, text, ha="center", va="center", fontsize=7.5 if count > 12 else 9,
                    color="white" if abs(rho) > 0.62 else "black",
                )  # fmt: skip
        axes.set_title(title, pad=10)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
        bar.set_label("Spearman correlation, high = hard on both")
        bar.outline.set(visible=False)
    return figure


@dataclass(frozen=True)
class Curve:
    """One way of choosing: mean and standard deviation of a metric over seeds at each share kept."""

    name: str
    keep: Sequence[float]
    mean: Sequence[float]
    sd: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """One data set: curves, and mean and standard deviation with all examples."""

    title: str
    curves: Sequence[Curve]
    full: tuple[float, float]


def pruning_curves(
    panels: Sequence[Panel],
    *,
    title: str = "What is kept, and how well a model learns from it",
    metric: str = "test accuracy",
    note: str = "",
) -> Figure:
    """A metric against the share of examples kept, one panel per data set, error bars of one standard deviation.

    Args:
        panels: from left to right; each has its own vertical axis, since noise moves the whole picture.
        title: of the figure.
        metric: name of the vertical axis.
        note: what else a reader must know (seeds, steps), under the figure.
    """
    keeps = sorted({keep for panel in panels for curve in panel.curves for keep in curve.keep})
    if not keeps:
        raise bad_value("panels", "pruning_curves", panels, "panels with at least one curve")
    spare = iter(SPARE * 10)
    looks: dict[str, tuple[str, str]] = {}
    for panel in panels:
        for curve in panel.curves:
            looks.setdefault(curve.name, CURVES.get(curve.name) or next(spare))
    with _style():
        figure = _figure(4.5 * len(panels) + 0.4, 4.8)
        all_axes: Sequence[Axes] = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, panel in zip(all_axes, panels):
            axes.grid(True, axis="y")
            mean, sd = panel.full
            axes.axhspan(mean - sd, mean + sd, color=GREEN, alpha=0.18, linewidth=0)
            axes.axhline(mean, color=GREEN, linewidth=1.4, linestyle=(0, (5, 2)), label="all examples")
            for number, curve in enumerate(panel.curves):
                colour, marker = looks[curve.name]
                # Categorical places with a small shift, so that error bars stand side by side.
                shift = 0.06 * (number - (len(panel.curves) - 1) / 2)
                places = [keeps.index(keep) + shift for keep in curve.keep]
                axes.errorbar(
                    places, curve.mean, yerr=curve.sd, color=colour, marker=marker, markersize=5,
                    linewidth=1.6, elinewidth=1.3, capsize=4, label=curve.name,
                    linestyle="--" if curve.name == "random" else "-",
                )  # fmt: skip
            axes.set_xticks(range(len(keeps)), [f"{keep:.3g}" for keep in np.array(keeps) * 100])
            axes.set_xlim(-0.35, len(keeps) - 0.65)
            axes.set_title(panel.title)
            axes.set_xlabel("examples kept, %")
            axes.set_ylabel(metric)
        figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
        handles: dict[str, Any] = {}
        for axes in all_axes:
            for handle, name in zip(*axes.get_legend_handles_labels()):
                handles.setdefault(name, handle)
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=len(handles),
            title=note or None, title_fontsize=9,
        )  # fmt: skip
    return figure


def require() -> None:
    """Fail now, not after an hour of work, if matplotlib is not installed."""
    _style()


def save(figure: Figure, path: str | Path) -> Path:
    """Write a PNG of 150 dots per inch, atomically; equal figures give equal bytes."""
    path = Path(path)
    if path.suffix != ".png":
        raise bad_value("path", "plots.save", str(path), "a name ending in .png")
    with _style(), atomic_file(path) as temporary:
        # matplotlib would otherwise write its version and, for other formats, the date into the file.
        figure.savefig(temporary, dpi=DPI, format="png", metadata={"Software": None})
    return path


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def _style() -> AbstractContextManager[None]:
    try:
        import matplotlib
    except ImportError as error:
        raise missing_extra("matplotlib", "report") from error
    style: Any = dict(STYLE)  # newer versions list every key in the type
    return matplotlib.rc_context(style)


def _short(rho: float) -> str:
    """``.87``, ``-.31``, ``1``: two digits without the zero; a 1 only where it is one."""
    if rho > 0.995:
        return "1" if rho > 1 - 1e-9 else ">.99"
    text = f"{rho:.2f}".replace("0.", ".")
    return "0" if text in ("-.00", ".00") else text
