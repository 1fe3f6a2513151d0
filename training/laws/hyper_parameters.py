"""Hyper-parameter laws: how the best learning rate or batch size grows with model and data size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.fit import Fit, fit
from training.laws.form import Array
from training.laws.forms.power_product import power_product
from training.laws.inputs import checked, complete
from training.laws.uncertainty.delta_method import delta_interval
from training.laws.uncertainty.interval import Interval, level_checked

WITHIN = 0.0025
"""How far above the best loss of its setting a run counts as near-optimal, as a share (Li et al. 2025)."""


@dataclass(frozen=True)
class HyperParameterLaw:
    """value = coefficient x product of powers, from the near-optimal runs of S settings (N, D).

    ``runs`` are the places of those runs in what was given. ``edge_settings`` counts the settings whose best run has
    the largest or smallest value that was tried there: the true best may lie beyond it.
    """

    coefficient: Interval
    exponents: Mapping[str, Interval]
    settings: int
    edge_settings: int
    runs: npt.NDArray[np.int64]
    fitted: Fit
    cautions: tuple[Caution, ...]

    def predict(self, inputs: Mapping[str, npt.ArrayLike]) -> Array:
        """The value at model and data sizes."""
        return self.fitted.predict(inputs)

    def interval(self, inputs: Mapping[str, float], level: float = 0.95) -> Interval:
        """The value at one size, with the interval of the law there (not of the best value of one setting)."""
        point = complete(inputs, self.fitted.form.inputs)
        return delta_interval(self.fitted, lambda p: _value(p, point), level)


def hyper_parameter_law(
    inputs: Mapping[str, npt.ArrayLike],
    value: npt.ArrayLike,
    loss: npt.ArrayLike,
    *,
    of: Sequence[str] = ("N", "D"),
    within: float = WITHIN,
    level: float = 0.95,
) -> HyperParameterLaw:
    """Fit eta = k N^a D^b (or, with ``of=["D"]``, B = k D^c) over near-optimal runs.

    ``inputs`` hold N and D of every run (or two of N, D, C, M), ``value`` its learning rate or batch size. A setting is
    one (N, D); its near-optimal runs are those with a loss of at most (1 + ``within``) times the best one there. Least
    squares on logarithms over those runs, as the paper does. Runs of a setting share their best loss and their grid, so
    what is independent are settings: the fit is made on their mean ln value, weighted by their runs, which gives the
    same law, and the interval is Student's with the settings counted.

    Whether this recipe finds published laws is open: those of Li et al. do not follow from their runs by it.
    """
    level_checked(level)
    outcome, tried = np.asarray(loss, dtype=np.float64), np.asarray(value, dtype=np.float64)
    sizes = complete(inputs, ("N", "D"))
    form = power_product(of)
    columns = complete(inputs, form.inputs)
    checked({**sizes, **columns, "value": tried}, outcome, [*sizes, *columns, "value"], True)
    if not 0 <= within < 1:
        raise bad_value("within", "hyper_parameter_law", within, "a share from 0 to below 1")
    if len(outcome) == 0:
        raise InputError("hyper_parameter_law: there are no runs.")
    near, setting = near_optimal(sizes["N"], sizes["D"], outcome, within)
    count = int(setting.max()) + 1
    runs = np.bincount(setting[near], minlength=count).astype(np.float64)
    means = np.exp(_means(np.log(tried[near]), setting[near], runs))
    at = {name: np.exp(_means(np.log(column[near]), setting[near], runs)) for name, column in columns.items()}
    design = np.stack([np.ones(count), *(np.log(column / column.mean()) for column in at.values())], axis=1)
    if np.linalg.matrix_rank(design, tol=1e-9 * np.sqrt(count)) < design.shape[1]:
        named = " and ".join(form.inputs)
        raise InputError(
            f"hyper_parameter_law: the {count} settings do not vary {named} enough for a power of each."
        )
    # linear in logarithms, so every start ends in the same minimum
    fitted = fit(form, at, means, objective="log_square", weights=runs / runs.mean(), starts=1)
    edges = _edge_settings(tried, outcome, setting)
    cautions = list(fitted.cautions)
    if edges:
        cautions.append(
            Caution(
                "at_bound",
                f"in {edges} of {count} settings the best value is the largest or smallest that was tried.",
            )
        )
    return HyperParameterLaw(
        delta_interval(fitted, lambda p: p["k"], level),
        {name: _exponent(fitted, f"e_{name}", level) for name in form.inputs},
        count,
        edges,
        np.flatnonzero(near).astype(np.int64),
        fitted,
        tuple(cautions),
    )


def near_optimal(
    N: npt.ArrayLike, D: npt.ArrayLike, loss: npt.ArrayLike, within: float = WITHIN
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Which runs are within a share of the best loss at their (N, D), and the number of that setting, (R,) each."""
    y = np.asarray(loss, dtype=np.float64)
    _, setting = np.unique(np.stack([np.asarray(N), np.asarray(D)]), axis=1, return_inverse=True)
    setting = setting.ravel()
    best = np.full(int(setting.max()) + 1, np.inf)
    np.minimum.at(best, setting, y)
    return y <= best[setting] * (1 + within), setting.astype(np.int64)


def _means(values: Array, setting: npt.NDArray[np.int64], runs: Array) -> Array:
    # sorted first, so that the order of runs does not change rounding
    order = np.lexsort([values, setting])
    found: Array = np.bincount(setting[order], values[order], minlength=len(runs)) / runs
    return found


def _edge_settings(tried: Array, loss: Array, setting: npt.NDArray[np.int64]) -> int:
    """Settings of which every best run has an extreme value; one value alone is both extremes."""
    found = 0
    for s in range(int(setting.max()) + 1):
        here = setting == s
        best = tried[here][loss[here] == loss[here].min()]
        found += bool(((best == tried[here].min()) | (best == tried[here].max())).all())
    return found


def _exponent(fitted: Fit, name: str, level: float) -> Interval:
    """Student's interval of an exponent, which may have either sign."""
    from scipy.special import stdtrit

    from training.laws.uncertainty.delta_method import standard_errors

    freedom = max(1, len(fitted.y_N) - len(fitted.form.free))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * standard_errors(fitted)[name]
    centre = fitted.parameters[name]
    return Interval(centre, centre - half, centre + half, level)


def _value(p: Mapping[str, Array], point: Mapping[str, Array]) -> Array:
    total: Array = np.log(p["k"])
    for name, x in point.items():
        total = total + p[f"e_{name}"] * np.log(x)
    found: Array = np.exp(total)
    return found
