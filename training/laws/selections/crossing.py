"""Where two learning curves cross: the scale at which a selection starts, or stops, to pay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.form import Array
from training.laws.selections.equal_loss import ln_law, powers, scaled
from training.laws.selections.learning_curves import LearningCurve
from training.laws.uncertainty.interval import Interval, level_checked

POINTS = 400
"""Scales at which the gap is looked at; two crossings between neighbours are missed."""
HALVINGS = 50

Rows = npt.NDArray[np.int64]
Direction = Literal["starts to pay", "stops paying"]
Verdict = Literal[
    "crosses",
    "crosses beyond the measured range",
    "no crossing within the measured range",
    "cannot tell",
]


@dataclass(frozen=True)
class Crossing:
    """One crossing of the fitted curves, as the scale grows.

    ``share`` of the resamples have a crossing of this direction in the range searched; ``interval`` is that of the ones
    nearest to this one, percentiles of ln x over those resamples. Beyond what both curves measured ``measured`` is
    False: it is where the laws would cross if they went on as they are.
    """

    direction: Direction
    interval: Interval
    share: float
    measured: bool

    @property
    def cautions(self) -> tuple[Caution, ...]:
        if self.measured:
            return ()
        return (Caution("extrapolation", "the curves cross beyond the scales that both were measured at."),)


@dataclass(frozen=True)
class Crossings:
    """All crossings in the searched range, and what can be said.

    ``gap_G`` is L_selection / L_base - 1 at the scales ``scales_G``, with the ends of its pointwise interval, infinite
    where the runs say nothing of a law; below zero the selection is ahead. ``verdict``: a crossing counts where the
    share of the resamples that have it reaches the level; there is none where as large a share has one and the same
    sign over the measured range.
    """

    verdict: Verdict
    found: tuple[Crossing, ...]
    measured: tuple[float, float]
    searched: tuple[float, float]
    scales_G: Array = field(repr=False)
    gap_G: Array = field(repr=False)
    low_G: Array = field(repr=False)
    high_G: Array = field(repr=False)


def crossings(
    base: LearningCurve,
    selection: LearningCurve,
    at: Mapping[str, float] | None = None,
    *,
    farther: float = 10.0,
    level: float = 0.95,
) -> Crossings:
    """Look for crossings from the smallest scale that both curves measured to ``farther`` times the largest.

    For laws of N and D ``at`` is a scale through which the axis is followed: at its N along D, or at its D / N along C.
    """
    level_checked(level)
    if not 1 <= farther < float("inf"):
        raise bad_value("farther", "crossings", farther, "at least 1 and finite")
    power = powers(base.fitted.form, base.axis, base.axis)
    if powers(selection.fitted.form, selection.axis, selection.axis) != power:
        raise InputError("crossings: both curves must have the same form and axis.")
    low = max(base.range[0], selection.range[0])
    high = min(base.range[1], selection.range[1])
    if not low < high:
        raise InputError(
            f"crossings: {base.name} and {selection.name} have no range of {base.axis} in common "
            f"({low:.4g} is the larger of the smallest, {high:.4g} the smaller of the largest scales)."
        )
    start = base.inputs({base.axis: low} if at is None else at)
    origin = low if at is None else float(at[base.axis])
    grid = np.geomspace(low, high * farther, POINTS)
    steps = np.log(grid / origin)
    curves = (selection, base)
    theta = [np.concatenate([curve.fitted.theta_P[None], curve.drawn.theta_BP]) for curve in curves]

    def gap(rows: Rows, ln_factor: Array) -> Array:
        """ln L_selection - ln L_base of laws (K,) at ln factors (K, R)."""
        where = scaled({name: np.asarray(column) for name, column in start.items()}, power, ln_factor)
        own, others = (ln_law(curve.fitted, points[rows], where) for curve, points in zip(curves, theta))
        return own - others

    everything = np.arange(len(theta[0]))
    gaps = gap(everything, steps[None])
    there = scaled(start, power, steps)
    known = np.logical_and(*(curve.known(there) for curve in curves))
    gaps[1:, ~known] = np.nan  # refits stay where the fit was: neither a crossing nor a sign
    rows, cells, rising = _changes(gaps)
    left, right = steps[cells], steps[cells + 1]
    for _ in range(HALVINGS):
        middle = (left + right) / 2
        before = (gap(rows, middle[:, None])[:, 0] > 0) != rising
        left, right = np.where(before, middle, left), np.where(before, right, middle)
    ln_x = np.log(origin) + (left + right) / 2
    found = tuple(
        _crossing(
            place,
            up,
            ln_x[(rows > 0) & (rising == up)],
            rows[(rows > 0) & (rising == up)],
            len(gaps) - 1,
            high,
            level,
        )
        for place, up in zip(ln_x[rows == 0], rising[rows == 0])
    )
    inside = grid <= high
    signs = np.sign(gaps[1:, inside])
    one_sided = max(float((signs < 0).all(1).mean()), float((signs > 0).all(1).mean()))
    relative = np.expm1(gaps)
    ends = np.quantile(relative[1:], [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Crossings(
        _verdict(found, one_sided, level),
        found,
        (low, high),
        (low, high * farther),
        grid,
        relative[0],
        np.where(known, ends[0], -np.inf),
        np.where(known, ends[1], np.inf),
    )


def _changes(gaps_KG: Array) -> tuple[Rows, Rows, npt.NDArray[np.bool_]]:
    """Rows, grid cells and whether the gap rises, of every change of sign; zeros take the sign before them."""
    signs = np.sign(gaps_KG)
    known = np.where(signs != 0, np.arange(signs.shape[1]), 0)
    signs = np.take_along_axis(signs, np.maximum.accumulate(known, axis=1), 1)
    rows, cells = np.nonzero(signs[:, :-1] * signs[:, 1:] < 0)
    return rows, cells, signs[rows, cells + 1] > 0


def _crossing(
    ln_place: float, up: bool, ln_B: Array, rows_B: Rows, resamples: int, high: float, level: float
) -> Crossing:
    """One crossing with the nearest of its direction in every resample that has one."""
    order = np.lexsort([np.abs(ln_B - ln_place), rows_B])
    first = np.flatnonzero(np.diff(rows_B[order], prepend=-1))
    nearest = ln_B[order][first]
    low = top = float("nan")
    if len(nearest):
        low, top = np.exp(np.quantile(nearest, [(1 - level) / 2, (1 + level) / 2])).tolist()
    place = float(np.exp(ln_place))
    direction: Direction = "stops paying" if up else "starts to pay"
    return Crossing(direction, Interval(place, low, top, level), len(nearest) / resamples, place <= high)


def _verdict(found: tuple[Crossing, ...], one_sided: float, level: float) -> Verdict:
    firm = [crossing for crossing in found if crossing.share >= level]
    if any(crossing.measured for crossing in firm):
        return "crosses"
    if one_sided < level:
        return "cannot tell"
    return "crosses beyond the measured range" if firm else "no crossing within the measured range"
