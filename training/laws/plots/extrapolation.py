"""How well laws predict runs they have not seen: run by run, and by how much smaller the runs fitted are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.plots.style import BLACK, GREY, LOOKS, legend_columns, new_figure, style
from training.laws.form import Array
from training.laws.plots.axes import LAW_ALPHA, band, label, log_axis, margins, quantity
from training.laws.words.quantities import percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class HeldOut:
    """Predictions of T held-out runs, their intervals if known, and ``x`` (compute, say) to tell the runs apart."""

    name: str
    predicted_T: npt.ArrayLike
    actual_T: npt.ArrayLike
    low_T: npt.ArrayLike | None = None
    high_T: npt.ArrayLike | None = None
    x_T: npt.ArrayLike | None = None


@dataclass(frozen=True)
class ErrorByCutoff:
    """Mean absolute relative error (K,) of a law fitted on the runs below each cutoff, and its interval if known."""

    name: str
    cutoff_K: npt.ArrayLike
    error_K: npt.ArrayLike
    low_K: npt.ArrayLike | None = None
    high_K: npt.ArrayLike | None = None


def held_out_plot(
    series: Sequence[HeldOut], *, outcome: str = "loss", x: str = "C", level: float = 0.95
) -> Figure:
    """Left: predicted against actual, on the diagonal where they agree. Right: relative errors in %.

    The right panel is over ``x`` where every series has it, else over the actual outcome. Bars are the intervals of the
    predictions; on the right they stand around the error, so that a bar which reaches zero holds the actual value.
    """
    if not series:
        raise bad_value("series", "held_out_plot", list(series), "at least one")
    over = all(each.x_T is not None for each in series)
    with style():
        figure = new_figure(10.0, 4.4)
        left, right = figure.subplots(1, 2)
        values, actuals, places, handles = [], [], [], []
        for number, each in enumerate(series):
            colour, marker = LOOKS[number % len(LOOKS)]
            predicted, actual = _pair(each.predicted_T, each.actual_T, each.name)
            at = np.asarray(each.x_T, dtype=np.float64) if over else actual
            error = predicted / actual - 1
            shift = _shift(at, number, len(series))
            if each.low_T is not None and each.high_T is not None:
                low, high = _pair(each.low_T, each.high_T, each.name)
                values += [low, high]
                left.vlines(actual, low, high, color=colour, linewidth=1.2, alpha=0.7, zorder=2)
                least, most = (100 * (end / actual - 1) for end in (low, high))
                right.vlines(at * shift, least, most, color=colour, linewidth=1.2, alpha=0.7)
            look: dict[str, Any] = {
                "color": colour, "markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.5, "zorder": 3,
            }  # fmt: skip
            left.plot(actual, predicted, marker, linestyle="", **look)
            mean, worst = (percent(float(found)) for found in (np.abs(error).mean(), np.abs(error).max()))
            said = f"{label(each.name, 30)}: mean {mean}, worst {worst}"
            handles += right.plot(at * shift, 100 * error, marker, linestyle="", label=said, **look)
            values += [predicted, actual]
            actuals.append(actual)
            places.append(at)
        ends = margins(np.concatenate(values), 0.06)
        left.plot(ends, ends, color=GREY, linewidth=1.1, zorder=1)
        log_axis(left, "x", *margins(np.concatenate(actuals), 0.06), most=6)
        log_axis(left, "y", *ends, most=6)
        log_axis(right, "x", *margins(np.concatenate(places), 0.06), x if over else "", most=6)
        right.axhline(0, color=BLACK, linewidth=1.0, zorder=1)
        left.grid(True)
        right.grid(True, axis="y")
        left.set_xlabel(f"actual {label(outcome)}")
        left.set_ylabel(f"predicted {label(outcome)}")
        right.set_xlabel(quantity(x) if over else f"actual {label(outcome)}")
        right.set_ylabel("error of the prediction, %")
        bars = any(each.low_T is not None for each in series)
        names = [str(handle.get_label()) for handle in handles]
        figure.legend(
            handles=handles, loc="outside lower center", ncols=legend_columns(names, figure),
            title=f"bars: {100 * level:g} % intervals" if bars else None, title_fontsize=9,
        )  # fmt: skip
    return figure


def error_plot(
    series: Sequence[ErrorByCutoff],
    *,
    cutoff: str = "C",
    held_out: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> Figure:
    """Error on the held-out runs against the largest runs that the law was fitted on, one line per law or baseline.

    ``held_out`` names places on the same axis, drawn as dotted lines: where the runs predicted lie. Both axes are
    logarithmic; an error of exactly zero has no place on them and is left out.
    """
    if not series:
        raise bad_value("series", "error_plot", list(series), "at least one")
    with style():
        figure = new_figure(6.8, 4.3)
        axes = figure.add_subplot()
        errors, places = [], [float(each) for each in (held_out or {}).values()]
        for number, each in enumerate(series):
            colour, marker = LOOKS[number % len(LOOKS)]
            at, error = _pair(each.cutoff_K, each.error_K, each.name)
            order = np.argsort(at, kind="stable")
            at, error = at[order], 100 * np.where(error[order] > 0, error[order], np.nan)
            if each.low_K is not None and each.high_K is not None:
                low, high = (100 * np.asarray(v, dtype=np.float64)[order] for v in (each.low_K, each.high_K))
                low = np.maximum(low, error / 20)  # an end at zero has no place on a logarithmic axis
                band(axes, at, low, high, colour, LAW_ALPHA * 0.7)
                errors += [low, high]
            axes.plot(
                at, error, marker, linestyle="-", color=colour, linewidth=1.6, markersize=5.5, zorder=3,
                label=label(each.name),
            )  # fmt: skip
            errors.append(error)
            places += at.tolist()
        if not np.isfinite(np.concatenate(errors)).any():
            raise InputError("error_plot: no error above zero, so there is nothing to draw.")
        log_axis(axes, "x", *margins(places), cutoff)
        log_axis(axes, "y", *margins(np.concatenate(errors), 0.06))
        for name, place in (held_out or {}).items():
            axes.axvline(place, color=GREY, linestyle=":", linewidth=1.4)
            axes.annotate(
                label(name, 24), (place, 0.98), xycoords=("data", "axes fraction"), xytext=(-4, 0),
                textcoords="offset points", rotation=90, ha="right", va="top", fontsize=8.5, color=GREY,
            )  # fmt: skip
        axes.grid(True, axis="y")
        axes.set_xlabel(f"largest run fitted: {quantity(cutoff)}")
        axes.set_ylabel("error on the runs held out, %")
        axes.set_title("How far ahead the laws see")
        names = [label(each.name) for each in series]
        bands = any(each.low_K is not None for each in series)
        figure.legend(
            loc="outside lower center", ncols=legend_columns(names, figure),
            title=f"bands: {100 * level:g} % intervals" if bands else None, title_fontsize=9,
        )  # fmt: skip
    return figure


def _pair(first: npt.ArrayLike, second: npt.ArrayLike, name: str) -> tuple[Array, Array]:
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != other.shape or one.ndim != 1 or len(one) == 0:
        raise InputError(f"extrapolation of {label(name)}: columns of {one.shape} and {other.shape} values.")
    return one, other


def _shift(at: Array, number: int, count: int) -> float:
    """Runs that all series predict stand side by side."""
    width = float(np.log(at.max() / at.min())) if len(at) > 1 else 0.0
    return float(np.exp((number - (count - 1) / 2) * 0.012 * max(width, 0.5)))
