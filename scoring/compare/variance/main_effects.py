"""How far architectures and runs move all examples together: main effects on raw values, with intervals.

They change no order of examples, and ranks have none. With the mean of a run over examples y_ar, variance s_a^2 of the
R_a runs of an architecture, and noise_a, interaction of ``variance_moments``:

    run          = mean_a s_a^2 - noise_a / N
    architecture = mean_a (y_a - y)^2 - (1 - 1 / A) mean_a s_a^2 / R_a - interaction / N,   y = mean_a y_a

The architectures are those compared, no sample, so theirs is a mean square of A fixed numbers. Interval of the run
component: Satterthwaite's (1946) chi-squared for the mean of the s_a^2, degrees of freedom (sum s_a^2)^2 /
sum s_a^4 / (R_a - 1), shifted by noise / N, which is known well in comparison. Interval of the architecture component:
all that is compatible with the confidence ball of the A means (radius^2 = (A - 1) F w, Scheffe 1953), so it covers at
least as often as it says, exactly as often for two architectures that differ clearly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.compare.variance.moments import LEVEL, Estimate, VarianceMoments


@dataclass(frozen=True)
class MainEffects:
    """Variances in squared units of the score."""

    run: Estimate
    architecture: Estimate | None
    """None with one architecture."""


def main_effects(moments: VarianceMoments) -> MainEffects | None:
    """Both components; None with one run per architecture, which has no variance between runs."""
    if moments.merged:
        return None
    from scipy.special import chdtri, fdtri

    architectures = len(moments.runs_A)
    runs_A = np.array(moments.runs_A, dtype=np.float64)
    noise = float(moments.theta_K[1 + architectures :].mean())
    squares_A = np.array([float(means_R.var(ddof=1)) for means_R in moments.run_means])
    square, by_chance = float(squares_A.mean()), noise / moments.examples
    spread = float((squares_A**2 / (runs_A - 1)).sum())
    freedom = float(squares_A.sum()) ** 2 / spread if spread > 0 else float((runs_A - 1).sum())
    low = freedom * square / float(chdtri(freedom, 1 - LEVEL)) - by_chance
    high = freedom * square / float(chdtri(freedom, LEVEL)) - by_chance
    raw = square - by_chance
    run = Estimate(max(raw, 0.0), max(low, 0.0), max(high, 0.0), raw < 0)
    if architectures == 1:
        return MainEffects(run, None)
    means_A = np.array([float(means_R.mean()) for means_R in moments.run_means])
    between = float(((means_A - means_A.mean()) ** 2).mean())
    interaction = max(float(moments.theta_K[1 : 1 + architectures].mean() - moments.theta_K[0]), 0.0)
    error = (1 - 1 / architectures) * float((squares_A / runs_A).mean()) + interaction / moments.examples
    radius = float(np.sqrt(float(fdtri(architectures - 1, freedom, 2 * LEVEL - 1)) * error))
    low, high = max(float(np.sqrt(between)) - radius, 0.0) ** 2, (float(np.sqrt(between)) + radius) ** 2
    raw = between - error
    return MainEffects(run, Estimate(max(raw, 0.0), low, high, raw < 0))
