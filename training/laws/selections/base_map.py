"""Loss to loss between base and selection on one validation set: L_sel - E_sel = K (L_base - E_base)^kappa."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scoring.errors import InputError
from training.laws.form import Array
from training.laws.loss_to_loss.loss_map import LossMap, map_losses
from training.laws.selections.learning_curves import LearningCurve
from training.laws.uncertainty.interval import Interval, percentile_interval

FLOORS = ("E", "e")
"""How forms call the loss that no scale removes."""
FEWEST = 4


@dataclass(frozen=True)
class BaseMap:
    """The map with intervals of kappa and K, B samples each; kappa = K = 1 and equal floors: no difference.

    kappa below 1: what the base loses over its floor the selection loses more slowly, and the other way round.
    """

    loss_map: LossMap
    kappa: Interval
    K: Interval
    kappa_B: Array = field(repr=False)
    K_B: Array = field(repr=False)


def base_map(base: LearningCurve, selection: LearningCurve, level: float = 0.95) -> BaseMap | None:
    """The test-to-test map of Brandfonbrener et al. 2024 (section 3), floors from the curves' own laws.

    Pairs are settings that both have, runs of one setting averaged. None with fewer than 4 pairs, for laws without a
    floor parameter, or where a loss lies below its floor; resamples in which one does count as beyond both ends.
    """
    curves = (base, selection)
    floors = [name for curve in curves for name in FLOORS if name in curve.fitted.form.names]
    if len(floors) < len(curves):
        return None
    shared = np.intersect1d(base.settings_N, selection.settings_N)
    if len(shared) < FEWEST:
        return None
    members = [(curve.settings_N == shared[:, None]).astype(np.float64) for curve in curves]
    members = [each / each.sum(1, keepdims=True) for each in members]
    x_P, y_P = (each @ curve.losses_N for each, curve in zip(members, curves))
    x_BP, y_BP = (curve.losses_BN @ each.T for each, curve in zip(members, curves))
    E0, E1 = (curve.fitted.parameters[name] for curve, name in zip(curves, floors))
    try:
        found = map_losses(x_P, y_P, E0, E1)
    except InputError:
        return None
    E0_B, E1_B = (curve.drawn.known_samples(name) for curve, name in zip(curves, floors))
    kappa_B, ln_K_B = _lines(x_BP - E0_B[:, None], y_BP - E1_B[:, None])
    return BaseMap(
        found,
        percentile_interval(found.kappa, kappa_B, level),
        percentile_interval(found.K, np.exp(ln_K_B), level),
        kappa_B,
        np.exp(ln_K_B),
    )


def _lines(x_BP: Array, y_BP: Array) -> tuple[Array, Array]:
    """Slope and intercept of ln y on ln x by least squares in every resample; NaN where a loss is below its floor."""
    bad = ((x_BP <= 0) | (y_BP <= 0)).any(axis=1, keepdims=True)
    x, y = (np.log(np.where(bad, np.nan, each)) for each in (x_BP, y_BP))
    dx, dy = (each - each.mean(1, keepdims=True) for each in (x, y))
    with np.errstate(divide="ignore", invalid="ignore"):  # pairs of one loss have no slope
        slope = (dx * dy).sum(1) / (dx * dx).sum(1)
    return slope, y.mean(1) - slope * x.mean(1)
