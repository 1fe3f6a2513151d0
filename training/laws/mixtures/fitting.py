"""Fitting losses to mixtures, and how well a law predicts mixtures it has not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.cautions import Caution
from training.laws.evaluations.correlations import (
    canonical_order,
    finite_interval,
    paired_columns,
    resample_weights,
    weighted_spearman,
)
from training.laws.form import Array
from training.laws.mixtures.predictors import Exponential, Linear, Predictor, Regressed, Regressor
from training.laws.uncertainty.interval import Interval, level_checked, percentile_interval

Losses = Mapping[str, npt.ArrayLike] | npt.ArrayLike
Law = Literal["exponential", "linear"] | Regressor
LAWS = ("exponential", "linear", "an object with fit and predict")
ROUNDED = 0.02
"""How far proportions may be from summing to one: published tables are rounded to three digits."""


@dataclass(frozen=True)
class MixtureLaw:
    """Losses T predicted from the proportions of M domains; N mixtures were fitted, kept in an order of their own."""

    domains: tuple[str, ...]
    targets: tuple[str, ...]
    proportions_NM: Array = field(repr=False)
    losses_NT: Array = field(repr=False)
    predictors: tuple[Predictor, ...] = field(repr=False)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What speaks against the laws, each once."""
        return tuple(dict.fromkeys(caution for p in self.predictors for caution in p.cautions))

    def predict(self, proportions_KM: npt.ArrayLike) -> Array:
        """Predicted losses (K, T)."""
        r_KM = proportions(proportions_KM, len(self.domains))
        return np.stack([predictor.predict(r_KM) for predictor in self.predictors], axis=1)


@dataclass(frozen=True)
class HeldOut:
    """Predictions of mixtures that were not fitted, for one loss; intervals are over resampled mixtures."""

    mixtures: int
    spearman: Interval
    mse: Interval
    r2: float


def fit_mixture(
    proportions_NM: npt.ArrayLike,
    losses: Losses,
    law: Law = "exponential",
    domains: Sequence[str] | None = None,
) -> MixtureLaw:
    """Fit every loss to the proportions of N runs.

    Args:
        proportions_NM: Shares of M domains; rows sum to one within 2 % and are divided by their sum.
        losses: One loss (N,), or several by name (``{"web": ..., "code": ...}``), each fitted by itself.
        law: ``"exponential"`` (Ye et al. 2024), ``"linear"``, or a regressor, of which copies are fitted (Liu et al.
            2025 take LightGBM).
        domains: Their names; r1, r2, ... by default.
    """
    r = proportions(proportions_NM)
    names = tuple(domains) if domains is not None else tuple(f"r{j + 1}" for j in range(r.shape[1]))
    if len(names) != r.shape[1] or len(set(names)) < len(names):
        raise bad_value("domains", "fit_mixture", names, f"{r.shape[1]} different names")
    targets, y = losses_by_name(losses, len(r))
    order = canonical_order(*r.T, *y.T)
    r, y = r[order], y[order]
    return MixtureLaw(names, targets, r, y, tuple(_fit_one(law, r, column, names) for column in y.T))


def _fit_one(law: Law, r: Array, y: Array, domains: tuple[str, ...]) -> Predictor:
    if isinstance(law, str):
        if law not in LAWS[:2]:
            raise unknown_name("law", "fit_mixture", law, LAWS)
        needed = len(domains) + (law == "exponential")
        if len(r) <= needed:
            raise bad_value("mixtures", "fit_mixture", len(r), f"more than the {needed} parameters")
        if np.linalg.matrix_rank(r, tol=1e-9 * np.sqrt(len(r))) < len(domains):
            raise InputError(
                "fit_mixture: the mixtures do not determine the effect of every domain; some never vary, or vary only "
                "together."
            )
        return Linear.fitted(r, y) if law == "linear" else Exponential.fitted(r, y, domains)
    if not (hasattr(law, "fit") and hasattr(law, "predict")):
        raise unknown_name("law", "fit_mixture", str(law), LAWS)
    return Regressed.fitted(law, r, y)


def held_out(
    law: MixtureLaw,
    proportions_KM: npt.ArrayLike,
    losses: Losses,
    *,
    resamples: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, HeldOut]:
    """How well a law predicts other mixtures, by loss."""
    predicted = law.predict(proportions_KM)
    targets, actual = losses_by_name(losses, len(predicted))
    if targets != law.targets:
        raise InputError(
            f"held_out: the law is of {', '.join(law.targets)}, the losses are {', '.join(targets)}."
        )
    return {
        name: _judged(predicted[:, t], actual[:, t], resamples, level, seed) for t, name in enumerate(targets)
    }


def cross_validate(
    proportions_NM: npt.ArrayLike,
    losses: Losses,
    law: Law = "exponential",
    *,
    folds: int = 5,
    resamples: int = 1_000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, HeldOut]:
    """The same where nothing was held out: every mixture is predicted by a law fitted without its fold."""
    r = proportions(proportions_NM)
    targets, y = losses_by_name(losses, len(r))
    if not 2 <= folds <= len(r):
        raise bad_value("folds", "cross_validate", folds, f"from 2 to the {len(r)} mixtures")
    order = canonical_order(*r.T, *y.T)
    r, y = r[order], y[order]
    # runs of one mixture stay together, or a fold would be predicted from its own copies
    _, same = np.unique(r, axis=0, return_inverse=True)
    different = int(same.max()) + 1
    if different < folds:
        raise bad_value("folds", "cross_validate", folds, f"at most the {different} different mixtures")
    fold = np.random.default_rng(seed).permutation(different)[same.ravel()] % folds
    predicted = np.empty_like(y)
    for f in range(folds):
        out = fold == f
        columns = {name: y[~out, t] for t, name in enumerate(targets)}
        predicted[out] = fit_mixture(r[~out], columns, law).predict(r[out])
    return {name: _judged(predicted[:, t], y[:, t], resamples, level, seed) for t, name in enumerate(targets)}


def _judged(predicted: Array, actual: Array, resamples: int, level: float, seed: int) -> HeldOut:
    level_checked(level)
    predicted, actual = paired_columns("held_out", 3, predicted=predicted, losses=actual)
    order = canonical_order(actual, predicted)
    predicted, actual = predicted[order], actual[order]
    weights, once = resample_weights(len(actual), resamples, seed), np.ones((1, len(actual)))
    squares = (predicted - actual) ** 2
    rho = float(weighted_spearman(predicted, actual, once)[0])
    spread = float(((actual - actual.mean()) ** 2).mean())
    return HeldOut(
        len(actual),
        finite_interval(rho, weighted_spearman(predicted, actual, weights), level),
        percentile_interval(float(squares.mean()), weights @ squares / len(actual), level),
        1 - float(squares.mean()) / spread if spread > 0 else float("nan"),
    )


def proportions(given: npt.ArrayLike, domains: int | None = None) -> Array:
    """Rows of proportions as float64 that sum to one; refused if negative or off by more than 2 %."""
    r = np.atleast_2d(np.asarray(given, dtype=np.float64))
    if r.ndim != 2 or r.shape[0] < 1 or r.shape[1] < 2 or (domains and r.shape[1] != domains):
        allowed = f"mixtures by {domains} domains" if domains else "mixtures by domains, at least 2 domains"
        raise bad_value("proportions", "mixtures", r.shape, allowed)
    if not np.isfinite(r).all() or (r < 0).any():
        raise InputError("mixtures: proportions must be finite and not negative.")
    sums = r.sum(axis=1)
    if (np.abs(sums - 1) > ROUNDED).any():
        worst = float(sums[np.abs(sums - 1).argmax()])
        raise bad_value("the sum of proportions", "mixtures", worst, "1, within 2 %")
    found: Array = r / sums[:, None]
    return found


def losses_by_name(losses: Losses, rows: int) -> tuple[tuple[str, ...], Array]:
    """Names of losses and their values (N, T); one without a name is called loss."""
    columns = losses if isinstance(losses, Mapping) else {"loss": losses}
    if not columns:
        raise bad_value("losses", "mixtures", {}, "at least one column")
    found = [np.asarray(column, dtype=np.float64) for column in columns.values()]
    for name, column in zip(columns, found):
        if column.shape != (rows,):
            raise bad_value(
                f"losses {name!r}", "mixtures", column.shape, f"one number per mixture, ({rows},)"
            )
        if not np.isfinite(column).all():
            raise InputError(f"mixtures: the loss {name!r} is not finite for some runs; drop them first.")
    return tuple(str(name) for name in columns), np.stack(found, axis=1)
