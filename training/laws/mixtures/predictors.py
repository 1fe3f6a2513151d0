"""What predicts one loss from proportions: a line, the exponential law, or any regressor; each with its resamples."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from training.laws.cautions import CHANCE, SPARE_RUNS, Caution
from training.laws.fit import Fit, fit, predictions
from training.laws.form import Array
from training.laws.forms.mixture import exponential_mixture
from training.laws.least_squares import least_squares
from training.laws.uncertainty.bootstrap import refit

Samples = Callable[[Array], Array]
"""Proportions (K, M) -> predictions of B resamples, (B, K)."""


STARTS = 16


class Regressor(Protocol):
    """Anything with scikit-learn's ``fit`` and ``predict``."""

    def fit(self, X: Array, y: Array) -> Any: ...

    def predict(self, X: Array) -> Any: ...


class Predictor(Protocol):
    """A fitted law of one loss."""

    @property
    def cautions(self) -> tuple[Caution, ...]: ...

    def predict(self, r_KM: Array) -> Array:
        """Predicted loss (K,)."""

    def resampled(self, copies_BN: Array) -> Samples:
        """The law fitted to resamples that hold every mixture so many times."""


@dataclass(frozen=True)
class Linear:
    """L = sum_j w_j r_j by least squares: w_j is the loss that domain j alone would give.

    The same law as one with an intercept, which proportions that sum to one make redundant.
    """

    r_NM: Array = field(repr=False)
    y_N: Array = field(repr=False)
    weights_M: Array
    cautions: tuple[Caution, ...]

    @classmethod
    def fitted(cls, r_NM: Array, y_N: Array) -> Linear:
        mixtures, size = r_NM.shape
        weights = least_squares(r_NM, y_N, np.ones((1, mixtures)))[0]
        few = f"{mixtures} mixtures for {size} weights; up to {size + SPARE_RUNS} the law follows the noise."
        if mixtures <= size + SPARE_RUNS:
            return cls(r_NM, y_N, weights, (Caution("few_runs", few),))
        chance = _chance(y_N, r_NM @ weights, size)
        said = f"proportions explain the loss hardly better than chance, which does as well in {chance:.2g} of cases."
        return cls(r_NM, y_N, weights, (Caution("unrelated", said),) if chance >= CHANCE else ())

    def predict(self, r_KM: Array) -> Array:
        found: Array = r_KM @ self.weights_M
        return found

    def resampled(self, copies_BN: Array) -> Samples:
        # of a domain that a resample does not hold it says nothing, so what all mixtures say stays (not a loss of zero)
        left_N = self.y_N - self.r_NM @ self.weights_M
        weights_BM = self.weights_M + least_squares(self.r_NM, left_N, copies_BN)
        return lambda r_KM: weights_BM @ r_KM.T


def _chance(y_N: Array, predicted_N: Array, size: int) -> float:
    """The F test of a law of ``size`` weights against the mean; 1 where losses do not differ."""
    from scipy.special import fdtrc

    left, total = float(((y_N - predicted_N) ** 2).sum()), float(((y_N - y_N.mean()) ** 2).sum())
    if total <= 1e-20 * float((y_N**2).sum()):
        return 1.0
    if left <= 0:
        return 0.0
    freedom = len(y_N) - size
    return float(fdtrc(size - 1, freedom, max(0.0, total - left) / (size - 1) / left * freedom))


@dataclass(frozen=True)
class Exponential:
    """L = c + k exp(t r) (Ye et al. 2024) by least squares of the loss; see ``exponential_mixture``."""

    fit: Fit

    @classmethod
    def fitted(cls, r_NM: Array, y_N: Array, domains: Sequence[str]) -> Exponential:
        columns = {name: r_NM[:, j] for j, name in enumerate(domains)}
        return cls(fit(exponential_mixture(domains), columns, y_N, objective="square", starts=STARTS))

    @property
    def cautions(self) -> tuple[Caution, ...]:
        return self.fit.cautions

    def predict(self, r_KM: Array) -> Array:
        found: Array = self._at(self.fit.theta_P[None], r_KM)[0]
        return found

    def resampled(self, copies_BN: Array) -> Samples:
        theta_BP = refit(self.fit, copies_BN[:, self.fit.rows_N], starts=1).theta_BP
        return lambda r_KM: self._at(theta_BP, r_KM)

    def _at(self, theta_BP: Array, r_KM: Array) -> Array:
        columns = {name: r_KM[:, j] for j, name in enumerate(self.fit.form.inputs)}
        found: Array = np.exp(predictions(self.fit, theta_BP, columns))
        return found


@dataclass(frozen=True)
class Regressed:
    """A regressor of the user's, a copy of which was fitted; resamples repeat rows and fit further copies."""

    blank: Regressor
    model: Regressor
    r_NM: Array = field(repr=False)
    y_N: Array = field(repr=False)
    cautions: tuple[Caution, ...] = ()

    @classmethod
    def fitted(cls, blank: Regressor, r_NM: Array, y_N: Array) -> Regressed:
        return cls(blank, _trained(blank, r_NM, y_N), r_NM, y_N)

    def predict(self, r_KM: Array) -> Array:
        return np.asarray(self.model.predict(r_KM), dtype=np.float64).reshape(len(r_KM))

    def resampled(self, copies_BN: Array) -> Samples:
        models = []
        for copies in copies_BN.astype(np.int64):
            rows = np.repeat(np.arange(len(copies)), copies)
            models.append(_trained(self.blank, self.r_NM[rows], self.y_N[rows]))
        return lambda r_KM: np.stack(
            [np.asarray(model.predict(r_KM), dtype=np.float64).reshape(len(r_KM)) for model in models]
        )


def _trained(blank: Regressor, r_NM: Array, y_N: Array) -> Regressor:
    model = copy.deepcopy(blank)
    model.fit(r_NM, y_N)
    return model
