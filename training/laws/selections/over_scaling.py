"""Over-scaling (Sachdeva et al. 2024, section 5.1): a selection's gain in steps of the next larger model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.uncertainty.interval import Interval, percentile_interval

FEWEST = 5


@dataclass(frozen=True)
class OverScaling:
    """Mean over metrics in percent, with the percentile interval over resampled metrics, and every metric by itself.

    100: the selection does for this model what the step to the next size does on all data; below 0: it harms.
    ``cautions`` name metrics on which the larger model is not better, whose share says nothing and is left out.
    """

    percent: Interval
    by_metric: Mapping[str, float]
    cautions: tuple[Caution, ...]


def over_scaling(
    selected: Mapping[str, float],
    full: Mapping[str, float],
    next_full: Mapping[str, float],
    *,
    lower_is_better: bool = True,
    level: float = 0.95,
    resamples: int = 1_000,
    seed: int = 0,
) -> OverScaling:
    """100 (perf(size, selected) - perf(size, full)) / (perf(next size, full) - perf(size, full)), mean over metrics.

    Each argument gives the performance by metric; all must have the same metrics. A metric on which the next size is
    not better than this one is left out (the paper's formula would change its sign); with none left this is an error.
    The interval takes the metrics for a sample of metrics; with fewer than 5 there is none.
    """
    names = sorted(full)
    for other in (selected, next_full):
        if sorted(other) != names:
            raise InputError(f"over_scaling: the metrics {', '.join(names)} are needed for all three models.")
    if not np.isfinite([list(each.values()) for each in (selected, full, next_full)]).all():
        raise InputError("over_scaling: performances must be finite; leave out metrics without them.")
    if resamples < 1:
        raise bad_value("resamples", "over_scaling", resamples, "at least 1")
    sign = -1.0 if lower_is_better else 1.0
    steps = {name: sign * (next_full[name] - full[name]) for name in names}
    kept = [name for name in names if steps[name] > 0]
    if not kept:
        raise InputError("over_scaling: on no metric is the next size better than this one.")
    shares = {name: 100 * sign * (selected[name] - full[name]) / steps[name] for name in kept}
    values = np.array(list(shares.values()))
    picks = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    samples = values[picks].mean(1) if len(values) >= FEWEST else np.full(resamples, np.nan)
    left = [name for name in names if name not in kept]
    said = f"left out, since the next size is not better on them: {', '.join(left)}."
    cautions = (Caution("unrelated", said),) if left else ()
    return OverScaling(percentile_interval(float(values.mean()), samples, level), shares, cautions)
