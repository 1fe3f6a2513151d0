"""Critical batch size: from how many examples per step on larger batches no longer save steps in proportion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.evaluations.correlations import paired_columns
from training.laws.fit import Fit, fit
from training.laws.forms.power import power_offset
from training.laws.isoflop import PowerExponent, power_exponent
from training.laws.uncertainty.delta_method import delta_interval
from training.laws.uncertainty.interval import Interval, level_checked


@dataclass(frozen=True)
class CriticalBatch:
    """Steps to a target, S(B) = S_min + E_min / B, and the batch sizes that follow.

    ``batch`` is Zhang's: steps exceed linear scaling from ``optimal`` by the share ``overhead``. ``balanced`` is
    McCandlish's E_min / S_min: twice the least steps, twice the least examples. Both are infinite where larger batches
    saved steps in proportion throughout (S_min = 0), and as small as can be where they saved none (E_min = 0); neither
    then has an interval.
    """

    steps_min: float
    examples_min: float
    batch: Interval
    balanced: Interval
    optimal: float
    overhead: float
    fitted: Fit
    cautions: tuple[Caution, ...]

    def steps(self, batch_size: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Steps to the target at a batch size."""
        found: npt.NDArray[np.float64] = self.steps_min + self.examples_min / np.asarray(
            batch_size, dtype=np.float64
        )
        return found


def critical_batch(
    batch_size: npt.ArrayLike,
    steps: npt.ArrayLike,
    *,
    optimal: float = 256.0,
    overhead: float = 0.2,
    level: float = 0.95,
) -> CriticalBatch:
    """The critical batch size from the steps that runs of different batch sizes took to one target loss.

    S(B) = a + b / B by least squares of ln S, a >= 0 (Zhang et al. 2024). From S(B*) = (1 + overhead)
    S(optimal) optimal / B* follows B* = (1 + overhead) optimal + overhead b / a. The same curve is McCandlish et al.
    2018, (S / S_min - 1)(E / E_min - 1) = 1 with E = B S examples, S_min = a and E_min = b, so both
    definitions come from one fit. Intervals by the delta method on the logarithm of the size.
    """
    level_checked(level)
    batches, taken = paired_columns("critical_batch", 3, batch_size=batch_size, steps=steps)
    if not (optimal > 0 and np.isfinite(optimal)):
        raise bad_value("optimal", "critical_batch", optimal, "above 0")
    if not overhead > 0:
        raise bad_value("overhead", "critical_batch", overhead, "above 0")
    if len(np.unique(batches)) < 3:
        raise InputError(
            "critical_batch: at least 3 different batch sizes are needed for a curve of 2 parameters."
        )
    fitted = fit(power_offset().frozen(c=-1.0), {"x": batches}, taken, objective="log_square")
    a, b = fitted.parameters["e"], fitted.parameters["beta"]
    cautions = list(fitted.cautions)
    if not fitted.at_bounds:
        batch = delta_interval(
            fitted, lambda p: (1 + overhead) * optimal + overhead * p["beta"] / p["e"], level
        )
        balanced = delta_interval(fitted, lambda p: p["beta"] / p["e"], level)
    else:
        ratio = b / a if a > 0 else float("inf")
        batch, balanced = (
            Interval(value, float("nan"), float("nan"), level)
            for value in ((1 + overhead) * optimal + overhead * ratio, ratio)
        )
    if not batches.min() <= batch.value <= batches.max():
        cautions.append(
            Caution(
                "extrapolation",
                f"the critical batch size {batch.value:.4g} lies outside those tried, {batches.min():.4g} to "
                f"{batches.max():.4g}.",
            )
        )
    return CriticalBatch(a, b, batch, balanced, float(optimal), float(overhead), fitted, tuple(cautions))


def critical_batch_growth(
    size: npt.ArrayLike, critical: npt.ArrayLike, ln_errors: npt.ArrayLike | None = None, level: float = 0.95
) -> PowerExponent:
    """B* = coefficient x size^exponent over models (or data) of different size: least squares on logarithms.

    ``ln_errors`` are standard errors of ln B*, where they are to weigh.
    """
    return power_exponent(size, critical, ln_errors, level)
