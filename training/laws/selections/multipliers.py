"""What a selection multiplies: the data, compute or model size that the base would need for the same loss.

With the base's law L_base and a selection's loss L at the scale (N, D):

- data: the factor m with L_base(N, m D) = L, at equal N (D_base(L) / D);
- compute: L_base at m times the compute C = 6 N D and the same tokens per parameter (C_base(L) / C);
- size: L_base(m N, D) = L; m N is the effective model size (Sachdeva et al. 2024, revised version);
- a law in one scale alone (rows, say): the factor on that scale.

Above 1 the selection is worth more than the base. Where L lies below the base's floor no amount of base data reaches it
and the multiplier is infinite, "beyond the base law"; where the base would have to be larger (or smaller) than it was
measured, the number is an extrapolation of the base law and says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.laws.cautions import Caution
from training.laws.form import Array
from training.laws.inputs import complete
from training.laws.selections.equal_loss import FARTHEST, ln_factors, powers, scaled
from training.laws.selections.learning_curves import LearningCurve
from training.laws.uncertainty.delta_method import has_spare_runs
from training.laws.uncertainty.interval import Interval, percentile_interval

Reach = Literal["measured", "extrapolated", "beyond the base law"]


@dataclass(frozen=True)
class Multiplier:
    """The factor on the scale ``way`` of the base at the scale ``at``, from the laws of both; B samples."""

    way: str
    at: Mapping[str, float]
    interval: Interval
    reach: Reach
    samples_B: Array = field(repr=False)

    @property
    def value(self) -> float:
        return self.interval.value

    @property
    def amount(self) -> Interval:
        """The scale that the base would need: the effective model size for the way N."""
        here = self.at[self.way]
        found = self.interval
        return Interval(found.value * here, found.low * here, found.high * here, found.level)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Whether the base was measured where it has the loss of the selection."""
        if self.reach == "measured":
            return ()
        said = (
            "no amount reaches this loss"
            if self.reach == "beyond the base law"
            else "its law is extrapolated"
        )
        text = (
            f"the base was not measured where it would have the loss of the selection ({self.way}): {said}."
        )
        return (Caution("extrapolation", text),)


@dataclass(frozen=True)
class RunMultipliers:
    """The factor of each of R runs of a selection, from its own loss and the base's law, and their (lower) median.

    Ends of the intervals hold the uncertainty of the base's law and the noise of the run (residuals of the selection's
    law), paired; runs are in the order of the selection's curve. ``median`` is over runs.
    """

    way: str
    values_R: Array
    low_R: Array
    high_R: Array
    reach_R: npt.NDArray[np.str_]
    median: Interval


def multiplier(
    base: LearningCurve,
    selection: LearningCurve,
    at: Mapping[str, float],
    way: str | None = None,
    level: float = 0.95,
) -> Multiplier:
    """The multiplier at one scale, from both laws; paired resamples of both give the interval."""
    chosen = way or base.axis
    power = powers(base.fitted.form, chosen, base.axis)
    inputs = {name: np.atleast_1d(column) for name, column in base.inputs(at).items()}
    own, own_B = selection.samples(at)
    theta = base.fitted.theta_P
    value = ln_factors(base.fitted, theta[None], inputs, np.log(own)[None], power)[0]
    samples_B = _samples(base, inputs, value, np.log(own_B), power)[:, 0]
    [reach] = _reach(base, inputs, value, power)
    return Multiplier(
        chosen, described(at), _interval(float(value[0]), samples_B, level), reach, np.exp(samples_B)
    )


def run_multipliers(
    base: LearningCurve, selection: LearningCurve, way: str | None = None, level: float = 0.95
) -> RunMultipliers:
    """The multiplier of every run of a selection."""
    chosen = way or base.axis
    power = powers(base.fitted.form, chosen, base.axis)
    own = selection.fitted
    inputs = base.inputs({**own.inputs, base.axis: selection.scales_N})
    ln_y = np.log(own.y_N)
    value_R = ln_factors(base.fitted, base.fitted.theta_P[None], inputs, ln_y[None], power)[0]
    # a resampled loss is one such run might have had; the run's own stays in the middle of its interval
    noisy = ln_y + np.log(selection.losses_BN) - np.log(own.predict(own.inputs))
    if not has_spare_runs(own):  # nothing is known of their noise
        noisy = np.full_like(noisy, np.nan)
    noisy_BR = _samples(base, inputs, value_R, noisy, power)
    each = [_interval(float(v), column, level) for v, column in zip(value_R, noisy_BR.T)]
    lower = (len(ln_y) - 1) // 2
    medians_B = np.sort(noisy_BR, axis=1)[:, lower]
    middle = float(np.sort(value_R)[lower])
    return RunMultipliers(
        chosen,
        np.exp(value_R),
        np.array([found.low for found in each]),
        np.array([found.high for found in each]),
        np.array(_reach(base, inputs, value_R, power), dtype=np.str_),
        _interval(middle, medians_B, level),
    )


def _samples(
    base: LearningCurve,
    inputs: Mapping[str, Array],
    value_R: Array,
    ln_y_BR: Array,
    power: Mapping[str, float],
) -> Array:
    """ln factors (B, R) of the base's refits; NaN where its runs say nothing of the law where it has the loss."""
    found = ln_factors(base.fitted, base.drawn.theta_BP, inputs, ln_y_BR, power)
    there = np.clip(value_R, -FARTHEST, FARTHEST)  # without such a place, as far as was looked
    return np.where(base.known(scaled(inputs, power, there)), found, np.nan)


def described(at: Mapping[str, float]) -> dict[str, float]:
    """A scale with those of N, D and C that follow from it."""
    found = dict(at)
    for name in ("N", "D", "C"):
        try:
            found.setdefault(name, float(complete(at, (name,))[name]))
        except InputError:
            continue
    return found


def _interval(ln_value: float, ln_samples_B: Array, level: float) -> Interval:
    """Of exp, through its inverse, in which never (infinite) is a plain zero and only NaN lies beyond both ends."""
    with np.errstate(over="ignore"):
        inverse = percentile_interval(float(np.exp(-ln_value)), np.exp(-ln_samples_B), level)
        low, high = (1 / np.float64(end) if end > 0 else np.inf for end in (inverse.high, inverse.low))
    return Interval(float(np.exp(ln_value)), float(low), float(high), level)


def _reach(
    base: LearningCurve, inputs: Mapping[str, Array], value_R: Array, power: Mapping[str, float]
) -> list[Reach]:
    finite = np.isfinite(value_R)
    there = base.measured(scaled(inputs, power, np.where(finite, value_R, 0.0)))
    return [
        "beyond the base law" if not known else ("measured" if near else "extrapolated")
        for known, near in zip(finite, there)
    ]
