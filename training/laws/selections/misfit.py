"""Lack of fit: a law that misses the means of its settings by more than their single runs explain."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.laws.cautions import Caution
from training.laws.fit import Fit
from training.laws.form import Array

CHANCE = 0.05


@dataclass(frozen=True)
class Misfit:
    """The F test for lack of fit: ``chance`` of so large a misfit if the law were right.

    ``means_S`` are the mean residuals of the S settings (actual - predicted, as the objective measures them), widened
    by 1 / sqrt(1 - H) for what the fit took of them and to Student's quantile with S - P degrees of freedom;
    ``within_N`` the residuals about them, widened likewise with N - S. ``place_N`` is the setting of every run.
    """

    chance: float
    means_S: Array = field(repr=False)
    within_N: Array = field(repr=False)
    place_N: npt.NDArray[np.int64] = field(repr=False)

    @property
    def caution(self) -> Caution:
        text = (
            "the law misses the means of its scales by more than runs of one scale differ, so it has not the right "
            "shape; intervals allow for that, but compare runs of one scale directly."
        )
        return Caution("misfit", text)

    def draws(self, resamples: int, seed: list[int]) -> Array:
        """Misfits of B resamples, (B, N): every setting is off by what one of them is, up or down."""
        rng = np.random.default_rng(seed)
        shape = (resamples, len(self.means_S))
        drawn = rng.choice(self.means_S, shape) * rng.choice([-1.0, 1.0], shape)
        return np.asarray(drawn[:, self.place_N])


def misfit_of(fitted: Fit, settings_N: npt.NDArray[np.str_]) -> Misfit | None:
    """The misfit if it is significant at 5 %, else None; None as well where nothing can test it.

    F = (sum S_k m_k^2 / (S - P)) / (sum of squares within settings / (N - S)) (Draper and Smith 1998, section 2.1):
    needs more settings than parameters and some setting of several runs.
    """
    from scipy.special import fdtrc, ndtri, stdtrit

    _, place, count = np.unique(settings_N, return_inverse=True, return_counts=True)
    runs, scales, size = len(place), len(count), len(fitted.form.free)
    if scales <= size or runs <= scales:
        return None
    residuals = -fitted.residuals_N
    means = np.bincount(place, residuals) / count
    within = residuals - means[place]
    pure = float((within**2).sum()) / (runs - scales)
    lack = float((count * means**2).sum()) / (scales - size)
    chance = float(fdtrc(scales - size, runs - scales, lack / pure)) if pure > 0 else float(lack == 0)
    if chance >= CHANCE:
        return None
    jacobian = fitted.problem.jacobian(fitted.theta_P)
    mean_jacobian = np.stack([np.bincount(place, column) / count for column in jacobian.T], 1)
    q, _ = np.linalg.qr(mean_jacobian * np.sqrt(count)[:, None])
    left = np.maximum(1 - (q * q).sum(1), 1e-3)
    t = [float(stdtrit(freedom, 0.975) / ndtri(0.975)) for freedom in (scales - size, runs - scales)]
    widened = within * t[1] * np.sqrt(runs / (runs - scales))
    return Misfit(chance, t[0] * means / np.sqrt(left), widened, place)
