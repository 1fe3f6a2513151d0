"""A mean over pairs of runs, with its error on a scale where that is even.

R runs make R (R - 1) / 2 pairs, which share runs and so are not independent: the runs are what was sampled, and
``over_runs.jackknife`` leaves one of them out at a time. The interval speaks of other runs on the same examples.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import stdtrit

from scoring.compare.intervals.over_runs import jackknife
from scoring.compare.ranks import Floats

Interval = tuple[float, float]


def mean_over_pairs(pairs_RR: Floats) -> float:
    """Mean of the entries above the diagonal of a symmetric matrix, R >= 2; NaN if one is."""
    return float(pairs_RR[np.triu_indices(len(pairs_RR), 1)].mean())


def without_each_run(pairs_RR: Floats) -> Floats:
    """The same mean without every run in turn, (R,), R >= 3."""
    count = len(pairs_RR)
    own_R = pairs_RR.sum(axis=1) - pairs_RR.diagonal()
    return np.asarray((own_R.sum() / 2 - own_R) / ((count - 1) * (count - 2) / 2))


def error_on_scale(pairs_RR: Floats, scale: Callable[[Floats], Floats]) -> float | None:
    """Standard error of ``scale`` of the mean over pairs; None with fewer than three runs or off the scale's range."""
    if len(pairs_RR) < 3:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = scale(np.append(without_each_run(pairs_RR), mean_over_pairs(pairs_RR)))
    if not np.isfinite(scaled).all():
        return None
    return jackknife(float(scaled[-1]), [scaled[:-1]]).standard_error


def t_quantile(runs: int) -> float:
    """Half the width of a 95 % interval in standard errors: Student's t with ``runs - 1`` degrees of freedom."""
    return float(stdtrit(runs - 1, 0.975))


def pair_interval(
    pairs_RR: Floats,
    scale: Callable[[Floats], Floats] = np.arctanh,
    back: Callable[[float], float] = np.tanh,
) -> Interval | None:
    """95 % interval of a mean over pairs of runs on a scale, by default Fisher's z; None with two runs.

    Where a mean is at an end of the scale, as with equal runs, the plain values serve, cut at both ends.
    """
    mean = mean_over_pairs(pairs_RR)
    error = error_on_scale(pairs_RR, scale)
    if error is not None:
        middle, reach = float(scale(np.array([mean]))[0]), t_quantile(len(pairs_RR)) * error
        return float(back(middle - reach)), float(back(middle + reach))
    error = error_on_scale(pairs_RR, np.asarray)
    if error is None:
        return None
    reach = t_quantile(len(pairs_RR)) * error
    return max(float(back(-np.inf)), mean - reach), min(float(back(np.inf)), mean + reach)
