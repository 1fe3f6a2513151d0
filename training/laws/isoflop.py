"""IsoFLOP analysis: the best model size on every curve of equal compute, and how it grows with compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.form import Array
from training.laws.inputs import checked
from training.laws.uncertainty.interval import Interval, level_checked

Method = Literal["parabola", "akima"]
FINENESS = 100
"""Points of the search grid between two neighbouring runs."""
ROUNDED = 1e-3
"""Budgets that differ by less, relative to each other, are one: 6 N D of whole numbers of tokens."""
LEAST_SIZES = 3
"""A curve of fewer has no minimum to speak of."""


@dataclass(frozen=True)
class IsoflopOptima:
    """For each of K budgets C_K the size N_K at which the curve is least, and the loss there.

    ``inside_K`` is False where the minimum lies at an end of the curve: the best size may be beyond it.
    """

    C_K: Array
    N_K: Array
    loss_K: Array
    inside_K: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PowerExponent:
    """N* = G C^a, fitted on logarithms; ``exponent`` with its interval."""

    coefficient: float
    exponent: Interval
    r2: float

    def predict(self, C: npt.ArrayLike) -> Array:
        found: Array = self.coefficient * np.asarray(C, dtype=np.float64) ** self.exponent.value
        return found


def shared_budgets(C: npt.ArrayLike, tolerance: float = ROUNDED) -> Array:
    """C (N,) with the median of its budget for every run; a budget reaches from its least C to 1 + tolerance times it.

    The same under permuted runs. Values that are not positive and finite are an error.
    """
    given = np.asarray(C, dtype=np.float64)
    checked({"C": given}, np.ones(len(given)), ("C",), False)
    order = np.argsort(given, kind="stable")
    found, first = np.empty_like(given), 0
    for end in range(1, len(order) + 1):
        if end == len(order) or given[order[end]] > given[order[first]] * (1 + tolerance):
            found[order[first:end]] = np.median(given[order[first:end]])
            first = end
    return found


def isoflop_optima(
    C: npt.ArrayLike, N: npt.ArrayLike, loss: npt.ArrayLike, method: Method = "akima"
) -> IsoflopOptima:
    """The minimum of ln loss over ln N for every value of C, ascending; runs of one budget must share it exactly.

    - ``parabola``: of the quadratic least-squares fit (Hoffmann et al. 2022, approach 2); biased where the curve is not
      symmetric;
    - ``akima``: of Akima's interpolation on a fine geometric grid (Porian et al. 2024, appendix), through every run.

    Runs of equal C and N are averaged. A curve of fewer than three sizes is an error.
    """
    if method not in ("parabola", "akima"):
        raise unknown_name("method", "isoflop_optima", str(method), ("parabola", "akima"))
    columns = {name: np.asarray(v, dtype=np.float64) for name, v in (("C", C), ("N", N))}
    y = np.asarray(loss, dtype=np.float64)
    checked(columns, y, ("C", "N"), True)
    budgets = np.unique(columns["C"])
    found = []
    for budget in budgets:
        on = columns["C"] == budget
        sizes, which = np.unique(columns["N"][on], return_inverse=True)
        if len(sizes) < LEAST_SIZES:
            raise InputError(
                f"isoflop_optima: at least 3 model sizes per budget, C = {budget:.4g} has {len(sizes)}."
            )
        mean = np.bincount(which, np.log(y[on])) / np.bincount(which)
        found.append((_parabola if method == "parabola" else _akima)(np.log(sizes), mean))
    ln_N, ln_loss, inside = (np.array(column) for column in zip(*found))
    return IsoflopOptima(budgets, np.exp(ln_N), np.exp(ln_loss), inside.astype(bool))


def _parabola(ln_N: Array, ln_loss: Array) -> tuple[float, float, bool]:
    middle = ln_N.mean()
    a, b, c = np.polyfit(ln_N - middle, ln_loss, 2)
    at = -b / (2 * a) if a > 0 else np.inf
    if not ln_N[0] <= middle + at <= ln_N[-1]:
        end = int(np.argmin(ln_loss[[0, -1]]))
        return float(ln_N[-end]), float(ln_loss[-end]), False
    return float(middle + at), float(c + b * at / 2), True


def _akima(ln_N: Array, ln_loss: Array) -> tuple[float, float, bool]:
    from scipy.interpolate import Akima1DInterpolator

    grid = np.linspace(ln_N[0], ln_N[-1], (len(ln_N) - 1) * FINENESS + 1)
    curve = Akima1DInterpolator(ln_N, ln_loss)(grid)
    best = int(curve.argmin())
    return float(grid[best]), float(curve[best]), 0 < best < len(grid) - 1


def power_exponent(
    C: npt.ArrayLike, optimum: npt.ArrayLike, ln_errors: npt.ArrayLike | None = None, level: float = 0.95
) -> PowerExponent:
    """Exponent of N* (or D*) in C: least squares on logarithms, weighted by 1 / ``ln_errors``^2 where they are given.

    ``ln_errors`` are the standard errors of ln N*. The interval is Student's, with the spread taken from the residuals
    (so only the ratios of the errors matter).
    """
    from scipy.special import stdtrit

    level_checked(level)
    columns = {"C": np.asarray(C, dtype=np.float64)}
    y = np.asarray(optimum, dtype=np.float64)
    checked(columns, y, ("C",), True)
    weight = np.ones(len(y)) if ln_errors is None else np.asarray(ln_errors, dtype=np.float64) ** -2.0
    checked({"ln_errors": weight}, y, ("ln_errors",), True)
    x, ln_y = np.log(columns["C"]), np.log(y)
    if len(np.unique(x)) < 2:
        raise bad_value("C", "power_exponent", x.tolist(), "at least 2 different budgets")
    share = weight / weight.sum()
    dx, dy = x - share @ x, ln_y - share @ ln_y
    slope = float((share * dx * dy).sum() / (share * dx * dx).sum())
    left = float((share * (dy - slope * dx) ** 2).sum())
    total = float((share * dy * dy).sum())
    freedom = len(y) - 2
    error = np.sqrt(left / max(freedom, 1) / (share * dx * dx).sum()) if freedom else np.inf
    half = float(stdtrit(max(freedom, 1), 0.5 + level / 2) * error)
    coefficient = float(np.exp(share @ ln_y - slope * (share @ x)))
    return PowerExponent(
        coefficient, Interval(slope, slope - half, slope + half, level), 1 - left / total if total else 1.0
    )
