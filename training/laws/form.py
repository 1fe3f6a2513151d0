"""What a law is: a formula with its parameters, their units, and how it is fitted, frozen and turned around.

A form is written once, as the logarithm of its prediction in torch operations that broadcast over leading dimensions
(starts x resamples); the gradient comes from autograd. On 1,000 x 240 points an analytic gradient is about four times
faster (0.6 against 2.1 ms a call), which is less than what cutting the batch to the size of the cache gives (7.5 to
2.1 ms, ``problem.py``) and does not pay for a hand-written derivative of every form and of every user's expression.

Fitting happens in **reduced units**: every input and the outcome is divided by its typical size over the runs, so all
parameters are of order one, A and alpha are no longer collinear, one grid of starts serves all data, and the answer
does not depend on units. Parameters say their units (A of A/N^alpha has those of y N^alpha); a test over the catalogue
checks that each formula agrees with them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.expression import parsed

Array = npt.NDArray[np.float64]
Tensors = dict[str, torch.Tensor]

OUTCOME = "y"
"""The name under which units speak of the outcome."""


INVERTED = 1e-6
"""How close, relative to ``y``, a law has to come to it at what an inverse found."""


class Values:
    """Parameters or inputs by name: ``p.A`` the value, ``p.ln_A`` its logarithm; each is computed once."""

    def __init__(self, values: Tensors, logs: Tensors) -> None:
        self.__dict__.update(values)
        self.__dict__.update({f"ln_{name}": log for name, log in logs.items()})

    def __getattr__(self, name: str) -> torch.Tensor:
        if name.startswith("ln_"):
            value = torch.log(getattr(self, name[3:]))
        elif f"ln_{name}" in self.__dict__:
            value = torch.exp(self.__dict__[f"ln_{name}"])
        else:
            raise AttributeError(name)
        self.__dict__[name] = value
        return value

    def __getitem__(self, name: str) -> torch.Tensor:
        value: torch.Tensor = getattr(self, name)
        return value


Formula = Callable[[Values, Values], torch.Tensor]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its scale while fitting, its bounds and starts in reduced units, and its units.

    ``units`` gives, for an input or ``"y"``, the power of it that the parameter carries: a number, or an expression of
    parameters without units (``{"N": "alpha", "y": 1}``).
    """

    name: str
    scale: Literal["log", "linear"] = "log"
    low: float = 1e-12
    high: float = 1e12
    starts: tuple[float, ...] = (0.1, 0.5)
    units: Mapping[str, str | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Form:
    """A law: ``formula(parameters, inputs)`` is the logarithm of the prediction, float64, broadcasting.

    ``inverses[input](parameters, inputs, y)`` solves for one input, in natural units. ``optimum(parameters, C)``
    gives the model size N that minimises the law at the compute C = 6 N D. ``fixed`` holds frozen parameters in
    natural units, ``ties`` parameters that are an expression of others. ``recipe`` says how to build the form again
    (a name of the catalogue with its options, or an expression); without one a fit of it cannot be saved.
    """

    name: str
    inputs: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    formula: Formula
    inverses: Mapping[str, Callable[[Values, Values, torch.Tensor], torch.Tensor]] = field(
        default_factory=dict
    )
    optimum: Callable[[Values, torch.Tensor], torch.Tensor] | None = None
    fixed: Mapping[str, float] = field(default_factory=dict)
    ties: Mapping[str, str] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All parameters, in order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def free(self) -> tuple[Parameter, ...]:
        """The parameters that a fit decides."""
        return tuple(p for p in self.parameters if p.name not in self.fixed and p.name not in self.ties)

    def parameter(self, name: str) -> Parameter:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise unknown_name("parameter", f"form {self.name}", name, self.names)

    def frozen(self, **values: float) -> Form:
        """The same law with some parameters held at these values (natural units)."""
        for name, value in values.items():
            if not math.isfinite(value) or (self.parameter(name).scale == "log" and not value > 0):
                allowed = "above 0" if self.parameter(name).scale == "log" else "a finite number"
                raise bad_value(name, f"form {self.name}", value, allowed)
            if name in self.ties:
                raise InputError(
                    f"form {self.name}: {name} is tied ({self.ties[name]}) and cannot be frozen."
                )
        return replace(self, fixed={**self.fixed, **{name: float(v) for name, v in values.items()}})

    def tied(self, **expressions: str) -> Form:
        """The same law with some parameters tied to others: ``tied(beta="alpha")``.

        Both sides must be free of units, or the tie would mean something else in other units.
        """
        for name, text in expressions.items():
            if name in self.fixed or name in parsed(text).names:
                what = "frozen" if name in self.fixed else "what it would be tied to"
                raise InputError(f"form {self.name}: {name} cannot be tied ({name} = {text}), it is {what}.")
            for used in (name, *parsed(text).names):
                if self.parameter(used).units:
                    raise InputError(
                        f"form {self.name}: {used} has units and cannot be tied ({name} = {text})."
                    )
                if used != name and (used in self.ties or used in expressions):
                    raise InputError(
                        f"form {self.name}: {name} cannot be tied to {used}, which is tied itself."
                    )
        return replace(self, ties={**self.ties, **expressions})

    def bounded(self, **bounds: tuple[float, float]) -> Form:
        """The same law with other bounds, in reduced units (the natural ones for parameters without units)."""
        for name, (low, high) in bounds.items():
            if not low < high or (self.parameter(name).scale == "log" and not low > 0):
                raise bad_value(
                    name,
                    f"the bounds of form {self.name}",
                    (low, high),
                    "ascending, and above 0 for a log scale",
                )
        parameters = tuple(
            replace(p, low=bounds[p.name][0], high=bounds[p.name][1]) if p.name in bounds else p
            for p in self.parameters
        )
        return replace(self, parameters=parameters)

    @property
    def scaled(self) -> tuple[str, ...]:
        """The inputs, and the outcome, that some parameter names in its units; only these are reduced."""
        named = {unit for parameter in self.parameters for unit in parameter.units}
        return tuple(name for name in (*self.inputs, OUTCOME) if name in named)

    def start_points(self, count: int, seed: int) -> Array:
        """Starts of the free parameters, (count, P), as fitted.

        The grid, thinned at random where it is larger; where it is smaller the rest is drawn evenly, on the scale of
        the fit, between the smallest and the largest start of every parameter.
        """
        rng = np.random.default_rng(seed)
        grid = np.array(list(itertools.product(*(p.starts for p in self.free))), dtype=np.float64)
        grid = self.as_fitted(grid.reshape(-1, len(self.free)))
        if len(grid) > count:
            return grid[np.sort(rng.permutation(len(grid))[:count])]
        return np.concatenate(
            [grid, rng.uniform(grid.min(0), grid.max(0), (count - len(grid), len(self.free)))]
        )

    def as_fitted(self, values_SP: Array) -> Array:
        """Reduced values of the free parameters on the scale of the fit: logarithms of those on the log scale."""
        logged = np.array([p.scale == "log" for p in self.free], dtype=bool)
        return np.where(logged, np.log(np.where(logged, values_SP, 1.0)), values_SP)

    def limits(self) -> tuple[Array, Array]:
        """Lower and upper bounds of the free parameters, as fitted."""
        low, high = (
            np.array([getattr(p, side) for p in self.free], dtype=np.float64) for side in ("low", "high")
        )
        return self.as_fitted(low), self.as_fitted(high)

    def reduced(
        self,
        theta: torch.Tensor,
        ln_scales: Mapping[str, float],
        held: Mapping[str, torch.Tensor] | None = None,
    ) -> Values:
        """All parameters in reduced units from the fitted ones, (..., P) -> values of shape (..., 1).

        ``held`` replaces frozen values by tensors, one per leading dimension (natural units): how a profile is run.
        """
        columns = {p.name: theta[..., i : i + 1] for i, p in enumerate(self.free)}
        known = {name: torch.tensor(value, dtype=theta.dtype) for name, value in self.fixed.items()} | dict(
            held or {}
        )
        plain: Tensors = {}
        for p in self.parameters:
            if not p.units and p.name not in self.ties:
                value = columns[p.name] if p.name in columns else known[p.name]
                plain[p.name] = value.exp() if p.scale == "log" and p.name in columns else value
        for name, text in self.ties.items():
            plain[name] = parsed(text)(plain)
        logs, linear = Tensors(), Tensors()
        for p in self.parameters:
            if p.units and p.scale == "log":
                free = p.name in columns
                logs[p.name] = (
                    columns[p.name] if free else known[p.name].log() - _ln_size(p, plain, ln_scales)
                )
            elif p.units:
                free = p.name in columns
                linear[p.name] = (
                    columns[p.name] if free else known[p.name] / _ln_size(p, plain, ln_scales).exp()
                )
        return Values(plain | linear, logs)

    def natural(self, theta: torch.Tensor, ln_scales: Mapping[str, float]) -> Values:
        """The same in natural units."""
        reduced = self.reduced(theta, ln_scales)
        plain = {p.name: reduced[p.name] for p in self.parameters if not p.units}
        logs, linear = Tensors(), Tensors()
        for p in self.parameters:
            if p.units and p.scale == "log":
                logs[p.name] = reduced[f"ln_{p.name}"] + _ln_size(p, plain, ln_scales)
            elif p.units:
                linear[p.name] = reduced[p.name] * _ln_size(p, plain, ln_scales).exp()
        return Values(plain | linear, logs)

    def ln_prediction(
        self, parameters: Mapping[str, npt.ArrayLike], inputs: Mapping[str, npt.ArrayLike]
    ) -> Array:
        """The logarithm of the prediction in natural units, for given values of all parameters."""
        return np.asarray(self.formula(_values(parameters), _values(inputs)).numpy())

    def inverse(
        self,
        wanted: str,
        parameters: Mapping[str, npt.ArrayLike],
        y: npt.ArrayLike,
        inputs: Mapping[str, npt.ArrayLike],
    ) -> Array:
        """The value of one input at which the law gives ``y``, in natural units; NaN where it never does.

        Out of the law's reach, below its floor, a closed form may still return a number (the square of a negative one);
        so the law is asked at what was found whether it gives ``y`` there.
        """
        if wanted not in self.inverses:
            raise unknown_name("input", f"the inverse of form {self.name}", wanted, self.inverses)
        others = {name: np.asarray(column) for name, column in inputs.items() if name != wanted}
        target = torch.as_tensor(np.asarray(y, dtype=np.float64))
        found = self.inverses[wanted](_values(parameters), _values(others), target)
        there = self.formula(_values(parameters), _values(others | {wanted: found.numpy()}))
        # too large or too small for a float is an answer too
        given = (there - torch.log(target)).abs() <= INVERTED
        return np.asarray(torch.where(given | torch.isposinf(found) | (found == 0), found, torch.nan).numpy())

    def optimal_size(self, parameters: Mapping[str, npt.ArrayLike], C: npt.ArrayLike) -> Array:
        """The model size N at which the loss is least for the compute C = 6 N D, in natural units."""
        if self.optimum is None:
            raise InputError(f"the law {self.name} has no compute-optimal model size.")
        budget = torch.as_tensor(np.asarray(C, dtype=np.float64))
        return np.asarray(self.optimum(_values(parameters), budget).numpy())


def _ln_size(parameter: Parameter, plain: Tensors, ln_scales: Mapping[str, float]) -> torch.Tensor:
    """The logarithm of natural over reduced value of a parameter."""
    total = torch.zeros((), dtype=torch.float64)
    for unit, power in parameter.units.items():
        exponent = parsed(power)(plain) if isinstance(power, str) else power
        total = total + exponent * ln_scales[unit]
    return total


def _values(columns: Mapping[str, npt.ArrayLike]) -> Values:
    return Values({name: torch.as_tensor(np.array(c, dtype=np.float64)) for name, c in columns.items()}, {})
