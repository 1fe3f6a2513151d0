"""How much to keep for a given budget: the best data alone, repeated, or more of lower quality; and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.fit import Fit, predictions
from training.laws.form import Array
from training.laws.forms.quality_quantity import merged_error
from training.laws.inputs import complete
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.delta_method import natural_samples
from training.laws.uncertainty.interval import level_checked


@dataclass(frozen=True)
class Selection:
    """What a keep fraction leaves: ``unique`` samples, and the bootstrap of a law of runs on them."""

    fraction: float
    unique: float
    law: Bootstrap


@dataclass(frozen=True)
class KeepFractions:
    """Predicted outcomes (lower is better) for K budgets of samples and F keep fractions, ascending.

    ``low_KF`` and ``high_KF`` are percentile intervals of the law itself, without the noise of a new run.
    ``share_KF`` is the share of refits in which a fraction is the best for its budget: the refits of a bootstrap, so it
    holds what the runs leave open and not that the law may be wrong for mixtures or budgets that nobody trained. Where
    the runs say nothing of a fraction (a pool that nobody trained on) its interval is infinite, and with it unknown
    none is the best at that budget in any refit.
    ``beyond_K`` are budgets of more samples than any run saw, or of more passes over the smallest selection.
    """

    budgets_K: Array
    fractions_F: Array
    predicted_KF: Array
    low_KF: Array
    high_KF: Array
    share_KF: Array
    beyond_K: npt.NDArray[np.bool_]
    level: float
    cautions: tuple[Caution, ...] = ()

    @property
    def best_K(self) -> Array:
        """The fraction of the lowest prediction for every budget; NaN where no prediction is finite."""
        known = np.where(np.isfinite(self.predicted_KF), self.predicted_KF, np.inf)
        return np.where(np.isfinite(known).any(1), self.fractions_F[known.argmin(1)], np.nan)

    def plausible(self, k: int) -> Array:
        """Fractions for budget ``k`` that together are best in at least ``level`` of the refits, ascending."""
        order = np.argsort(-self.share_KF[k], kind="stable")
        reached = np.cumsum(self.share_KF[k][order]) >= self.level - 1e-12
        count = int(reached.argmax()) + 1 if reached.any() else len(order)
        return np.sort(self.fractions_F[order[:count]])

    def verdict(self, k: int) -> str:
        """One sentence: the fraction to keep, or between which the runs cannot tell."""
        plausible = self.plausible(k)
        budget = f"{self.budgets_K[k]:.3g} samples" + (", beyond the runs" if self.beyond_K[k] else "")
        if len(plausible) == 1:
            share = self.share_KF[k][self.fractions_F == plausible[0]][0]
            return f"for {budget}: keep {plausible[0]:.3g}, best in {100 * share:.0f} % of the refits."
        named = ", ".join(f"{fraction:.3g}" for fraction in plausible)
        best = f"the lowest prediction is that of {self.best_K[k]:.3g}"
        return f"for {budget}: cannot tell which of {named} to keep; {best}."


def best_keep_fraction(
    pools: Bootstrap,
    sizes: Sequence[float],
    budgets: npt.ArrayLike,
    *,
    total: float | None = None,
    level: float = 0.95,
) -> KeepFractions:
    """Which of the pools, best first, to merge for each budget of samples seen (Goyal et al. 2024, section 4.3).

    ``pools`` is the bootstrap of ``quality_quantity(pools=P)`` on runs of every pool alone, numbered from the best;
    ``sizes`` (P,) their unique samples, of ``total`` that there are (default: their sum). Keeping f pools means their
    :func:`~training.laws.forms.quality_quantity.merged_error`, which no run was trained on.
    """
    fitted = pools.fitted
    names = [name for name in fitted.form.names if name.startswith("tau")]
    unique = np.cumsum(np.asarray(sizes, dtype=np.float64))
    options = fitted.form.recipe.get("options", {})
    if fitted.form.name != "quality_quantity" or len(names) != len(unique):
        raise InputError(
            f"best_keep_fraction: {len(unique)} sizes need a fit of quality_quantity(pools={len(unique)})."
        )
    if options["repeats"] != "utility":
        raise InputError("best_keep_fraction: merging pools is defined for repeats='utility' alone.")
    whole = float(unique[-1]) if total is None else total
    if not whole >= unique[-1]:
        raise bad_value("total", "best_keep_fraction", total, f"at least the pools together, {unique[-1]:g}")
    budget = _budgets(budgets)
    some = [list(sizes)[: f + 1] for f in range(len(unique))]
    predicted, samples = (
        np.stack([merged_error(p, merged, budget, options["offset"]) for merged in some], -1)
        for p in (fitted.parameters, pools.samples)
    )

    def errors(theta_KP: Array, merged: list[float]) -> Array:
        return np.log(merged_error(natural_samples(fitted, theta_KP), merged, budget, options["offset"]))

    known = np.stack([pools.known(partial(errors, merged=merged)) for merged in some], -1)
    beyond = _beyond([pools], [float(sizes[0])], budget)
    return _compared(budget, unique / whole, predicted, samples, known, level, beyond, fitted.cautions)


def best_selection(
    selections: Sequence[Selection],
    budgets: npt.ArrayLike,
    *,
    N: float | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> KeepFractions:
    """Which selection to train on for each budget of samples (or tokens) seen, D, each by a law of its own.

    The laws take D and epochs = D / unique (``quality_quantity()``), or also a model size ``N``
    (``data_constrained()``), and must be of one outcome. Their refits are independent, so they are paired at random.
    """
    budget, rng = _budgets(budgets), np.random.default_rng(seed)
    kept = sorted(selections, key=lambda selection: selection.fraction)
    if len({selection.fraction for selection in kept}) != len(kept) or len(kept) < 2:
        raise InputError("best_selection: at least 2 selections of different fractions are needed.")
    count = min(len(selection.law.theta_BP) for selection in kept)
    predicted, samples, known = [], [], []
    for selection in kept:
        fitted = selection.law.fitted
        given = {"D": budget, "U": np.full_like(budget, selection.unique)}
        if N is not None:
            given["N"] = np.full_like(budget, N)
        inputs = complete(given, fitted.form.inputs)
        drawn = selection.law.theta_BP[rng.permutation(len(selection.law.theta_BP))[:count]]
        predicted.append(np.exp(predictions(fitted, fitted.theta_P[None], inputs))[0])
        samples.append(np.exp(predictions(fitted, drawn, inputs)))
        known.append(selection.law.known(partial(_ln_law, fitted, inputs)))
    laws = [selection.law for selection in kept]
    cautions = [
        replace(caution, text=f"keep {selection.fraction:.3g}: {caution.text}")
        for selection in kept
        for caution in selection.law.fitted.cautions
    ]
    beyond = _beyond(laws, [selection.unique for selection in kept], budget)
    fractions = np.array([selection.fraction for selection in kept])
    predicted_KF, samples_BKF, known_KF = (np.stack(each, -1) for each in (predicted, samples, known))
    return _compared(budget, fractions, predicted_KF, samples_BKF, known_KF, level, beyond, cautions)


def _ln_law(fitted: Fit, inputs: Mapping[str, Array], theta_KP: Array) -> Array:
    return predictions(fitted, theta_KP, inputs)


def _budgets(budgets: npt.ArrayLike) -> Array:
    found = np.atleast_1d(np.asarray(budgets, dtype=np.float64))
    if found.ndim != 1 or not (np.isfinite(found) & (found > 0)).all():
        raise bad_value("budgets", "best_keep_fraction", found.tolist()[:5], "numbers of samples above 0")
    return found


def _beyond(laws: Sequence[Bootstrap], uniques: Sequence[float], budget_K: Array) -> npt.NDArray[np.bool_]:
    """Budgets (K,) at which some law is asked for more samples, or more passes, than its runs have."""
    found = np.zeros(len(budget_K), dtype=bool)
    for law, unique in zip(laws, uniques):
        runs = law.fitted.inputs
        found |= (budget_K > runs["D"].max()) | (budget_K / unique > max(1.0, runs["epochs"].max()))
    return found


def _compared(
    budget_K: Array,
    fractions_F: Array,
    predicted_KF: Array,
    samples_BKF: Array,
    known_KF: npt.NDArray[np.bool_],
    level: float,
    beyond_K: npt.NDArray[np.bool_],
    cautions: Sequence[Caution],
) -> KeepFractions:
    level_checked(level)
    finite = np.where(np.isfinite(samples_BKF), samples_BKF, np.inf)
    first = finite.argmin(-1)[..., None] == np.arange(len(fractions_F))
    share = (first & np.isfinite(finite).any(-1, keepdims=True)).mean(0)
    share = np.where(known_KF.all(-1, keepdims=True), share, 0.0)
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2], axis=0, method="inverted_cdf")
    low, high = np.where(known_KF, low, -np.inf), np.where(known_KF, high, np.inf)
    unknown = fractions_F[~known_KF.all(0)]
    if len(unknown):
        named = ", ".join(f"{fraction:.3g}" for fraction in unknown)
        cautions = [*cautions, Caution("extrapolation", f"the runs say nothing of keep fractions {named}.")]
    if beyond_K.any():
        said = f"{int(beyond_K.sum())} of {len(beyond_K)} budgets ask for more samples or passes than any run has."
        cautions = [*cautions, Caution("extrapolation", said)]
    return KeepFractions(
        budget_K, fractions_F, predicted_KF, low, high, share, beyond_K, level, tuple(cautions)
    )
