"""Manhattan plot: how surely every example tells two architectures apart (as in genetics; Kwok et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.hashing import shuffled
from scoring.plots.style import BLACK, BLUE, ORANGE, VERMILLION, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_POINTS = 30_000
"""Of more examples that are not sensitive so many are shown, chosen by hash, and as many on either side that are."""
SHADES = ("#9AA5B1", "#5B6B7A")
HIGHEST = 20.0
"""-log10 p is cut here, where every p is beyond doubt."""
MOST_NAMES = 12


def manhattan(
    p_N: npt.ArrayLike,
    q_N: npt.ArrayLike,
    harder_N: npt.ArrayLike,
    names: tuple[str, str],
    *,
    q: float = 0.05,
    labels_N: npt.ArrayLike | None = None,
    label_names: Sequence[str] = (),
    title: str = "Sensitive examples",
) -> Figure:
    """-log10 p by example, class by class in alternating shades; the line is the Benjamini-Hochberg threshold.

    Args:
        p_N, q_N: p-values in [0, 1] and their q-values, (N,).
        harder_N: positive where the first architecture finds the example harder, (N,).
        names: of the two architectures.
        q: false discovery rate of the line and of the marked examples.
        labels_N, label_names: classes; without them examples stand in their own order in one shade.
        title: of the figure.
    """
    p, fdr, harder = (np.asarray(values, dtype=np.float64) for values in (p_N, q_N, harder_N))
    for name, values in (("q_N", fdr), ("harder_N", harder)):
        if values.shape != p.shape:
            raise bad_value(name, "manhattan", values.shape, f"of the shape of p_N, {p.shape}")
    labels = np.zeros(len(p), dtype=np.int64) if labels_N is None else np.asarray(labels_N, dtype=np.int64)
    order = np.argsort(labels, kind="stable")
    place = np.empty(len(p), dtype=np.int64)
    place[order] = np.arange(len(p))
    with np.errstate(divide="ignore"):
        height = np.minimum(-np.log10(p), HIGHEST)
    found = fdr < q
    rest = _some(np.flatnonzero(~found))
    few = f" ({len(rest) + int(found.sum()):,} of {len(p):,} shown)" if len(rest) < (~found).sum() else ""
    size = float(np.clip(20_000 / max(len(p), 1), 3, 16))
    with style():
        figure = new_figure(9.2, 4.6)
        axes = figure.add_subplot()
        axes.grid(True, axis="y")
        raster = len(rest) > 2_000
        for shade in (0, 1):
            rows = rest[labels[rest] % 2 == shade]
            axes.scatter(
                place[rows], height[rows], s=size, c=SHADES[shade], linewidths=0, rasterized=raster, zorder=2
            )
        for first, colour, marker in ((0, VERMILLION, "^"), (1, BLUE, "v")):
            rows = np.flatnonzero(found & ((harder > 0) == (first == 0)))
            axes.scatter(
                place[_some(rows)], height[_some(rows)], s=3 * size, c=colour, marker=marker, linewidths=0.3,
                edgecolors="white", label=f"harder for {names[first]} ({len(rows):,})", zorder=3, rasterized=raster,
            )  # fmt: skip
        if found.any():
            line = min(float(-np.log10(max(p[found].max(), 1e-300))), HIGHEST)
            axes.axhline(line, color=BLACK, linewidth=1.1, linestyle=(0, (5, 2)), label=f"q = {q:g}")
        else:
            line = -np.log10(q / len(p))
            axes.axhline(
                line, color=ORANGE, linewidth=1.1, linestyle=(0, (5, 2)), label=f"a first one at q = {q:g}"
            )
        axes.set_ylim(0, 1.08 * max(float(height.max(initial=0.0)), line))
        axes.set_xlim(-0.01 * len(p), 1.01 * len(p))
        _name_classes(axes, labels, label_names if labels_N is not None else None)
        axes.set_ylabel("$-\\log_{10}$ p")
        axes.set_title(title + few)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _some(rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return rows if len(rows) <= MOST_POINTS else np.sort(rows[shuffled(0, len(rows))[:MOST_POINTS]])


def _name_classes(axes: object, labels: npt.NDArray[np.int64], names: Sequence[str] | None) -> None:
    """Ticks in the middle of every class, where there are few enough to read."""
    from matplotlib.axes import Axes

    assert isinstance(axes, Axes)
    if names is None:
        axes.set_xlabel("example")
        return
    classes, counts = np.unique(labels, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    texts = [names[k] if 0 <= k < len(names) else str(k) for k in classes.tolist()]
    if len(texts) > MOST_NAMES or max(map(len, texts)) * len(texts) > 100:
        axes.set_xticks([])
        axes.set_xlabel(f"examples, by class ({len(texts)} classes)")
        return
    axes.set_xticks(middles, texts)
    axes.tick_params(axis="x", length=0)
    axes.set_xlabel("examples, by class")
