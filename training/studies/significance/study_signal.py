"""Signal, noise and their ratio of a study's metric (Heineman et al. 2025), with seeds and checkpoints as noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from training.laws.evaluations.signal_noise import SignalNoise, effective_count, signal_noise
from training.studies.significance.power import detectable_difference
from training.studies.significance.ways_by_seeds import Floats, WaysBySeeds, ways_by_seeds


@dataclass(frozen=True)
class Averaging:
    """What the mean of the last n evaluations does to the noise of a run.

    Attributes:
        last: n.
        effective: Independent evaluations that n are worth.
        within: Standard deviation of the evaluations of one run; ``within_averaged`` that of their mean,
            within / sqrt(n_eff).
        between: Standard deviation over seeds of the last evaluation; ``between_averaged`` of the mean of the last n.
            The part of it that differs from seed to seed in the same way throughout does not fall.
    """

    last: int
    effective: float
    within: float
    within_averaged: float
    between: float
    between_averaged: float


@dataclass(frozen=True)
class StudySignal:
    """One world of a study, a metric.

    Attributes:
        found: The ways and values that were read.
        over_seeds: Signal over ways, noise over seeds; None with fewer than two seeds, or a mean that is not above 0.
        averaging: None where runs were evaluated at their end only.
        paired_sd: Standard deviation over seeds of the difference of two ways, root mean square over pairs;
            NaN of one seed.
        detectable: The smallest difference of two ways that these seeds would call in 80 % of such studies.
    """

    found: WaysBySeeds
    over_seeds: SignalNoise | None
    averaging: Averaging | None
    paired_sd: float
    detectable: float


def study_signals(
    table: pa.Table,
    metric: str = "accuracy",
    *,
    last: int = 5,
    split: str | None = None,
    group: str = "",
    **where: Any,
) -> list[StudySignal]:
    """Every world of the table; ``last`` evaluations are averaged, fewer if there are fewer."""
    return [_signal(each, last) for each in ways_by_seeds(table, metric, split=split, group=group, **where)]


def _signal(found: WaysBySeeds, last: int) -> StudySignal:
    values_WS = found.last_WS
    seeds = len(found.seeds)
    known = seeds > 1 and float(values_WS.mean()) > 0
    paired = paired_sd(values_WS)
    return StudySignal(
        found, signal_noise(values_WS, last=max(seeds, 2), independent=True) if known else None,
        averaging(found, last), paired, detectable_difference(paired, seeds),
    )  # fmt: skip


def paired_sd(values_WS: Floats) -> float:
    """Root mean square over pairs of ways of the standard deviation (ddof 1) of their paired differences.

    The variance of a difference averages to 2 (mean variance - mean covariance) over pairs, so no pair is looped over.
    """
    ways, seeds = values_WS.shape
    if seeds < 2 or ways < 2:
        return float("nan")
    covariance_WW = np.cov(values_WS)
    own = float(np.trace(covariance_WW))
    shared = (float(covariance_WW.sum()) - own) / (ways * (ways - 1))
    return float(np.sqrt(max(0.0, 2 * (own / ways - shared))))


def averaging(found: WaysBySeeds, last: int) -> Averaging | None:
    """Noise before and after the mean of the last n evaluations of every run."""
    kept_WSK = found.curves_WSK[:, :, -last:]
    ways, seeds, n = kept_WSK.shape
    if n < 2:
        return None
    runs = kept_WSK.reshape(ways * seeds, n)
    effective = effective_count(runs)
    within = float(np.sqrt(runs.var(axis=1, ddof=1).mean()))
    ends = (kept_WSK[:, :, -1], kept_WSK.mean(axis=2))
    between = [
        float(np.sqrt(each.var(axis=1, ddof=1).mean())) if seeds > 1 else float("nan") for each in ends
    ]
    return Averaging(n, effective, within, within / float(np.sqrt(effective)), *between)


def averaged(found: Sequence[WaysBySeeds], last: int) -> list[WaysBySeeds]:
    """The same worlds with the mean of the last n evaluations in place of the last."""
    from dataclasses import replace

    return [
        replace(
            each,
            steps_K=each.steps_K[-1:],
            curves_WSK=each.curves_WSK[:, :, -last:].mean(axis=2, keepdims=True),
        )
        for each in found
    ]
