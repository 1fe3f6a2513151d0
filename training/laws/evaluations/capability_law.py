"""A downstream metric from capability components: a line, or a sigmoid of one (Ruan et al. 2024)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.cautions import SPARE_RUNS, Caution
from training.laws.evaluations.capability import group_rows
from training.laws.evaluations.correlations import resample_weights
from training.laws.fit import fit
from training.laws.form import Array, Form, Parameter, Values
from training.laws.least_squares import least_squares
from training.laws.uncertainty.bootstrap import refit
from training.laws.uncertainty.interval import level_checked

Law = Literal["sigmoid", "linear"]
STARTS = 8


@dataclass(frozen=True)
class CapabilityPrediction:
    """A metric of K models with the ends of its intervals; ``outside_K`` marks models beyond the fitted components."""

    value_K: Array
    low_K: Array
    high_K: Array
    outside_K: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CapabilityLaw:
    """metric = w_0 + w S, or floor + (1 - floor) / (1 + exp(-(w_0 + w S))), of components S.

    ``weights_P`` are w_0, w_1, ...; ``r2`` is of the models fitted, and no promise for others.
    """

    law: Law
    floor: float
    weights_P: Array
    r2: float
    residuals_N: Array
    range_C2: Array
    samples_BP: Array = field(repr=False)
    seed: int = 0
    cautions: tuple[Caution, ...] = ()

    def predict(
        self, components_KC: npt.ArrayLike, level: float = 0.95, noise: bool = True
    ) -> CapabilityPrediction:
        """The metric of other models, with percentile intervals over resamples.

        With ``noise`` for a model, whose residual is drawn from those of the fit, widened by sqrt(n / (n - p)); without
        it for the law. Models beyond the range of the components that were fitted are marked, not refused.
        """
        level_checked(level)
        given = np.asarray(components_KC, dtype=np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.range_C2):
            raise bad_value(
                "components", "predict", given.shape, f"models by {len(self.range_C2)} components"
            )
        if not np.isfinite(given).all():
            raise InputError("predict: components must be finite; drop models without them.")
        design = np.column_stack([np.ones(len(given)), given])
        samples = self._curve(self.samples_BP @ design.T)
        if noise:
            models, size = len(self.residuals_N), len(self.weights_P)
            widened = self.residuals_N * np.sqrt(models / max(1, models - size))
            samples = samples + np.random.default_rng([self.seed, 1]).choice(widened, samples.shape)
        low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=0)
        beyond = (given < self.range_C2[:, 0]) | (given > self.range_C2[:, 1])
        return CapabilityPrediction(self._curve(design @ self.weights_P), low, high, np.any(beyond, axis=1))

    def _curve(self, linear: Array) -> Array:
        from scipy.special import expit

        if self.law == "linear":
            return linear
        found: Array = self.floor + (1 - self.floor) * expit(linear)
        return found


def fit_capability_law(
    components_NC: npt.ArrayLike,
    metric: npt.ArrayLike,
    *,
    law: Law = "sigmoid",
    floor: float = 0.0,
    groups: npt.ArrayLike | None = None,
    resamples: int = 1_000,
    seed: int = 0,
) -> CapabilityLaw:
    """Fit a metric (N,) of N models by least squares on their components; ``floor`` is the sigmoid's chance level.

    ``groups`` names what is resampled as a whole, best the model's family: models of one family are alike in what no
    component sees. The components are taken as known; ``explained_intervals`` says how firm they are.
    """
    S, y = np.asarray(components_NC, dtype=np.float64), np.asarray(metric, dtype=np.float64)
    if law not in ("sigmoid", "linear"):
        raise unknown_name("law", "fit_capability_law", str(law), ("sigmoid", "linear"))
    if S.ndim != 2 or y.shape != (len(S),):
        raise bad_value("components", "fit_capability_law", S.shape, f"models by components, ({y.size}, C)")
    if not (np.isfinite(S).all() and np.isfinite(y).all()):
        raise InputError(
            "fit_capability_law: components and metric must be finite; drop models without them."
        )
    size = S.shape[1] + 1
    if len(y) <= size:
        raise bad_value("models", "fit_capability_law", len(y), f"more than the {size} weights")
    if law == "sigmoid" and (not 0 <= floor < 1 or (y < 0).any() or (y > 1).any()):
        raise InputError("fit_capability_law: a sigmoid needs a metric in [0, 1] and a floor in [0, 1).")
    order, member = group_rows(np.column_stack([S, y]), groups)
    S, y = S[order], y[order]
    if np.linalg.matrix_rank(S - S.mean(axis=0)) < S.shape[1]:
        raise InputError("fit_capability_law: the components do not vary independently of each other.")
    units = int(member.max()) + 1
    if units < 2:
        raise bad_value("groups", "fit_capability_law", units, "at least 2 different groups")
    copies = resample_weights(units, resamples, seed)[:, member]
    design = np.column_stack([np.ones(len(y)), S])
    cautions: list[Caution] = []
    if law == "linear":
        weights = least_squares(design, y, np.ones((1, len(y))))[0]
        samples = weights + least_squares(design, y - design @ weights, copies)  # unseen directions stay
        if len(y) <= size + SPARE_RUNS:
            cautions.append(Caution("few_runs", f"{len(y)} models for {size} weights."))
    else:
        spread = S.std(axis=0)
        columns = {f"PC{c + 1}": S[:, c] / spread[c] for c in range(S.shape[1])}
        fitted = fit(_sigmoid(tuple(columns), floor), columns, y, objective="square", starts=STARTS)
        unit = np.concatenate([[1.0], spread])
        weights = fitted.theta_P / unit
        samples = refit(fitted, copies[:, fitted.rows_N], starts=2).theta_BP / unit
        cautions += fitted.cautions
    if groups is not None and units <= size + SPARE_RUNS:
        cautions.append(Caution("few_runs", f"{units} groups for {size} weights; intervals are too narrow."))
    found = CapabilityLaw(
        law, floor, weights, float("nan"), y, np.stack([S.min(axis=0), S.max(axis=0)], axis=1), samples, seed
    )
    residuals = y - found._curve(design @ weights)
    total = float(((y - y.mean()) ** 2).sum())
    r2 = 1 - float((residuals**2).sum()) / total if total > 0 else float("nan")
    return CapabilityLaw(law, floor, weights, r2, residuals, found.range_C2, samples, seed, tuple(cautions))


def _sigmoid(inputs: tuple[str, ...], floor: float) -> Form:
    """floor + (1 - floor) / (1 + exp(-(w0 + sum_c w_c S_c))) of components of unit spread."""

    def formula(p: Values, x: Values) -> torch.Tensor:
        linear = p.w0 + sum(p[f"w_{name}"] * x[name] for name in inputs)
        if floor == 0:
            return torch.nn.functional.logsigmoid(linear)
        return torch.log(floor + (1 - floor) * torch.sigmoid(linear))

    def weight(name: str, starts: tuple[float, ...]) -> Parameter:
        return Parameter(name, scale="linear", low=-100.0, high=100.0, starts=starts)

    first = weight(f"w_{inputs[0]}", (0.3, 1.0))
    rest = (weight(f"w_{name}", (0.0,)) for name in inputs[1:])
    return Form("capability_sigmoid", inputs, (weight("w0", (-2.0, 0.0)), first, *rest), formula)
