"""Minimising any function of proportions: random mixtures, then exchanges between pairs of domains."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from training.laws.form import Array

Objective = Callable[[Array], Array]
"""Proportions (K, M) -> values (K,)."""

CONCENTRATIONS = (1.0, 0.3, 0.1)
FIRST_STEP, LAST_STEP = 0.25, 1e-6
MOST_STEPS = 2_000


def random_mixtures(count: int, caps_M: Array, seed: int) -> Array:
    """Mixtures (K, M) under the caps: Dirichlet draws, even and sparse ones, and every domain alone."""
    rng = np.random.default_rng(seed)
    size = len(caps_M)
    drawn = [rng.dirichlet(np.full(size, c), count // len(CONCENTRATIONS) + 1) for c in CONCENTRATIONS]
    return within_caps(np.concatenate([np.eye(size), *drawn]), caps_M)


def within_caps(r_KM: Array, caps_M: Array) -> Array:
    """What exceeds a cap is given to the other domains in proportion to the room they have left."""
    kept = np.minimum(r_KM, caps_M)
    room = caps_M - kept
    total = room.sum(axis=1, keepdims=True)
    share = np.where(total > 0, room / np.where(total > 0, total, 1.0), 0.0)
    found: Array = kept + share * (1 - kept.sum(axis=1, keepdims=True))
    return found


def exchange(objective: Objective, start_M: Array, caps_M: Array) -> tuple[Array, float, Array]:
    """The best mixture that exchanges between two domains lead to, its value, and all that were tried, (K, M).

    The best of all exchanges of one size is taken while one lowers the value, then the size is halved. Exchanges span
    every direction along the proportions and stop at 0 and at the caps, so for a convex smooth function this is its
    minimum (Lewis and Torczon 2000), and for others a local one.
    """
    size = len(start_M)
    give, take = np.nonzero(~np.eye(size, dtype=bool))
    point, value = start_M.copy(), float(objective(start_M[None])[0])
    step, tried = FIRST_STEP, [start_M[None]]
    for _ in range(MOST_STEPS):
        amount = np.minimum(step, np.minimum(point[give], caps_M[take] - point[take]))
        moves = np.flatnonzero(amount > 0)
        near = np.repeat(point[None], len(moves), axis=0)
        rows = np.arange(len(moves))
        near[rows, give[moves]] -= amount[moves]
        near[rows, take[moves]] += amount[moves]
        values = objective(near) if len(moves) else np.zeros(0)
        tried.append(near)
        best = int(values.argmin()) if len(moves) else -1
        if best >= 0 and values[best] < value - 1e-12 * abs(value):
            point, value = near[best], float(values[best])
        elif step <= LAST_STEP:
            break
        else:
            step /= 2
    return point, value, np.concatenate(tried)
