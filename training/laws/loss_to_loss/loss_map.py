"""Loss-to-loss prediction (Brandfonbrener et al. 2024): y - E1 = K (x - E0)^kappa for two losses x and y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.cautions import Caution
from training.laws.fit import Fit, fit
from training.laws.form import Array, Form
from training.laws.forms.power import power
from training.laws.forms.shifted_power import shifted_power
from training.laws.loss_to_loss.pairing import Pairs, Series, Several, pair, series_law
from training.laws.run_table import RunTable


@dataclass(frozen=True)
class LossMap:
    """y = K (x - E0)^kappa + E1, from P pairs. ``fitted`` is the law between what lies above the floors, or of y.

    ``r2`` is the share of the spread of y that it explains. ``joined`` and the laws that gave the floors are known
    where the map was made from a table; ``floor_fitted`` says that E1 came with the map and not from a law.
    """

    K: float
    kappa: float
    E0: float
    E1: float
    r2: float
    x_P: Array = field(repr=False)
    y_P: Array = field(repr=False)
    fitted: Fit = field(repr=False)
    floor_fitted: bool = False
    joined: Pairs | None = field(default=None, repr=False)
    source_law: Fit | None = field(default=None, repr=False)
    target_law: Fit | None = field(default=None, repr=False)

    @property
    def pairs(self) -> int:
        """How many pairs it was fitted to."""
        return len(self.x_P)

    def predict(self, x: npt.ArrayLike) -> Array:
        """y at x; NaN where x lies below its floor."""
        return mapped(x, self.K, self.kappa, self.E0, self.E1)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What speaks against the map, and against the laws whose floors it stands on."""
        found = [Caution(c.code, f"the map: {c.text}") for c in self.fitted.cautions]
        for name, law in (("source", self.source_law), ("target", self.target_law)):
            found += (
                [Caution(c.code, f"the law of the {name}: {c.text}") for c in law.cautions] if law else []
            )
        return tuple(found)


def mapped(
    x: npt.ArrayLike, K: npt.ArrayLike, kappa: npt.ArrayLike, E0: npt.ArrayLike, E1: npt.ArrayLike
) -> Array:
    """K (x - E0)^kappa + E1, broadcasting; NaN where x lies below its floor."""
    above = np.asarray(x, dtype=np.float64) - np.asarray(E0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        found: Array = np.asarray(K) * above ** np.asarray(kappa) + np.asarray(E1)
    return found


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
                f"map_losses: {int((~(column > level)).sum())} of {name} lie at or below the floor {level:.4g}."
            )
    floor_fitted = E1 is None
    if E1 is None:
        share = target.min() / target.mean()
        form = shifted_power().frozen(E0=E0).bounded(E1=(0.0, float(share)))
        found = fit(form, {"x": source}, target, objective="square")
        p = found.parameters
        K, kappa, E1 = p["K"], p["kappa"], p["E1"]
    else:
        found = fit(power(), {"x": source - E0}, target - E1, objective="log_square")
        K, kappa = found.parameters["beta"], found.parameters["c"]
    spread = float(((target - target.mean()) ** 2).sum())
    left = float(((mapped(source, K, kappa, E0, E1) - target) ** 2).sum())
    r2 = 1 - left / spread if spread else float("nan")
    return LossMap(K, kappa, E0, E1, r2, source, target, found, floor_fitted)


def relate(
    table: RunTable,
    source: Series,
    target: Series,
    by: Sequence[str] = ("N", "D"),
    *,
    fit_floor: bool = False,
    form: Form | None = None,
    several: Several = "refuse",
    tolerance: float = 0.0,
) -> LossMap:
    """The map from one series to another: runs paired by ``by``, floors from the laws of each series by itself.

    ``fit_floor`` fits the target's floor with the map instead, for a target of few runs, of which no law can be had.
    ``form`` is the law of a series that gives its floor E (Kaplan with offset); ``several`` and ``tolerance`` go to
    :func:`~training.laws.loss_to_loss.pairing.pair`.
    """
    joined = pair(table, source, target, by, several=several, tolerance=tolerance)
    law = series_law(table, source, form)
    other = None if fit_floor else series_law(table, target, form)
    for series, fitted, losses in ((source, law, joined.x_P), (target, other, joined.y_P)):
        if fitted is not None and not (losses > fitted.parameters["E"]).all():
            doubt = f"; {fitted.cautions[0]}" if fitted.cautions else "."
            raise InputError(
                f"loss_to_loss: {int((losses <= fitted.parameters['E']).sum())} of {len(losses)} losses of {series} "
                f"lie at or below the floor {fitted.parameters['E']:.4g} of its law{doubt}"
            )
    found = map_losses(
        joined.x_P, joined.y_P, law.parameters["E"], None if other is None else other.parameters["E"]
    )
    return replace(found, joined=joined, source_law=law, target_law=other)
