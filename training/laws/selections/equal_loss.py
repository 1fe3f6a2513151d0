"""Where a law gives a wanted loss, if its scale is changed in one way: more data, more compute, a larger model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import InputError
from training.laws.fit import Fit
from training.laws.form import Array, Form

MOVES = {"D": (0.0, 1.0), "N": (1.0, 0.0), "C": (0.5, 0.5)}
"""By which powers N and D grow with a factor on D (equal N), on N (equal D), on C = 6 N D (equal D / N)."""
FARTHEST = float(np.log(1e6))
"""Factors are looked for up to a million to either side; beyond there is none."""
HALVINGS = 55


def ways(form: Form, axis: str) -> tuple[str, ...]:
    """The ways in which the scale of this law can change: D, C and N where it knows two of N, D, C, M; else its own."""
    known = [name for name in form.inputs if name in ("N", "D", "C", "M")]
    if len(known) > 1:
        return ("D", "C", "N")
    if "x" in form.inputs and not known:
        return (axis,)
    return tuple(name for name in known if name in MOVES)


def powers(form: Form, way: str, axis: str) -> dict[str, float]:
    """The power of the factor by which each input of the law grows."""
    if way not in ways(form, axis):
        raise InputError(
            f"form {form.name}: of its inputs {', '.join(form.inputs)} there is no scale {way}; "
            f"it has {', '.join(ways(form, axis)) or 'none'}."
        )
    if "x" in form.inputs:
        return {name: float(name == "x") for name in form.inputs}
    n, d = MOVES[way]
    grows = {"N": n, "D": d, "C": n + d, "M": d - n}
    if len([name for name in form.inputs if name in grows]) == 1:
        grows[way] = 1.0
    return {name: grows.get(name, 0.0) for name in form.inputs}


def ln_law(fitted: Fit, theta_KP: Array, inputs: Mapping[str, npt.ArrayLike]) -> Array:
    """ln predictions (K, R) of K parameter points in natural units, each at inputs of its own, (K, R) or (1, R)."""
    with torch.no_grad():
        p = fitted.form.reduced(torch.from_numpy(np.ascontiguousarray(theta_KP)), fitted.scales.ln)
        columns = {name: np.asarray(inputs[name], dtype=np.float64) for name in fitted.form.inputs}
        found = fitted.form.formula(p, fitted.scales.inputs(fitted.form, columns)) + fitted.scales.outcome
    return np.asarray(found.numpy())


def scaled(
    inputs: Mapping[str, npt.ArrayLike], power: Mapping[str, float], ln_factor: Array
) -> dict[str, Array]:
    """Inputs after a factor on their scale."""
    return {name: np.asarray(inputs[name]) * np.exp(power[name] * ln_factor) for name in power}


def ln_factors(
    fitted: Fit, theta_KP: Array, inputs: Mapping[str, Array], ln_y: Array, power: Mapping[str, float]
) -> Array:
    """ln of the factor on the scale of R inputs at which K laws give the losses exp(ln_y), (K, R).

    ``ln_y`` broadcasts to (K, R). Infinite where even a million times the scale leaves the law above the loss (it lies
    below the law's floor, or as good as), minus infinite where a millionth has less already; NaN where the law
    does not fall from one to the other, or the loss is NaN. Bisection, so the law should fall all the way.
    """
    shape = np.broadcast_shapes(
        (len(theta_KP), 1), np.shape(ln_y), (1, *np.shape(next(iter(inputs.values()))))
    )
    target = np.broadcast_to(ln_y, shape)

    def law(ln_factor: Array) -> Array:
        return np.broadcast_to(ln_law(fitted, theta_KP, scaled(inputs, power, ln_factor)), shape)

    low, high = np.full(shape, -FARTHEST), np.full(shape, FARTHEST)
    most, least = law(low), law(high)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = law(middle) > target
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    found = np.where(least > target, np.inf, np.where(most < target, -np.inf, (low + high) / 2))
    return np.where((least < most) & np.isfinite(target), found, np.nan)
