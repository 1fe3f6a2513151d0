"""Loss-to-loss prediction (Brandfonbrener et al. 2024): y - E1 = K (x - E0)^kappa for two losses x and y."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.cautions import Caution
from training.laws.fit import Fit, fit
from training.laws.form import Array
from training.laws.forms.kaplan import kaplan_offset
from training.laws.forms.power import power
from training.laws.forms.shifted_power import shifted_power
from training.laws.loss_to_loss.pairing import Series, floor, pair
from training.laws.run_table import RunTable


@dataclass(frozen=True)
class LossMap:
    """y = K (x - E0)^kappa + E1, from P pairs. ``fitted`` is the law between what lies above the floors, or of y."""

    K: float
    kappa: float
    E0: float
    E1: float
    pairs: int
    r2: float
    fitted: Fit

    def predict(self, x: npt.ArrayLike) -> Array:
        """y at x; NaN where x lies below its floor."""
        above = np.asarray(x, dtype=np.float64) - self.E0
        with np.errstate(invalid="ignore"):
            found: Array = self.K * above**self.kappa + self.E1
        return found

    @property
    def cautions(self) -> tuple[Caution, ...]:
        return self.fitted.cautions


def map_losses(x: npt.ArrayLike, y: npt.ArrayLike, E0: float, E1: float | None = None) -> LossMap:
    """The map between paired losses with their floors given, or with that of y fitted.

    With both floors: least squares of ln(y - E1) on ln(x - E0); losses at or below their floor are an error. Without
    E1, for few runs: least squares on y with K, kappa >= 0 and 0 <= E1 <= min y.
    """
    source, target = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if source.shape != target.shape or source.ndim != 1 or len(source) < 2:
        raise InputError(f"map_losses: at least 2 pairs are needed, got {source.shape} and {target.shape}.")
    for name, column, level in (("x", source, E0), ("y", target, E1 or 0.0)):
        if not (column > level).all():
            raise InputError(
                f"map_losses: {int((column <= level).sum())} of {name} lie at or below the floor {level:.4g}."
            )
    if E1 is None:
        share = target.min() / target.mean()
        form = shifted_power().frozen(E0=E0).bounded(E1=(0.0, float(share)))
        found = fit(form, {"x": source}, target, objective="square")
        p = found.parameters
        K, kappa, E1 = p["K"], p["kappa"], p["E1"]
    else:
        found = fit(power(), {"x": source - E0}, target - E1, objective="log_square")
        K, kappa = found.parameters["beta"], found.parameters["c"]
    predicted = K * (source - E0) ** kappa + E1
    spread = float(((target - target.mean()) ** 2).sum())
    r2 = 1 - float(((predicted - target) ** 2).sum()) / spread if spread else float("nan")
    return LossMap(K, kappa, E0, E1, len(source), r2, found)


def relate(
    table: RunTable,
    source: Series,
    target: Series,
    by: Sequence[str] = ("N", "D"),
    *,
    fit_floor: bool = False,
) -> LossMap:
    """The map from one series to another: runs paired by ``by``, floors from the laws of each series by itself.

    ``fit_floor`` fits the target's floor with the map instead, for a target of few runs, of which no law can be had.
    """
    x, y, _ = pair(table, source, target, by)
    return map_losses(x, y, floor(table, source), None if fit_floor else floor(table, target))


def translate(parameters: Mapping[str, float], loss_map: LossMap) -> dict[str, float]:
    """The law of the target from that of the source, both Kaplan with offset: no run of the target's law is needed.

    A K^(1/(kappa alpha)), B K^(1/(kappa beta)), kappa alpha, kappa beta and E1: the compute-optimal N stays the same.
    """
    missing = [name for name in kaplan_offset().names if name not in parameters]
    if missing:
        raise InputError(f"translate: a Kaplan law with offset is needed, {missing[0]} is missing.")
    alpha, beta = loss_map.kappa * parameters["alpha"], loss_map.kappa * parameters["beta"]
    return {
        "A": parameters["A"] * loss_map.K ** (1 / alpha),
        "B": parameters["B"] * loss_map.K ** (1 / beta),
        "E": loss_map.E1,
        "alpha": alpha,
        "beta": beta,
    }
