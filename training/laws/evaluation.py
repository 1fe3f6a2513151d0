"""How far a law extrapolates: fitted on the smaller runs, judged on the larger ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.fit import Fit, fit
from training.laws.form import Array, Form
from training.laws.inputs import complete


@dataclass(frozen=True)
class Evaluation:
    """Predictions of T held-out runs against what they were.

    ``rows_T`` are their places in the runs given, ``inputs`` what the law reads of them.
    """

    fitted: Fit
    rows_T: npt.NDArray[np.int64]
    inputs: Mapping[str, Array]
    predicted_T: Array
    actual_T: Array

    @property
    def errors_T(self) -> Array:
        """Relative errors, (predicted - actual) / actual."""
        return (self.predicted_T - self.actual_T) / self.actual_T

    @property
    def mean_error(self) -> float:
        """Mean absolute relative error."""
        return float(np.abs(self.errors_T).mean())

    @property
    def worst_error(self) -> float:
        """Largest absolute relative error."""
        return float(np.abs(self.errors_T).max())

    @property
    def ln_rmse(self) -> float:
        """Root mean squared ln predicted - ln actual (Alabdulmohsin et al. 2022, section 4)."""
        return float(np.sqrt(np.mean(np.log(self.predicted_T / self.actual_T) ** 2)))

    @property
    def r2(self) -> float:
        """1 - squared errors over those of the held-out mean; NaN for one run or equal ones."""
        spread = float(((self.actual_T - self.actual_T.mean()) ** 2).sum())
        left = float(((self.predicted_T - self.actual_T) ** 2).sum())
        return 1 - left / spread if spread > 0 else float("nan")


def evaluate(
    form: Form,
    inputs: Mapping[str, npt.ArrayLike],
    y: npt.ArrayLike,
    *,
    below: float | None = None,
    train: npt.ArrayLike | None = None,
    **options: Any,
) -> Evaluation:
    """Fit on the runs with compute C < ``below`` and predict the others; or say which to train on, (N,) bool.

    ``options`` go to :func:`~training.laws.fit.fit`; its outlier policy applies to the runs trained on only.
    """
    outcome = np.asarray(y, dtype=np.float64)
    if (below is None) == (train is None):
        raise InputError("evaluate: give either below, a compute budget, or train, which runs to fit on.")
    if below is not None:
        mask = complete(inputs, ("C",))["C"] < below
    else:
        mask = np.asarray(train, dtype=bool)
    if mask.shape != outcome.shape or not mask.any() or mask.all():
        raise InputError(f"evaluate: some runs to fit on and some to predict are needed, of {len(outcome)}.")
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in inputs.items()}
    if options.get("weights") is not None:
        options["weights"] = np.asarray(options["weights"])[mask]
    fitted = fit(form, {name: column[mask] for name, column in columns.items()}, outcome[mask], **options)
    rows = np.flatnonzero(~mask)
    held_out = complete({name: column[rows] for name, column in columns.items()}, form.inputs)
    return Evaluation(fitted, rows.astype(np.int64), held_out, fitted.predict(held_out), outcome[rows])
