"""Does a ranking at small scale hold at a larger one: correlations, and how many decisions would come out the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.cautions import Caution
from training.laws.evaluations.correlations import (
    canonical_order,
    finite_interval,
    paired_columns,
    resample_weights,
    weighted_pearson,
    weighted_spearman,
)
from training.laws.form import Array
from training.laws.uncertainty.interval import Interval, level_checked, wilson_interval

FEW_RECIPES = 10

Scores = Mapping[str, float] | npt.ArrayLike


@dataclass(frozen=True)
class RankAgreement:
    """How n recipes rank alike at two scales.

    ``decision_accuracy`` is the share of pairs of recipes that both scales order alike: the chance that the better of
    two at the small scale is the better one at the large scale.
    """

    recipes: int
    pearson: Interval
    spearman: Interval
    decision_accuracy: Interval
    cautions: tuple[Caution, ...] = ()


def rank_agreement(
    small: Scores, large: Scores, *, resamples: int = 2_000, level: float = 0.95, seed: int = 0
) -> RankAgreement:
    """Compare the scores of the same recipes at a small and a large scale; mappings are joined by recipe.

    Intervals are percentile intervals over resampled recipes: what other recipes of this kind would have shown, not
    what other seeds would. Where they show no spread the correlations have no interval (NaN), and the decision accuracy
    has Wilson's for the n / 2 pairs that share no recipe.
    """
    level_checked(level)
    x, y = paired_columns("rank_agreement", 3, **dict(zip(("small", "large"), _joined(small, large))))
    order = canonical_order(x, y)
    x, y = x[order], y[order]
    weights, once = resample_weights(len(x), resamples, seed), np.ones((1, len(x)))
    found = {}
    for name, statistic in (
        ("pearson", weighted_pearson),
        ("spearman", weighted_spearman),
        ("decision_accuracy", _decisions),
    ):
        value, samples = float(statistic(x, y, once)[0]), statistic(x, y, weights)
        found[name] = finite_interval(value, samples, level)
        if np.isfinite(value) and not np.nanmax(samples) - np.nanmin(samples) > 1e-9:
            certain = name == "decision_accuracy"
            none = Interval(value, float("nan"), float("nan"), level)
            found[name] = wilson_interval(value, len(x) // 2, level) if certain else none
    return RankAgreement(len(x), **found, cautions=_cautions(len(x), found["decision_accuracy"]))


def decision_accuracy(small: npt.ArrayLike, large: npt.ArrayLike) -> float:
    """Share of pairs ordered alike at both scales (Heineman et al. 2025), in [0, 1].

    A pair that ties at the large scale has no right order and is left out; one that ties at the small scale alone is
    decided by a coin and counts half. (The authors' code counts ties by the order in which models happen to stand.)
    NaN where all tie at the large scale.
    """
    x, y = paired_columns("decision_accuracy", 2, small=small, large=large)
    return float(_decisions(x, y, np.ones((1, len(x))))[0])


def _decisions(x: Array, y: Array, weights_BN: Array) -> Array:
    """Decision accuracy of every resample, (B,): pairs of different recipes, weighted by both."""
    order_large = np.sign(y[:, None] - y[None, :])
    right = (np.sign(x[:, None] - x[None, :]) * order_large + 1) / 2 * np.abs(order_large)
    total = ((weights_BN @ np.abs(order_large)) * weights_BN).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Array = ((weights_BN @ right) * weights_BN).sum(axis=1) / total
    return found


def _joined(small: Scores, large: Scores) -> tuple[npt.ArrayLike, npt.ArrayLike]:
    if isinstance(small, Mapping) and isinstance(large, Mapping):
        shared = sorted(small.keys() & large.keys())
        return [small[name] for name in shared], [large[name] for name in shared]
    if isinstance(small, Mapping) or isinstance(large, Mapping):
        raise InputError("rank_agreement: both scales must be mappings by recipe, or both plain columns.")
    return small, large


def _cautions(recipes: int, accuracy: Interval) -> tuple[Caution, ...]:
    found = []
    if recipes < FEW_RECIPES:
        found.append(
            Caution(
                "few_runs", f"{recipes} recipes; with fewer than {FEW_RECIPES} a ranking is hardly tested."
            )
        )
    if not accuracy.low > 0.5:
        none = "no two recipes differ at the large scale, so no decision can be right or wrong."
        coin = "the interval of the decision accuracy includes one half: no better than a coin."
        found.append(Caution("unrelated", coin if np.isfinite(accuracy.value) else none))
    return tuple(found)
