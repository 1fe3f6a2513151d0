"""Is a difference between models larger than a benchmark's noise (Heineman et al. 2025)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.form import Array
from training.laws.uncertainty.interval import Interval, level_checked


@dataclass(frozen=True)
class SignalNoise:
    """Signal, noise and their ratio of one benchmark, over R models and their last n checkpoints.

    ``signal`` is max |m_j - m_k| / mean m over the models, m the mean of a model's checkpoints; ``noise`` the standard
    deviation of the checkpoints of one model over mean m; ``ratio`` signal / noise, infinite without noise.
    ``averaged_noise`` is what is left of it in m, noise / sqrt(effective). The intervals are of the noise, for these
    models; the range of other models would be another.
    """

    signal: float
    noise: Interval
    ratio: Interval
    averaged_noise: float
    effective: float


def signal_noise(
    scores_RK: npt.ArrayLike, *, last: int = 30, level: float = 0.95, independent: bool = False
) -> SignalNoise:
    """Signal and noise of R models by K checkpoints in order of training, from the ``last`` of them (fewer if K is).

    The noise is the root of the mean variance within models, so differences between models are not in it (the authors'
    code pools the checkpoints of all models at small scale); variances divide by n - 1. Where scores still rise the
    trend is noise, too. Its interval is that of a chi-squared variance with R (effective - 1) degrees of freedom.
    Columns that are no checkpoints but repeats, such as seeds, are ``independent``: all of them are effective.
    """
    from scipy.special import chdtri

    level_checked(level)
    kept = last_checkpoints(scores_RK, last)
    means = kept.mean(axis=1)
    centre = float(means.mean())
    if not centre > 0:
        raise bad_value(
            "mean score", "signal_noise", centre, "above 0, since signal and noise are shares of it"
        )
    spread = float(np.sqrt(kept.var(axis=1, ddof=1).mean()))
    signal, noise = float(np.ptp(means)) / centre, spread / centre
    effective = float(kept.shape[1]) if independent else effective_count(kept)
    freedom = max(len(kept) * (effective - 1), 1.0)
    tail = (1 - level) / 2
    low, high = (noise * float(np.sqrt(freedom / chdtri(freedom, end))) for end in (tail, 1 - tail))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio, least, most = (float(np.float64(signal) / np.float64(n)) for n in (noise, high, low))
    return SignalNoise(
        signal,
        Interval(noise, low, high, level),
        Interval(ratio, least, most, level),
        noise / float(np.sqrt(effective)),
        effective,
    )


def effective_count(scores_RK: npt.ArrayLike) -> float:
    """Independent checkpoints that n correlated ones are worth, n_eff in [1, n]: their mean has variance s^2 / n_eff.

    n_eff = n / (1 + 2 sum_k (1 - k / n) r^k) of a first-order autoregression (Bayley and Hammersley 1946). r is the
    lag-one correlation within models, with the bias of short series, -(1 + 4 r) / n, taken out (Kendall 1954); negative
    ones count as zero. One independent model has n_eff = n.
    """
    scores = last_checkpoints(scores_RK, None)
    n = scores.shape[1]
    left = scores - scores.mean(axis=1, keepdims=True)
    square = float((left * left).sum())
    if square == 0:
        return float(n)
    measured = float((left[:, 1:] * left[:, :-1]).sum()) / square
    r = float(np.clip((n * measured + 1) / max(n - 4, 1), 0.0, 1.0))
    lags = np.arange(1, n)
    return float(n / (1 + 2 * ((1 - lags / n) * r**lags).sum()))


def last_checkpoints(scores_RK: npt.ArrayLike, last: int | None) -> Array:
    """The last so many columns (all of them for None), (R, n), refused unless finite, with n >= 2."""
    scores = np.asarray(scores_RK, dtype=np.float64)
    if scores.ndim != 2 or scores.shape[0] < 1 or scores.shape[1] < 2:
        raise bad_value("scores", "signal_noise", scores.shape, "models by checkpoints, at least (1, 2)")
    if last is not None and last < 2:
        raise bad_value("last", "signal_noise", last, "at least 2")
    kept = scores if last is None else scores[:, -last:]
    if not np.isfinite(kept).all():
        raise InputError(
            f"signal_noise: {int((~np.isfinite(kept)).sum())} scores are not finite; drop them first."
        )
    return kept


@dataclass(frozen=True)
class SubtaskChoice:
    """Subtasks in descending order of their own ratio, and the ratio of the mean over the first k of them, k = 1..S.

    ``kept`` are the places of those whose mean has the highest ratio, ascending.
    """

    order_S: npt.NDArray[np.int64]
    ratios_S: Array
    kept: npt.NDArray[np.int64]


def best_subtasks(scores_SRK: npt.ArrayLike, *, last: int = 30) -> SubtaskChoice:
    """Which subtasks to average for the highest signal over noise (Heineman et al. 2025).

    Scores are (S subtasks, R models, K checkpoints), all on one scale. The choice is fitted to these models, so its
    ratio flatters it; judge it on others.
    """
    scores = np.asarray(scores_SRK, dtype=np.float64)
    if scores.ndim != 3 or len(scores) < 1:
        raise bad_value("scores", "best_subtasks", scores.shape, "subtasks by models by checkpoints")
    own = np.array([signal_noise(scores_RK, last=last).ratio.value for scores_RK in scores])
    order = np.argsort(-own, kind="stable")
    sums = np.cumsum(scores[order][:, :, -last:], axis=0)
    ratios = np.array([signal_noise(total / (k + 1), last=last).ratio.value for k, total in enumerate(sums)])
    return SubtaskChoice(order, ratios, np.sort(order[: int(ratios.argmax()) + 1]))
