"""The noise of single runs: how far runs of one setting lie apart that differ in their seed alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.laws.selections.learning_curves import LearningCurve


@dataclass(frozen=True)
class SeedNoise:
    """Standard deviation of ln loss, which is the relative one; ``freedom`` are the degrees it was estimated with.

    From ``seeds``, runs of one selection at equal settings, or, where no setting was run twice, from the ``residuals``
    of the laws, which hold their misfit as well.
    """

    sd: float
    freedom: int
    source: Literal["seeds", "residuals"]


def seed_noise(curves: Sequence[LearningCurve]) -> SeedNoise:
    """The noise pooled over the settings of these curves; NaN where nothing is left to estimate it from."""
    square, freedom = 0.0, 0
    for curve in curves:
        ln_losses = np.log(curve.losses_N)
        for setting in np.unique(curve.settings_N):
            own = ln_losses[curve.settings_N == setting]
            square += float(((own - own.mean()) ** 2).sum())
            freedom += len(own) - 1
    if freedom:
        return SeedNoise(float(np.sqrt(square / freedom)), freedom, "seeds")
    for curve in curves:
        fitted = curve.fitted
        left = np.log(fitted.y_N) - np.log(fitted.predict(fitted.inputs))
        square += float((left**2).sum())
        freedom += max(0, len(left) - len(fitted.form.free))
    return SeedNoise(float(np.sqrt(square / freedom)) if freedom else float("nan"), freedom, "residuals")
