"""IsoFLOP analysis: curves of equal compute with the best size on each, and how that size grows with compute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.plots.style import BLACK, BLUE, GREY, VERMILLION, new_figure, style
from training.laws.form import Array
from training.laws.isoflop import IsoflopOptima, Method, isoflop_optima, power_exponent
from training.laws.plots.axes import LAW_ALPHA, Shades, band, label, log_axis, margins, quantity
from training.laws.words.quantities import with_interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

POINTS = 200
ENOUGH = 3
"""With fewer optima inside their curves an exponent has no interval, and none is drawn."""


def isoflop_plot(
    C: npt.ArrayLike,
    N: npt.ArrayLike,
    loss: npt.ArrayLike,
    *,
    method: Method = "akima",
    ln_errors: npt.ArrayLike | None = None,
    level: float = 0.95,
    outcome: str = "loss",
) -> Figure:
    """Left: loss over N, one curve per budget, its minimum marked. Right: that size over compute, N* = G C^a.

    Optima come from :func:`~training.laws.isoflop.isoflop_optima` by ``method``; one at an end of its curve is hollow
    and takes no part in the exponent. ``ln_errors`` (K,) are standard errors of ln N* for the K budgets, ascending:
    they weight the fit and are drawn as bars of 1.96 of them; NaN leaves a budget out. The band is Student's for the
    line.
    """
    compute, sizes = np.asarray(C, dtype=np.float64), np.asarray(N, dtype=np.float64)
    y = np.asarray(loss, dtype=np.float64)
    optima = isoflop_optima(compute, sizes, y, method)
    errors = None if ln_errors is None else np.asarray(ln_errors, dtype=np.float64)
    if errors is not None and errors.shape != optima.C_K.shape:
        raise bad_value("ln_errors", "isoflop_plot", errors.shape, f"one per budget, ({len(optima.C_K)},)")
    used = optima.inside_K if errors is None else optima.inside_K & (errors > 0) & np.isfinite(errors)
    with style():
        figure = new_figure(10.2, 4.3)
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        shades = Shades(optima.C_K, "C")
        for budget, best, least, fitted in zip(optima.C_K, optima.N_K, optima.loss_K, used):
            on = compute == budget
            _curve(left, sizes[on], y[on], method, shades(budget))
            _mark(left, best, least, shades(budget), fitted)
        log_axis(left, "x", *margins(sizes), "N")
        log_axis(left, "y", *margins(y))
        left.grid(True, axis="y")
        left.set_xlabel(quantity("N"))
        left.set_ylabel(label(outcome))
        left.set_title("Curves of equal compute")
        if len(optima.C_K) > 1:
            shades.bar(figure, left)
        _growth(right, optima, used, errors, shades, level)
    return figure


def _curve(axes: Axes, sizes: Array, loss: Array, method: Method, colour: object) -> None:
    """Runs and the curve whose minimum is taken: runs of one size are averaged."""
    axes.plot(sizes, loss, "o", color=colour, markersize=3.4, zorder=2)
    distinct, which = np.unique(np.log(sizes), return_inverse=True)
    mean = np.bincount(which, np.log(loss)) / np.bincount(which)
    grid = np.linspace(distinct[0], distinct[-1], POINTS)
    if method == "akima":
        from scipy.interpolate import Akima1DInterpolator

        curve = Akima1DInterpolator(distinct, mean)(grid)
    else:
        curve = np.polyval(np.polyfit(distinct - distinct.mean(), mean, 2), grid - distinct.mean())
    axes.plot(np.exp(grid), np.exp(curve), color=colour, linewidth=1.3, zorder=2)


def _mark(axes: Axes, x: float, y: float, colour: object, filled: bool) -> None:
    axes.plot(
        x, y, "D", color=BLACK, markersize=6, markerfacecolor=colour if filled else "white", markeredgewidth=0.9,
        zorder=4,
    )  # fmt: skip


def _growth(
    axes: Axes,
    optima: IsoflopOptima,
    used: npt.NDArray[np.bool_],
    errors: Array | None,
    shades: Shades,
    level: float,
) -> None:
    for k, (budget, best) in enumerate(zip(optima.C_K, optima.N_K)):
        if errors is not None and used[k]:
            ends = best * np.exp(np.array([-1.96, 1.96]) * errors[k])
            axes.plot([budget, budget], ends, color=GREY, linewidth=1.4, zorder=2)
        _mark(axes, budget, best, shades(budget), used[k])
    enough = bool(used.sum() >= ENOUGH)
    if enough:
        x, weight = np.log(optima.C_K[used]), None if errors is None else errors[used]
        found = power_exponent(optima.C_K[used], optima.N_K[used], weight, level)
        share = np.ones(len(x)) if weight is None else weight**-2.0
        share = share / share.sum()
        grid = np.geomspace(*margins(optima.C_K, 0.12), POINTS)
        line = found.predict(grid)
        # the slope's half width is t s / sqrt(sum w dx^2) and that of the line's centre t s: both follow from one
        centre, half = share @ x, (found.exponent.high - found.exponent.low) / 2
        spread = half * np.sqrt(share @ (x - centre) ** 2 + (np.log(grid) - centre) ** 2)
        band(axes, grid, line * np.exp(-spread), line * np.exp(spread), BLUE, LAW_ALPHA)
        axes.plot(grid, line, color=BLUE, linewidth=1.6, zorder=1)
        said = f"$N^* = G\\,C^a$\na = {with_interval(found.exponent)}"
    else:
        said = f"{int(used.sum())} optima inside\ntheir curves:\nno exponent"
    axes.text(
        0.97, 0.05, said, transform=axes.transAxes, ha="right", va="bottom", fontsize=10,
        color=BLACK if enough else VERMILLION,
    )  # fmt: skip
    if not used.all():
        axes.text(0.03, 0.95, "hollow: not fitted", transform=axes.transAxes, va="top", fontsize=9)
    axes.set_title("Best size over compute")
    log_axis(axes, "x", *margins(optima.C_K, 0.1), "C", most=5)
    log_axis(axes, "y", *margins(optima.N_K, 0.15), "N")
    axes.grid(True, axis="y")
    axes.set_xlabel(quantity("C"))
    axes.set_ylabel("best N, parameters")
