"""What a fit minimises: a sum over runs of how far the prediction is off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from scoring.errors import bad_value, unknown_name
from training.laws.form import Array

Name = Literal["huber", "lad", "log_square", "square"]
NAMES: tuple[Name, ...] = ("huber", "lad", "log_square", "square")
SMOOTHING = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7)
"""Least absolute deviations are reached through Huber losses of these deltas, each started from the last."""


@dataclass(frozen=True)
class Objective:
    """A sum over runs, never a mean (a mean of 1e-6 stops optimisers early; laws differ by their sums).

    - ``huber``: Huber's loss with ``delta`` of ln prediction - ln y (Hoffmann et al. 2022, equation 3); the default;
    - ``lad``: absolute ln prediction - ln y;
    - ``log_square``: half the squared ln prediction - ln y;
    - ``square``: half the squared prediction - y.
    """

    name: Name = "huber"
    delta: float = 1e-3

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise unknown_name("objective", "fit", self.name, NAMES)
        if not self.delta > 0:
            raise bad_value("delta", "fit", self.delta, "above 0")

    @property
    def stages(self) -> tuple[float, ...]:
        """The deltas that a fit goes through, last the one that counts."""
        return SMOOTHING if self.name == "lad" else (self.delta,)

    @property
    def of_logs(self) -> bool:
        """Whether residuals are differences of logarithms."""
        return self.name != "square"

    def residuals(self, ln_prediction: torch.Tensor, y: torch.Tensor, ln_y: torch.Tensor) -> torch.Tensor:
        return ln_prediction - ln_y if self.of_logs else torch.exp(ln_prediction) - y

    def losses(self, residuals: torch.Tensor, delta: float) -> tuple[torch.Tensor, torch.Tensor]:
        """The loss of every residual, ``lad`` smoothed to Huber / delta, and its derivative psi."""
        if self.name in ("square", "log_square"):
            return 0.5 * residuals * residuals, residuals
        bent = residuals.clamp(-delta, delta)
        loss = torch.sub(residuals, bent, alpha=0.5).mul_(bent)
        return (loss / delta, bent / delta) if self.name == "lad" else (loss, bent)

    def total(self, residuals_N: Array, weights_N: Array) -> float:
        """The objective as reported: for ``lad`` without smoothing."""
        if self.name == "lad":
            return float((weights_N * np.abs(residuals_N)).sum())
        return float((weights_N * self.losses(torch.from_numpy(residuals_N), self.delta)[0].numpy()).sum())

    def moments(self, residuals_N: Array, weights_N: Array) -> tuple[float, float]:
        """Mean psi^2 and mean psi' of the residuals, psi the derivative of the loss (Huber & Ronchetti 2009, 7.6).

        psi' of a Huber loss counts residuals within delta; where delta is far below their spread few are, so it is
        counted within a bandwidth (Silverman's rule) instead and scaled. Runs without weight do not count.
        """
        residuals_N, weights_N = residuals_N[weights_N > 0], weights_N[weights_N > 0]
        share = weights_N / weights_N.sum()
        if self.name in ("square", "log_square"):
            return float((share * residuals_N**2).sum()), 1.0
        delta = self.stages[-1]
        spread = float(np.sqrt((share * residuals_N**2).sum()))
        typical = min(spread, float(np.median(np.abs(residuals_N))) / 0.6745) or spread
        width = max(delta, 1.06 * typical * len(residuals_N) ** -0.2)
        inside = float((share * (np.abs(residuals_N) <= width)).sum())
        unit = delta if self.name == "lad" else 1.0
        bent = np.clip(residuals_N, -delta, delta) / unit
        slope = max(inside, 1 / len(residuals_N)) * delta / (width * unit)
        return float((share * bent**2).sum()), slope
