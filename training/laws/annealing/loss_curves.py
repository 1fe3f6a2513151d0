"""Laws of whole loss curves under learning-rate schedules: fitted on a few runs, for the curve of another schedule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.annealing.schedules import Schedule
from training.laws.cautions import Caution
from training.laws.fit import Fit, fit
from training.laws.fitting.objective import Name
from training.laws.form import Array, Form
from training.laws.forms.annealing import momentum, momentum_size, multi_power, point_inputs

Law = Literal["multi_power", "momentum", "momentum_size"]
LAWS: tuple[Law, ...] = ("multi_power", "momentum", "momentum_size")

DECAYS = (0.99, 0.993, 0.995, 0.997, 0.998, 0.999)
"""Decay factors lambda that a momentum law tries, the range of Tissue et al. 2024 (section 3.3)."""

STARTS = 16

BEYOND = 1.01
"""A schedule reaches beyond the curves fitted if it exceeds theirs by this factor."""
LEAST_S2 = 1e-6
"""C of the momentum laws is searched in units of the loss per S2; where S2 is smaller the search does not reach it."""


@dataclass(frozen=True)
class LossCurve:
    """Losses (n,) of one run at ``steps_n`` of its schedule; ``N`` parameters where the law reads the model size."""

    schedule: Schedule
    steps_n: npt.ArrayLike
    losses_n: npt.ArrayLike
    name: str = ""
    N: float | None = None

    def __post_init__(self) -> None:
        steps, losses = self.schedule.at(self.steps_n), np.array(self.losses_n, dtype=np.float64)
        if losses.shape != steps.shape or len(steps) == 0:
            raise bad_value("losses", f"loss curve {self.name}", losses.shape, f"one per step, {steps.shape}")
        if not np.isfinite(losses).all() or not (losses > 0).all():
            raise InputError(f"loss curve {self.name}: losses must be finite and above 0; drop others first.")
        order = np.argsort(steps)
        if (np.diff(steps[order]) == 0).any():
            raise InputError(f"loss curve {self.name}: every step may occur once only.")
        object.__setattr__(self, "steps_n", steps[order])
        object.__setattr__(self, "losses_n", losses[order])

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        return np.asarray(self.steps_n, dtype=np.int64)

    @property
    def losses(self) -> Array:
        return np.asarray(self.losses_n, dtype=np.float64)

    def thinned(self, stride: int) -> LossCurve:
        """Every ``stride``-th record, the last one among them."""
        if stride < 1:
            raise bad_value("stride", "loss curve", stride, "at least 1")
        return replace(self, steps_n=self.steps[::-stride], losses_n=self.losses[::-stride])


@dataclass(frozen=True)
class CurveErrors:
    """How far predictions of a curve are off, as Luo et al. 2025 (section 4.1) report it.

    ``mean_relative`` is their PredE, the mean of |predicted - actual| / actual, ``worst_relative`` their WorstE. ``r2``
    is NaN for one record or equal losses.
    """

    r2: float
    mae: float
    rmse: float
    mean_relative: float
    worst_relative: float

    @classmethod
    def of(cls, predicted: npt.ArrayLike, actual: npt.ArrayLike) -> CurveErrors:
        y = np.asarray(actual, dtype=np.float64)
        off = np.abs(np.asarray(predicted, dtype=np.float64) - y)
        spread = float(((y - y.mean()) ** 2).sum())
        r2 = 1 - float((off**2).sum()) / spread if spread > 0 else float("nan")
        rmse = float(np.sqrt(np.mean(off**2)))
        return cls(r2, float(off.mean()), rmse, float((off / y).mean()), float((off / y).max()))

    @classmethod
    def mean(cls, errors: Sequence[CurveErrors]) -> CurveErrors:
        """Each number's mean over curves (also of the worst), as published."""
        table = np.array([[e.r2, e.mae, e.rmse, e.mean_relative, e.worst_relative] for e in errors])
        return cls(*table.mean(0).tolist())


@dataclass(frozen=True)
class CurveLaw:
    """A law with parameters in natural units: of :func:`fit_curves`, or published: ``CurveLaw("multi_power", {...})``.

    ``decay`` is lambda of a momentum law and ``objectives`` what every lambda tried reached. ``curves`` are those
    fitted, in an order of their own.
    """

    law: Law
    parameters: Mapping[str, float]
    decay: float | None = None
    fitted: Fit | None = field(default=None, repr=False)
    curves: tuple[LossCurve, ...] = field(default=(), repr=False)
    objectives: Mapping[float, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.law not in LAWS:
            raise unknown_name("law", "loss curves", self.law, LAWS)
        if self.law != "multi_power" and self.decay is None:
            raise bad_value("decay", f"the law {self.law}", None, "the decay factor lambda")

    def predict(
        self, schedule: Schedule, steps: npt.ArrayLike | None = None, N: float | None = None
    ) -> Array:
        """Losses (n,) at steps of a schedule; without ``steps`` at its last one."""
        at = [len(schedule) - 1] if steps is None else steps
        form, inputs = law_of_points(self.law, self.decay, [(schedule, at, N)])
        return np.exp(np.ravel(form.ln_prediction(self.parameters, inputs)))

    def errors(self, curve: LossCurve) -> CurveErrors:
        """How far the law is off a curve, best one that it was not fitted on."""
        return CurveErrors.of(self.predict(curve.schedule, curve.steps, curve.N), curve.losses)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What the fit found, and a decay factor at an end of those tried."""
        found = list(self.fitted.cautions) if self.fitted else []
        if len(self.objectives) > 1 and self.decay in (min(self.objectives), max(self.objectives)):
            found.append(
                Caution("at_bound", f"lambda = {self.decay} is an end of the decay factors tried.", "decay")
            )
        return tuple(found)

    def reaches_beyond(self, schedule: Schedule) -> tuple[Caution, ...]:
        """In what a schedule lies outside those of the curves fitted: its sum of rates, its rates."""
        if not self.curves:
            return ()
        found, name = [], schedule.name or "the schedule"
        furthest = max(float(c.schedule.S1_T[c.steps[-1]]) for c in self.curves)
        factor = float(schedule.S1_T[-1]) / furthest
        if factor > BEYOND:
            said = f"{name}: its sum of rates is {factor:.2f} times the largest fitted."
            found.append(Caution("extrapolation", said))
        for side, more, of in (("highest", 1, np.max), ("lowest", -1, np.min)):
            seen = [float(of(c.schedule.lr_T[c.schedule.warmup : c.steps[-1] + 1])) for c in self.curves]
            own = float(of(schedule.lr_T[schedule.warmup :]))
            known = max(seen) if more > 0 else min(seen)
            if more * (own - known) > (BEYOND - 1) * known:
                said = f"{name}: its {side} rate, {own:.3g}, is beyond those fitted, {known:.3g}."
                found.append(Caution("extrapolation", said))
        return tuple(found)


def law_of_points(
    law: Law, decay: float | None, points: Sequence[tuple[Schedule, npt.ArrayLike, float | None]]
) -> tuple[Form, dict[str, Array]]:
    """The form of a law and its inputs at points: schedules, each with its steps and the model size."""
    bare = [(schedule, steps) for schedule, steps, _ in points]
    inputs = point_inputs(bare)
    if law == "multi_power":
        return multi_power(bare), inputs
    found = {
        "S1": inputs["S1"],
        "S2": np.concatenate([schedule.S2(decay or 0.0)[schedule.at(steps)] for schedule, steps in bare]),
    }
    if law == "momentum":
        return momentum(), found
    if any(N is None for _, _, N in points):
        raise InputError("momentum_size: every curve and prediction needs N, the number of parameters.")
    sizes = [np.full(len(schedule.at(steps)), N, dtype=np.float64) for schedule, steps, N in points]
    return momentum_size(), found | {"N": np.concatenate(sizes)}


def fit_curves(
    curves: Sequence[LossCurve],
    law: Law = "multi_power",
    *,
    objective: Name = "huber",
    delta: float = 1e-3,
    decay: float | Sequence[float] = DECAYS,
    stride: int = 1,
    starts: int = STARTS,
    seed: int = 0,
) -> CurveLaw:
    """Fit a law to all records of all curves together; :func:`~training.laws.fit.fit` says what objectives are.

    ``decay`` is lambda of the momentum laws: one value, or those among which the objective chooses. ``stride`` thins
    the records, which changes little where neighbours say the same. Curves of one shape do not tell what lowering the
    rate does: Luo et al. use a constant, a cosine and a two-stage schedule.
    """
    if law not in LAWS:
        raise unknown_name("law", "fit_curves", law, LAWS)
    if not curves:
        raise bad_value("curves", "fit_curves", 0, "at least one")
    thin = [curve.thinned(stride) for curve in curves]
    thin.sort(key=lambda c: (c.steps.tobytes(), c.schedule.lr_T.tobytes(), c.losses.tobytes(), c.N or 0.0))
    points = [(curve.schedule, curve.steps, curve.N) for curve in thin]
    losses = np.concatenate([curve.losses for curve in thin])
    decays: list[float | None] = [None]
    if law != "multi_power":
        decays = [float(value) for value in np.unique(np.asarray(decay, dtype=np.float64))]
    found: dict[float | None, Fit] = {}
    for value in decays:
        form, inputs = law_of_points(law, value, points)
        if "S2" in inputs and 0 < (reached := float(inputs["S2"].max())) < LEAST_S2:
            raise InputError(
                f"fit_curves: S2 reaches only {reached:.3g}, too little for the law {law} to be found; give all rates "
                "in a larger unit."
            )
        found[value] = fit(form, inputs, losses, objective=objective, delta=delta, starts=starts, seed=seed)
    best = min(found, key=lambda value: found[value].objective)
    objectives = {value: fitted.objective for value, fitted in found.items() if value is not None}
    return CurveLaw(law, found[best].parameters, best, found[best], tuple(thin), objectives)
