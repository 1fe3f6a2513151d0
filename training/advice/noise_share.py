"""The estimated share of wrong labels with an interval, over examples and over seeds of the cross-fitting."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.hashing import Ids, hash64
from training.advice.confident_joint import Floats, confident_joint
from training.laws.uncertainty.interval import Interval

GROUPS = 20
"""Parts of the examples, each left out once."""


def noise_share(
    labels_N: npt.ArrayLike, probabilities_SNC: npt.ArrayLike, ids: Ids, *, level: float = 0.95, seed: int = 0
) -> Interval:
    """Mean over S seeds of the share of the confident joint, with Student's interval, one degree of freedom
    less than parts.

    Its variance is that of a delete-a-group jackknife over 20 parts of the examples (hash of (seed, id); fewer parts if
    there are fewer examples), and that between seeds over S. The interval is about chance alone: what the
    estimate sees and does not see is for ``planted_checks`` to say. It never reaches below 0, and of an
    estimate of 0 its upper end is that of a count of none among N, 1 - (1 - level)^(1 / N) (one-sided).
    """
    from scipy.special import stdtrit

    labels = np.asarray(labels_N, dtype=np.int64)
    p_SNC: Floats = np.asarray(probabilities_SNC, dtype=np.float64)
    if p_SNC.ndim != 3 or p_SNC.shape[1] != len(labels):
        raise bad_value(
            "probabilities", "noise_share", p_SNC.shape, f"(seeds, {len(labels)} examples, classes)"
        )
    seeds, rows = p_SNC.shape[:2]
    shares_S = np.array([confident_joint(labels, p_NC).share for p_NC in p_SNC])
    groups = min(GROUPS, rows)
    part_N = np.empty(rows, dtype=np.int64)
    part_N[np.argsort(hash64(seed, ids), kind="stable")] = np.arange(rows) % groups
    left_G = np.full(groups, shares_S.mean())
    if rows > 1:
        for part in range(groups):
            rest = part_N != part
            left_G[part] = np.mean([confident_joint(labels[rest], p_NC[rest]).share for p_NC in p_SNC])
    variance = (groups - 1) / groups * float(((left_G - left_G.mean()) ** 2).sum())
    if seeds > 1:
        variance += float(shares_S.var(ddof=1)) / seeds
    value = float(shares_S.mean())
    half = float(stdtrit(max(groups - 1, 1), 0.5 + level / 2) * np.sqrt(variance))
    none_seen = 1 - (1 - level) ** (1 / rows)
    return Interval(value, max(0.0, value - half), min(1.0, max(value + half, none_seen)), level)
