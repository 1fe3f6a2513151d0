"""A form, runs and an objective as one function of the fitted parameters, for many resamples at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from scoring.errors import InputError
from training.laws.fitting.minimise import Rows
from training.laws.fitting.objective import Objective
from training.laws.form import OUTCOME, Array, Form, Values

CHUNK = 32_000
"""Points per piece of a batch: its few dozen arrays then stay in the cache, and torch keeps to one thread."""


RIDGE = 1e-8
LARGEST = 1e120
"""Sums of squares of outcomes up to this size, and of their inverses, are numbers."""


@dataclass(frozen=True)
class Scales:
    """Logarithms of the typical sizes by which inputs and outcome are divided while fitting."""

    ln: Mapping[str, float]

    @classmethod
    def of(cls, form: Form, inputs: Mapping[str, Array], y: Array) -> Scales:
        """Geometric means of the inputs (zero if one is not positive) and the mean of y, of what the form reduces."""
        found = {}
        for name in form.scaled:
            if name == OUTCOME:
                with np.errstate(over="ignore"):
                    mean = float(y.mean())
                if not 0 < mean < np.inf:
                    raise InputError(
                        f"fit: the outcomes have the mean {mean:.4g}, and the form {form.name} is of outcomes above 0; "
                        "change their sign or units."
                    )
                found[name] = float(np.log(mean))
            else:
                found[name] = float(np.log(inputs[name]).mean())
        return cls(found)

    def inputs(self, form: Form, inputs: Mapping[str, Array]) -> Values:
        """Inputs of a formula in reduced units."""
        plain, logs = {}, {}
        for name in form.inputs:
            column = torch.from_numpy(np.array(inputs[name], dtype=np.float64))
            if name in self.ln:
                logs[name] = torch.log(column) - self.ln[name]
            else:
                plain[name] = column
        return Values(plain, logs)

    @property
    def outcome(self) -> float:
        """The logarithm of what y is divided by."""
        return self.ln.get(OUTCOME, 0.0)


class Problem:
    """The objective of a form over n runs, for weights (B, n) of B resamples and points (K, P) of any of them.

    ``y`` is (n,), or (B, n) where resamples differ in their outcomes; then ``residuals``, ``jacobian`` and
    ``inverse_curvature`` are those of the first.
    """

    def __init__(
        self, form: Form, inputs: Mapping[str, Array], y: Array, objective: Objective, scales: Scales
    ) -> None:
        self.form, self.objective, self.scales = form, objective, scales
        self.x = scales.inputs(form, inputs)
        self.y = torch.from_numpy(np.array(y, dtype=np.float64)) * float(np.exp(-scales.outcome))
        self.ln_y = torch.log(self.y)
        self.runs = self.y.shape[-1]
        size = 1.0 if objective.of_logs else float(np.exp(scales.outcome))
        if not 1 / LARGEST < size < LARGEST:
            raise InputError(
                f"fit: outcomes around {size:.4g} have no squares; give them other units, or fit the log_square."
            )
        self.residual_unit, self.objective_unit = size, size**2
        """What residuals and objectives are multiplied by to be in natural units."""

    def ln_predictions(
        self, theta: torch.Tensor, held: Mapping[str, torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Reduced ln predictions (K, n)."""
        p = self.form.reduced(theta, self.scales.ln, held)
        return self.form.formula(p, self.x).expand(len(theta), self.runs)

    def residuals(self, theta_KP: Array) -> Array:
        """Reduced residuals (K, n)."""
        with torch.no_grad():
            predicted = self.ln_predictions(torch.from_numpy(np.ascontiguousarray(theta_KP)))
            first = self.y.reshape(-1, self.runs)[0], self.ln_y.reshape(-1, self.runs)[0]
            residuals = self.objective.residuals(predicted, *first)
        return np.asarray(residuals.numpy())

    def jacobian(self, theta_P: Array) -> Array:
        """Derivatives (n, P) of the reduced residuals at one point, by central differences."""
        moves = np.diag(1e-5 * np.maximum(1.0, np.abs(theta_P)))
        both = self.residuals(np.concatenate([theta_P + moves, theta_P - moves]))
        size = len(theta_P)
        return np.asarray((both[:size] - both[size:]).T / (2 * np.diag(moves)))

    def inverse_curvature(self, theta_P: Array, weights_N: Array) -> Array:
        """About the inverse of the objective's second derivatives at a solution, (P, P), positive definite.

        Zero where the derivatives are not finite.
        """
        _, slope = self.objective.moments(self.residuals(theta_P[None])[0], weights_N)
        jacobian = self.jacobian(theta_P) * np.sqrt(weights_N)[:, None]
        curvature = slope * jacobian.T @ jacobian
        if not np.isfinite(curvature).all():
            return np.zeros_like(curvature)
        ridge = RIDGE * max(float(np.trace(curvature)), np.finfo(np.float64).tiny)
        return np.asarray(np.linalg.inv(curvature + ridge * np.eye(len(theta_P))))

    def evaluate(
        self,
        theta_KP: Array,
        weights_Bn: Array,
        which_K: Rows,
        delta: float,
        held: Mapping[str, Array] | None = None,
    ) -> tuple[Array, Array]:
        """Objective (K,) and gradient (K, P); ``which_K`` names the resample, and the held values, of every point."""
        values, gradients = np.empty(len(theta_KP)), np.empty_like(theta_KP)
        rows = max(1, CHUNK // self.runs)
        for first in range(0, len(theta_KP), rows):
            piece = slice(first, first + rows)
            which = which_K[piece]
            theta = torch.from_numpy(np.ascontiguousarray(theta_KP[piece])).requires_grad_(True)
            own = {name: torch.from_numpy(column[which])[:, None] for name, column in (held or {}).items()}
            predicted = self.ln_predictions(theta, own)
            weights = torch.from_numpy(weights_Bn[which] if len(weights_Bn) > 1 else weights_Bn)
            with (
                torch.no_grad()
            ):  # the derivative of the loss is known; only the formula's is left to autograd
                own_y = (self.y, self.ln_y) if self.y.ndim == 1 else (self.y[which], self.ln_y[which])
                residuals = self.objective.residuals(predicted, *own_y)
                losses, pull = self.objective.losses(residuals, delta)
                if not self.objective.of_logs:
                    pull = pull * predicted.exp()
                values[piece] = torch.linalg.vecdot(weights, losses).numpy()
            (gradient,) = torch.autograd.grad(predicted, theta, weights * pull)
            gradients[piece] = gradient.numpy()
        return values, gradients
