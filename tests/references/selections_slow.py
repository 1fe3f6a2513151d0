"""Multipliers and crossings the slow, obvious way: a root finder per resample, formulas in natural units."""

import numpy as np
from scipy.optimize import brentq


def chinchilla_loss(p, N, D):
    return p["E"] + p["A"] / N ** p["alpha"] + p["B"] / D ** p["beta"]


def offset_loss(p, x):
    return p["e"] + p["beta"] * x ** p["c"]


def factor_for(loss, target, limit=1e6):
    """The factor m with loss(m) = target of a falling function; infinite or zero where there is none to a million."""
    if loss(limit) > target:
        return np.inf
    if loss(1 / limit) < target:
        return 0.0
    return np.exp(brentq(lambda s: loss(np.exp(s)) - target, -np.log(limit), np.log(limit), xtol=1e-13))


def chinchilla_factor(p, target, N, D, way):
    moved = {"D": lambda m: (N, m * D), "N": lambda m: (m * N, D), "C": lambda m: (m**0.5 * N, m**0.5 * D)}[
        way
    ]
    return factor_for(lambda m: chinchilla_loss(p, *moved(m)), target)


def crossing_points(ours, theirs, low, high, points):
    """All (x, gap rises) at which ours(x) - theirs(x) changes sign between neighbours of a geometric grid."""
    grid = np.geomspace(low, high, points)
    gaps = [ours(x) - theirs(x) for x in grid]
    found = []
    for a, b, before, after in zip(grid, grid[1:], gaps, gaps[1:]):
        if before * after < 0:
            root = brentq(lambda s: ours(np.exp(s)) - theirs(np.exp(s)), np.log(a), np.log(b), xtol=1e-13)
            found.append((np.exp(root), after > 0))
    return found
