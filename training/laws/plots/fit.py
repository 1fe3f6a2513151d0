"""A fitted law over its runs, with bands of the law and of a new run, and where it is no longer measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.plots.style import BLACK, BLUE, GREY, VERMILLION, legend_columns, new_figure, style
from training.laws.evaluation import Evaluation
from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.inputs import complete
from training.laws.measured_range import inside
from training.laws.plots.axes import (
    BEYOND,
    DASHES,
    LAW_ALPHA,
    RUN_ALPHA,
    Shades,
    band,
    label,
    log_axis,
    margins,
    quantity,
)
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.words.quantities import percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 240
AHEAD = 3.0
"""How far beyond its largest run a law is drawn."""
OTHER = {"C": "N", "D": "N", "N": "C", "M": "C"}
MOST_ERRORS = 5
"""More held-out runs are summed up in the legend."""


@dataclass(frozen=True)
class _Runs:
    x: Array
    by: Array | None
    y: Array


def fit_plot(
    law: Fit | Bootstrap,
    x: str | None = None,
    *,
    by: str | None = None,
    levels: int | Sequence[float] = 4,
    runs: tuple[Mapping[str, npt.ArrayLike], npt.ArrayLike] | None = None,
    evaluation: Evaluation | None = None,
    level: float = 0.95,
    outcome: str = "loss",
) -> Figure:
    """Outcome against ``x``: runs as points, the law as one line per level of ``by``, dashed beyond its runs.

    A law of N and D may be drawn over any of N, D, C and M, with curves of equal ``by``: over compute by model size
    unless told otherwise; ``levels`` are how many, or their values. A law of one input has one line. The dark band is
    the interval of the law, the light one that of a new run; they need a :class:`Bootstrap`. A line is solid inside the
    convex hull of the runs, and beyond the largest x measured the ground is grey.

    ``runs`` are what was given to ``fit`` (to ``evaluate``, with an evaluation): those left out are drawn hollow. Runs
    held out by ``evaluation`` are stars, joined to what was predicted of them.
    """
    fitted = law.fitted if isinstance(law, Bootstrap) else law
    x, by = _axes_of(fitted, x, by)
    if evaluation is not None and evaluation.fitted.parameters != fitted.parameters:
        raise InputError("fit_plot: the evaluation is of another fit than the one drawn.")
    used = _runs(fitted.inputs, fitted.y_N, x, by)
    left = _left_out(fitted, runs, evaluation, x, by)
    held = None if evaluation is None else _runs(evaluation.inputs, evaluation.actual_T, x, by)
    shown = [each for each in (used, left, held) if each is not None]
    with style():
        figure = new_figure(7.2, 4.9)
        axes = figure.add_subplot()
        shades = None if by is None else Shades(np.concatenate([_by(each) for each in shown]), by)
        low_x = margins(np.concatenate([each.x for each in shown]), 0.03)[0]
        top = float(used.x.max())
        high_x = max(top * AHEAD, *(float(each.x.max()) * 1.3 for each in shown))
        axes.axvspan(top, high_x, color=BEYOND, linewidth=0, zorder=0)
        axes.text(
            0.99, 0.98, "beyond every run", transform=axes.transAxes, rotation=90, ha="right", va="top",
            fontsize=8, color=GREY,
        )  # fmt: skip
        grid = np.geomspace(low_x, high_x, POINTS)
        places: Sequence[float | None] = [None] if by is None else _levels(_by(used), levels)
        lowest = [float(each.y.min()) for each in shown]
        for place in places:
            colour = BLUE if shades is None or place is None else shades(place)
            lowest.append(_line(axes, law, grid, x, by, place, colour, level))
        for each, look in ((left, "left"), (used, "used"), (held, "held")):
            if each is not None:
                _points(axes, each, look, shades)
        if evaluation is not None and held is not None:
            _errors(axes, evaluation, held)
        log_axis(axes, "x", low_x, high_x, x)
        ends = margins(np.concatenate([*(each.y for each in shown), np.array(lowest)]), 0.04)
        log_axis(axes, "y", *ends)
        axes.grid(True, axis="y")
        axes.set_xlabel(quantity(x))
        axes.set_ylabel(label(outcome))
        count = f"{len(fitted.y_N)} run{'' if len(fitted.y_N) == 1 else 's'}"
        axes.set_title(f"{label(fitted.form.name)}, fitted to {count}")
        if shades is not None and shades.high > shades.low:
            shades.bar(figure, axes, [each for each in places if each is not None])
        _legend(figure, law, by, left, evaluation, level)
    return figure


def _axes_of(fitted: Fit, x: str | None, by: str | None) -> tuple[str, str | None]:
    inputs = fitted.form.inputs
    if len(inputs) == 1:
        if by is not None or x not in (None, *inputs):
            raise bad_value(
                "x", "fit_plot", x if by is None else by, f"{inputs[0]}, the only input of the law"
            )
        return inputs[0], None
    if len(inputs) > 2:
        named = ", ".join(inputs)
        raise InputError(f"fit_plot: a law of one or two inputs can be drawn as lines, this one has {named}.")
    sized = set(inputs) <= set(OTHER)
    x = x or ("C" if sized else inputs[0])
    by = by or (OTHER.get(x) if sized else next(name for name in inputs if name != x))
    if x == by or by is None:
        raise bad_value("by", "fit_plot", by, f"another quantity than x, {x}")
    return x, by


def _runs(inputs: Mapping[str, npt.ArrayLike], y: npt.ArrayLike, x: str, by: str | None) -> _Runs:
    columns = complete(inputs, [x] if by is None else [x, by])
    return _Runs(columns[x], None if by is None else columns[by], np.asarray(y, dtype=np.float64))


def _by(runs: _Runs) -> Array:
    return runs.x if runs.by is None else runs.by


def _left_out(
    fitted: Fit,
    runs: tuple[Mapping[str, npt.ArrayLike], npt.ArrayLike] | None,
    evaluation: Evaluation | None,
    x: str,
    by: str | None,
) -> _Runs | None:
    if runs is None:
        return None
    given = _runs(*runs, x, by)
    trained = np.ones(len(given.y), dtype=bool)
    if evaluation is not None:
        trained[evaluation.rows_T] = False
    rows = np.flatnonzero(trained)
    if len(rows) != len(fitted.y_N) + fitted.left_out:
        raise bad_value(
            "runs", "fit_plot", len(rows), f"the {len(fitted.y_N) + fitted.left_out} runs given to fit"
        )
    rows = np.setdiff1d(rows, rows[fitted.rows_N])
    if len(rows) == 0:
        return None
    return _Runs(given.x[rows], None if given.by is None else given.by[rows], given.y[rows])


def _levels(values: Array, wanted: int | Sequence[float]) -> list[float]:
    """The distinct values if they are few, else so many of them, spread evenly on the logarithmic scale."""
    if not isinstance(wanted, int):
        return sorted(float(each) for each in wanted)
    if wanted < 1:
        raise bad_value("levels", "fit_plot", wanted, "at least 1")
    distinct = np.unique(values)
    if len(distinct) <= wanted:
        return [float(each) for each in distinct]
    first, last = np.quantile(np.log(values), [0.03, 0.97])
    spread = np.linspace(first, last, wanted)
    nearest = np.abs(np.log(distinct)[:, None] - spread).argmin(0)
    return [float(each) for each in distinct[np.unique(nearest)]]


def _line(
    axes: Axes,
    law: Fit | Bootstrap,
    grid: Array,
    x: str,
    by: str | None,
    place: float | None,
    colour: Any,
    level: float,
) -> float:
    """Line and bands at one level; the lowest value at the right edge."""
    fitted = law.fitted if isinstance(law, Bootstrap) else law
    given = {x: grid} if by is None or place is None else {x: grid, by: np.full(len(grid), place)}
    columns = complete(given, fitted.form.inputs)
    within = inside(fitted, columns)
    start = int(within.argmax()) if within.any() else 0
    part = slice(start, None)  # what lies before the first run of a level says nothing that one would use
    columns = {name: column[part] for name, column in columns.items()}
    at, within = grid[part], within[part]
    if isinstance(law, Bootstrap):
        for noise, alpha in ((True, RUN_ALPHA), (False, LAW_ALPHA)):
            _, low, high = law.predict(columns, level, noise=noise)
            band(axes, at, low, high, colour, alpha)
    predicted = fitted.predict(columns)
    axes.plot(at, np.where(within, predicted, np.nan), color=colour, linewidth=1.8, zorder=3)
    outside = ~within
    outside[1:] |= ~within[:-1]  # the two parts meet
    outside[:-1] |= ~within[1:]
    axes.plot(
        at, np.where(outside, predicted, np.nan), color=colour, linewidth=1.4, linestyle=DASHES, zorder=3
    )
    return float(np.nanmin(predicted))


def _points(axes: Axes, runs: _Runs, look: str, shades: Shades | None) -> None:
    colours: Any = BLUE if shades is None else shades(_by(runs))
    if look == "left":
        axes.scatter(runs.x, runs.y, s=18, facecolors="white", edgecolors=colours, linewidths=1.1, zorder=2)
    elif look == "held":
        big = 110 if len(runs.y) <= MOST_ERRORS else 60
        axes.scatter(runs.x, runs.y, s=big, marker="*", c=colours, edgecolors=BLACK, linewidths=0.7, zorder=5)
    else:
        axes.scatter(runs.x, runs.y, s=15, c=colours, edgecolors="white", linewidths=0.3, zorder=2)


def _errors(axes: Axes, evaluation: Evaluation, held: _Runs) -> None:
    for at, predicted, actual in zip(held.x, evaluation.predicted_T, held.y):
        axes.plot([at, at], [predicted, actual], color=BLACK, linewidth=0.9, zorder=4)
        axes.plot(at, predicted, "_", color=BLACK, markersize=7, zorder=4)
    if len(held.y) > MOST_ERRORS:
        return
    for at, actual, error in zip(held.x, held.y, evaluation.errors_T):
        axes.annotate(
            f"{100 * error:+.1f} %",
            (at, actual),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
        )


def _legend(
    figure: Figure,
    law: Fit | Bootstrap,
    by: str | None,
    left: _Runs | None,
    evaluation: Evaluation | None,
    level: float,
) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    colour = BLUE if by is None else GREY
    look: dict[str, Any] = {"color": colour, "linestyle": ""}
    handles: list[Any] = [Line2D([], [], marker="o", markersize=4, label="run", **look)]
    if left is not None:
        said = f"left out ({len(left.y)})"
        handles.append(
            Line2D([], [], marker="o", markersize=4.5, markerfacecolor="white", label=said, **look)
        )
    if evaluation is not None:
        errors = f"mean error {percent(evaluation.mean_error)}, worst {percent(evaluation.worst_error)}"
        said = f"held out ({len(evaluation.actual_T)}): {errors}"
        handles.append(Line2D([], [], marker="*", markersize=10, markeredgecolor=BLACK, label=said, **look))
    handles += [
        Line2D([], [], color=colour, linewidth=1.8, label="law"),
        Line2D([], [], color=colour, linewidth=1.4, linestyle=DASHES, label="law away from its runs"),
    ]
    if isinstance(law, Bootstrap):
        named = f"{100 * level:g} % interval"
        handles.append(Patch(color=colour, alpha=LAW_ALPHA + RUN_ALPHA, linewidth=0, label=f"{named}, law"))
        handles.append(Patch(color=colour, alpha=RUN_ALPHA * 1.6, linewidth=0, label=f"{named}, new run"))
    fitted = law.fitted if isinstance(law, Bootstrap) else law
    cautions = [*fitted.cautions, *(law.cautions if isinstance(law, Bootstrap) else ())]
    labels = [str(handle.get_label()) for handle in handles]
    legend = figure.legend(
        handles=handles, loc="outside lower center", ncols=legend_columns(labels, figure), title_fontsize=9
    )
    if cautions:
        codes = list(dict.fromkeys(caution.code.replace("_", " ") for caution in cautions))
        legend.set_title(f"cautions: {', '.join(codes)}")
        legend.get_title().set_color(VERMILLION)
