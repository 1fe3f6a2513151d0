"""What a law leaves over: residuals against the prediction and every input, where a trend shows a wrong form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, GREY, VERMILLION, legend_columns, new_figure, style
from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.plots.axes import label, log_axis, margins, quantity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PER_BIN, MOST_BINS = 8, 8
MOST_INPUTS = 4
SHARE = 0.95
ENOUGH = 20
"""Of fewer runs the middle 95 % is said nothing."""


def residual_plot(fitted: Fit, *, outcome: str = "loss") -> Figure:
    """ln actual - ln predicted, in %, against the prediction and against every input, one panel each.

    Above zero a run is worse than the law says. The grey ground holds the middle 95 % of 20 or more
    residuals. Diamonds are means of equally many neighbouring runs with their 95 % intervals (Student), 8 runs or more
    in each: where these lie beside zero one after another, the form is wrong there. Fewer than 16 runs show no means.
    """
    inputs = fitted.form.inputs
    if len(inputs) > MOST_INPUTS:
        raise bad_value("fitted", "residual_plot", f"{len(inputs)} inputs", f"at most {MOST_INPUTS} inputs")
    predicted = fitted.predict(fitted.inputs)
    with np.errstate(divide="ignore", invalid="ignore"):
        residual = 100 * np.log(fitted.y_N / predicted)
    shown = np.isfinite(residual) & (fitted.weights_N > 0)
    if not shown.any():
        raise bad_value("fitted", "residual_plot", "no positive prediction and outcome", "some runs of both")
    residual, predicted = residual[shown], predicted[shown]
    columns = {name: fitted.inputs[name][shown] for name in inputs}
    ends = np.quantile(residual, [(1 - SHARE) / 2, (1 + SHARE) / 2])
    with style():
        figure = new_figure(3.1 * (1 + len(columns)) + 0.5, 3.7)
        panels: Any = figure.subplots(1, 1 + len(columns), squeeze=False, sharey=True)[0]
        names = [f"predicted {label(outcome)}", *(quantity(name) for name in columns)]
        for axes, name, key, x in zip(panels, names, ["", *columns], [predicted, *columns.values()]):
            if len(residual) >= ENOUGH:
                axes.axhspan(*ends, color="#EFEFEF", linewidth=0, zorder=0)
            axes.axhline(0, color=BLACK, linewidth=1.0, zorder=1)
            axes.plot(x, residual, "o", color=BLUE, markersize=3.6, alpha=0.55, markeredgewidth=0, zorder=2)
            _means(axes, x, residual)
            if (x > 0).all() and np.ptp(x) > 0:
                log_axis(axes, "x", *margins(x), key, most=5)
            axes.set_xlabel(name)
        panels[0].set_ylabel("residual, %\n(ln actual - ln predicted)")
        low, high = min(0.0, float(residual.min())), max(0.0, float(residual.max()))
        room = 0.1 * (high - low) or 1e-9
        panels[0].set_ylim(low - room, high + room)
        spread = float(np.median(np.abs(residual)))
        free = len(fitted.form.free)
        figure.suptitle(
            f"{label(fitted.form.name)}, {free} free parameters: half of {len(residual)} runs within {spread:.2g} %",
            x=0.01, ha="left", fontsize=11, fontweight="bold",
        )  # fmt: skip
        _legend(figure, len(residual))
    return figure


def bin_means(x: Array, residual: Array) -> Array:
    """Bins of equally many runs along x: rows (mean x, mean residual, lower end, upper end), none below 16 runs."""
    from scipy.special import stdtrit

    bins = min(MOST_BINS, len(x) // PER_BIN)
    if bins < 2 or np.ptp(x) == 0:
        return np.zeros((0, 4))
    rows = []
    logs = bool((x > 0).all())
    for part in np.array_split(np.argsort(x, kind="stable"), bins):
        at = np.log(x[part]).mean() if logs else x[part].mean()
        mean, count = residual[part].mean(), len(part)
        half = stdtrit(count - 1, 0.5 + SHARE / 2) * residual[part].std(ddof=1) / np.sqrt(count)
        rows.append((np.exp(at) if logs else at, mean, mean - half, mean + half))
    return np.array(rows)


def _means(axes: Axes, x: Array, residual: Array) -> None:
    for at, mean, low, high in bin_means(x, residual):
        axes.plot([at, at], [low, high], color=VERMILLION, linewidth=1.5, zorder=3)
        axes.plot(at, mean, "D", color=VERMILLION, markersize=4.8, markeredgecolor="white", zorder=4)


def _legend(figure: Figure, runs: int) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Line2D([], [], color=BLUE, marker="o", markersize=4, linestyle="", label="run")]
    if runs >= 2 * PER_BIN:
        said = "mean of neighbours, 95 % interval"
        handles.append(
            Line2D([], [], color=VERMILLION, marker="D", markersize=4.8, linewidth=1.5, label=said)
        )
    if runs >= ENOUGH:
        handles.append(Patch(color=GREY, alpha=0.2, linewidth=0, label="middle 95 % of the runs"))
    labels = [str(handle.get_label()) for handle in handles]
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns(labels, figure))
