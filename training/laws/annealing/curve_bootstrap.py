"""Uncertainty of laws of loss curves: neighbouring records share their noise, so curves or blocks are resampled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.annealing.loss_curves import DECAYS, CurveLaw, fit_curves, law_of_points
from training.laws.annealing.schedules import Schedule
from training.laws.cautions import Caution
from training.laws.fit import predictions
from training.laws.form import Array
from training.laws.uncertainty.bootstrap import Bootstrap, bootstrap
from training.laws.uncertainty.delta_method import UNKNOWN, standard_error
from training.laws.uncertainty.interval import Interval, level_checked

FEWEST_CURVES = 5
"""From so many curves on whole curves are resampled."""
FEWEST_TO_LEAVE_OUT = 3
FEWEST_BLOCKS = 4
"""A curve is cut into at least so many blocks, however long its noise lasts."""


DRAWS = 25
"""Draws of the misfit for every refit."""


@dataclass(frozen=True)
class CurveBootstrap:
    """B refits of a law of loss curves. ``block`` is the number of records resampled together, None for whole curves.

    ``misfit`` is the root mean squared ln predicted - ln actual on curves left out of the fit; NaN with fewer than 3.
    """

    law: CurveLaw
    drawn: Bootstrap = field(repr=False)
    block: int | None
    misfit: float

    def interval(self, parameter: str, level: float = 0.95) -> Interval:
        """Interval of one parameter."""
        return self.drawn.interval(parameter, level)

    def predict(
        self,
        schedule: Schedule,
        steps: npt.ArrayLike | None = None,
        N: float | None = None,
        *,
        level: float = 0.95,
        new: bool = True,
    ) -> tuple[Array, Array, Array]:
        """Predicted losses (n,) and the ends of their intervals: of a ``new`` curve, or of the law had it no misfit.

        0 and infinity where no record says anything: another size by a law of curves of one.
        """
        level_checked(level)
        samples = self.samples(schedule, steps, N)
        if new:
            samples = (samples[None] * self._misfits(0)[:, :, None]).reshape(-1, samples.shape[1])
        low, high = np.quantile(samples, [(1 - level) / 2, (1 + level) / 2], axis=0)
        read = self._reader(schedule, steps, N)
        known = standard_error(self.drawn.fitted, read) <= UNKNOWN
        return self.law.predict(schedule, steps, N), np.where(known, low, 0), np.where(known, high, np.inf)

    def samples(
        self, schedule: Schedule, steps: npt.ArrayLike | None = None, N: float | None = None
    ) -> Array:
        """What each refit predicts, (B, n)."""
        return np.exp(self._reader(schedule, steps, N)(self.drawn.theta_BP))

    def _reader(
        self, schedule: Schedule, steps: npt.ArrayLike | None, N: float | None
    ) -> Callable[[Array], Array]:
        """What parameters as fitted (K, P) predict, ln (K, n)."""
        at = [len(schedule) - 1] if steps is None else steps
        form, inputs = law_of_points(self.law.law, self.law.decay, [(schedule, at, N)])
        there = replace(self.drawn.fitted, form=form)
        return lambda theta_KP: predictions(there, theta_KP, inputs)

    def final_losses(self, schedules: Sequence[Schedule], N: float | None = None) -> Array:
        """Draws (D, schedules) of the last losses of new curves: refits are shared, misfits independent."""
        columns = [self.samples(s, None, N)[:, 0] * self._misfits(k) for k, s in enumerate(schedules)]
        return np.stack([column.ravel() for column in columns], axis=1)

    def _misfits(self, stream: int) -> Array:
        """Factors (DRAWS, B) of new curves over the law: Student's t with a degree of freedom per curve left out."""
        rng, shape = np.random.default_rng([self.drawn.seed, 2, stream]), (DRAWS, len(self.drawn.theta_BP))
        if np.isfinite(self.misfit):
            off = self.misfit * rng.standard_t(len(self.law.curves), shape)
        else:
            fitted = self.drawn.fitted
            ln_predicted = predictions(fitted, fitted.theta_P[None], fitted.inputs)[0]
            off = rng.choice(np.log(fitted.y_N) - ln_predicted, shape)
        return np.asarray(np.exp(off))

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Those of the refits, and what so few curves leave open."""
        found, curves = list(self.drawn.cautions), len(self.law.curves)
        if curves < FEWEST_TO_LEAVE_OUT:
            said = f"{curves} curves: none can be left out, so how far the law is off another schedule is not known."
            found.append(Caution("few_runs", said))
        elif curves < FEWEST_CURVES:
            found.append(
                Caution(
                    "few_runs",
                    f"{curves} curves: parameters vary over blocks of {self.block} records within them only, and the "
                    f"misfit of {100 * self.misfit:.2f} % rests on {curves} curves left out in turn.",
                )
            )
        return tuple(found)


def resample_curves(law: CurveLaw, resamples: int = 200, *, starts: int = 2, seed: int = 0) -> CurveBootstrap:
    """Resample curves, or blocks of records where there are fewer than 5 curves, and fit again.

    Blocks are twice the integrated autocorrelation time of the residuals long, pooled over curves, but at most a
    quarter of a curve (Carlstein 1986: blocks do not overlap). lambda of a momentum law stays what it is. Resampling
    tells what the noise of these curves does to the law, not how wrong the law is for another shape, which is most of
    the error (the 25M curves of Luo et al.: 46 to 100 % of held-out records inside such intervals of 95 %). So every
    curve is also left out in turn and predicted from the others, and new curves are given that misfit.
    """
    if law.fitted is None:
        raise InputError("resample_curves: the law was not fitted here, so there is nothing to resample.")
    residuals = np.empty(len(law.fitted.residuals_N))
    residuals[law.fitted.rows_N] = law.fitted.residuals_N
    lengths = [len(curve.steps) for curve in law.curves]
    parts = np.split(residuals, np.cumsum(lengths)[:-1])
    block = None if len(parts) >= FEWEST_CURVES else block_length(parts)
    groups = []
    for place, length in enumerate(lengths):
        of = np.zeros(length, dtype=np.int64) if block is None else np.arange(length) // block
        groups.append(place * (len(residuals) + 1) + of)
    drawn = bootstrap(law.fitted, resamples, groups=np.concatenate(groups), starts=starts, seed=seed)
    return CurveBootstrap(law, drawn, block, misfit(law))


def misfit(law: CurveLaw) -> float:
    """Root mean squared ln predicted - ln actual of curves left out in turn, which count alike; NaN below 3 curves."""
    if law.fitted is None or len(law.curves) < FEWEST_TO_LEAVE_OUT:
        return float("nan")
    squares = []
    for k, left_out in enumerate(law.curves):
        rest = fit_curves(
            [*law.curves[:k], *law.curves[k + 1 :]],
            law.law,
            objective=law.fitted.minimised.name,
            delta=law.fitted.minimised.delta,
            decay=list(law.objectives) or DECAYS,
            starts=len(law.fitted.starts_S),
        )
        predicted = rest.predict(left_out.schedule, left_out.steps, left_out.N)
        squares.append(float(np.mean(np.log(predicted / left_out.losses) ** 2)))
    return float(np.sqrt(np.mean(squares)))


def block_length(residuals: list[Array]) -> int:
    """Twice the integrated autocorrelation time 1 + 2 sum rho_k of the residuals of several curves, rounded up.

    Autocorrelations are pooled over curves around zero (a curve that lies above the law throughout is correlated as a
    whole), and summed up to the first that is not positive. At most a quarter of the longest curve.
    """
    longest = max(len(part) for part in residuals)
    power = sum(float(part @ part) for part in residuals)
    time = 1.0
    for lag in range(1, longest):
        rho = sum(float(part[lag:] @ part[:-lag]) for part in residuals if len(part) > lag)
        if power <= 0 or rho <= 0:
            break
        time += 2 * rho / power
    return int(max(1, min(np.ceil(2 * time), longest // FEWEST_BLOCKS)))
