"""Fitting a law to runs: many starts, one answer, and everything that speaks against believing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution, cautions_of
from training.laws.fitting.objective import Name, Objective
from training.laws.fitting.problem import Problem, Scales
from training.laws.fitting.solve import solve
from training.laws.form import OUTCOME, Array, Form
from training.laws.inputs import checked, complete

AGREE = 1e-4
"""Two starts agree if their objectives differ by less than this share."""
MOST_SOLUTIONS = 8


@dataclass(frozen=True)
class Outliers:
    """Which runs are left out of a fit: the ``highest`` so many losses (and ties), and D / N outside ``ratio``."""

    highest: int = 0
    ratio: tuple[float, float] = (0.0, float("inf"))

    def kept(self, inputs: Mapping[str, npt.ArrayLike], y: Array) -> npt.NDArray[np.bool_]:
        """(N,) bool."""
        if not 0 <= self.highest < len(y):
            raise bad_value("highest", "Outliers", self.highest, f"from 0 to below the {len(y)} runs")
        keep = np.ones(len(y), dtype=bool)
        if self.highest:
            keep &= y < np.sort(y)[-self.highest]
        if self.ratio != (0.0, float("inf")):
            multiplier = complete(inputs, ("M",))["M"]
            keep &= (multiplier >= self.ratio[0]) & (multiplier <= self.ratio[1])
        return keep


@dataclass(frozen=True)
class Fit:
    """A fitted law.

    Runs are kept in an order of their own (by their values), so that the order given changes nothing, not even
    rounding; ``rows_N`` are their places in what was given, and ``residuals_N``, ``y_N`` and ``inputs`` follow it.
    ``objective`` is the sum that was minimised, in natural units, and ``starts_S`` what every start reached of it.
    ``solutions_SP`` are the different minima that starts ended in, best first, at most 8, as fitted; ``theta_P`` is the
    best. ``condition`` is the condition number of J'J, J the derivatives of the residuals in reduced units.
    """

    form: Form
    parameters: Mapping[str, float]
    objective: float
    minimised: Objective
    starts_S: Array
    at_bounds: tuple[str, ...]
    condition: float
    residuals_N: Array
    rows_N: npt.NDArray[np.int64]
    inputs: Mapping[str, Array]
    y_N: Array
    weights_N: Array
    outliers: Outliers
    left_out: int
    theta_P: Array = field(repr=False)
    solutions_SP: Array = field(repr=False)
    scales: Scales = field(repr=False)
    cautions: tuple[Caution, ...] = ()

    @property
    def agreeing(self) -> int:
        """How many starts came within 1e-4 of the best objective."""
        best = self.starts_S.min()
        return int((self.starts_S <= best + AGREE * abs(best) + 1e-300).sum())

    @property
    def runs(self) -> int:
        """How many runs have a positive weight."""
        return int((self.weights_N > 0).sum())

    @property
    def relative_weights_N(self) -> Array:
        """Weights that add up to ``runs``: statistics do not depend on what all weights are multiplied by."""
        found: Array = self.weights_N * (self.runs / self.weights_N.sum())
        return found

    @property
    def sound(self) -> bool:
        """Whether nothing was found that speaks against the law; see ``cautions``."""
        return not self.cautions

    @cached_property
    def problem(self) -> Problem:
        return Problem(self.form, self.inputs, self.y_N, self.minimised, self.scales)

    def predict(self, inputs: Mapping[str, npt.ArrayLike]) -> Array:
        """Predictions in natural units, for inputs that broadcast."""
        columns = np.broadcast_arrays(*complete(inputs, self.form.inputs).values())
        found: Array = np.exp(predictions(self, self.theta_P[None], dict(zip(self.form.inputs, columns))))[0]
        return found

    def inverse(
        self, wanted: str, y: npt.ArrayLike, inputs: Mapping[str, npt.ArrayLike] | None = None
    ) -> Array:
        """The value of one input at which the law gives ``y``; NaN where it never does."""
        return self.form.inverse(wanted, self.parameters, y, inputs or {})


def fit(
    form: Form,
    inputs: Mapping[str, npt.ArrayLike],
    y: npt.ArrayLike,
    *,
    objective: Name = "huber",
    delta: float = 1e-3,
    weights: npt.ArrayLike | None = None,
    outliers: Outliers | None = None,
    starts: int = 48,
    seed: int = 0,
) -> Fit:
    """Fit a law to N runs: ``fit(chinchilla(), {"N": n, "D": d}, loss)``.

    Every input is one number per run; N, D, C and M follow from each other (C = 6 N D, M = D / N). ``objective`` is
    one of :class:`~training.laws.fitting.objective.Objective`, a sum over runs of ``weights`` times the loss.
    ``starts`` points, of the form's grid and random ones, are minimised together; the best is polished by Newton steps.
    """
    outcome = np.asarray(y, dtype=np.float64)
    columns = complete(inputs, form.inputs)
    minimised = Objective(objective, delta)
    checked(columns, outcome, [name for name in form.scaled if name != OUTCOME], minimised.of_logs)
    weight = np.ones(len(outcome)) if weights is None else np.asarray(weights, dtype=np.float64)
    checked({"weights": weight}, outcome, [], False)
    if len(outcome) == 0 or (weight < 0).any() or not weight.any():
        raise bad_value(
            "weights", "fit", weight.tolist()[:5], "at least one run, none negative, not all zero"
        )
    if starts < 1:
        raise bad_value("starts", "fit", starts, "at least 1")
    if not form.free:
        raise InputError(f"form {form.name}: every parameter is frozen or tied, so there is nothing to fit.")
    policy = outliers or Outliers()
    keep = np.flatnonzero(policy.kept(inputs, outcome))
    order = keep[np.lexsort([weight[keep], outcome[keep], *(column[keep] for column in columns.values())])]
    columns = {name: column[order] for name, column in columns.items()}
    outcome, weight = outcome[order], weight[order]
    if len(outcome) == 0:
        raise InputError(f"fit: the outlier policy {policy} leaves no run.")

    scales = Scales.of(form, columns, outcome)
    problem = Problem(form, columns, outcome, minimised, scales)
    solved = solve(problem, form.start_points(starts, seed), weight[None])
    theta = solved.best_BP[0]
    if not np.isfinite(solved.values_B[0]):
        raise InputError(
            f"fit: the form {form.name} is not finite and positive at any of its starts; give it others."
        )
    reduced = problem.residuals(theta[None])[0]
    jacobian = problem.jacobian(theta) * np.sqrt(weight)[:, None]
    found = Fit(
        form=form,
        parameters=natural_parameters(form, theta, scales),
        objective=minimised.total(reduced, weight) * problem.objective_unit,
        minimised=minimised,
        starts_S=solved.starts_BS[0] * problem.objective_unit,
        at_bounds=at_bounds(form, theta),
        condition=_condition(jacobian),
        residuals_N=reduced * problem.residual_unit,
        rows_N=order.astype(np.int64),
        inputs=columns,
        y_N=outcome,
        weights_N=weight,
        outliers=policy,
        left_out=int(np.size(y) - len(order)),
        theta_P=theta,
        solutions_SP=_different(theta, solved.ends_BSP[0], solved.starts_BS[0]),
        scales=scales,
    )
    return replace(found, cautions=cautions_of(found))


def _different(best_P: Array, ends_SP: Array, values_S: Array) -> Array:
    """The ends of starts whose objectives differ by more than starts may that agree, best first."""
    found, last = [best_P], values_S.min()
    for k in np.argsort(values_S, kind="stable"):
        if values_S[k] > last * (1 + AGREE) and np.isfinite(values_S[k]) and len(found) < MOST_SOLUTIONS:
            found.append(ends_SP[k])
            last = values_S[k]
    return np.array(found)


def _condition(jacobian_NP: Array) -> float:
    if not np.isfinite(jacobian_NP).all():
        return float("inf")
    singular = np.linalg.svd(jacobian_NP, compute_uv=False)
    seen = len(singular) == jacobian_NP.shape[1] and singular[-1] > 1e-15 * singular[0]
    return float((singular[0] / singular[-1]) ** 2) if seen else float("inf")


def at_bounds(form: Form, theta_P: Array) -> tuple[str, ...]:
    """The fitted parameters that lie at a bound of theirs."""
    low, high = form.limits()
    at = (theta_P <= low) | (theta_P >= high)
    return tuple(parameter.name for parameter, there in zip(form.free, at) if there)


def natural_parameters(form: Form, theta_P: Array, scales: Scales) -> dict[str, float]:
    """All parameters in natural units, frozen and tied ones included."""
    with torch.no_grad():
        natural = form.natural(torch.from_numpy(np.array(theta_P)), scales.ln)
        return {name: float(natural[name]) for name in form.names}


def predictions(fitted: Fit, theta_KP: Array, inputs: Mapping[str, Array]) -> Array:
    """ln predictions (K, ...) in natural units of K parameter points, inputs of any one shape."""
    shape = next(iter(inputs.values())).shape
    flat = {name: np.ravel(column) for name, column in inputs.items()}
    with torch.no_grad():
        p = fitted.form.reduced(torch.from_numpy(np.ascontiguousarray(theta_KP)), fitted.scales.ln)
        found = fitted.form.formula(p, fitted.scales.inputs(fitted.form, flat)) + fitted.scales.outcome
    return np.asarray(found.numpy()).reshape(len(theta_KP), *shape)
