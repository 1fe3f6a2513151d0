"""Kernels, their sums over a corpus and counts of hashes, one pair at a time, from the printed formulas."""

import math

import numpy as np
from scipy import integrate, stats


def collision(kind: str, width: float, x: np.ndarray, y: np.ndarray) -> float:
    """Probability that one hash puts x and y into one bucket.

    For l2 the integral of Datar et al. 2004, section 3.2: int_0^r f(t / c) / c (1 - t / r) dt, f the density of the
    absolute value of a normal number.
    """
    if kind == "angular":
        lengths = np.linalg.norm(x) * np.linalg.norm(y)
        return 1 - math.acos(max(-1.0, min(1.0, float(x @ y) / lengths))) / math.pi
    distance = float(np.linalg.norm(x - y))
    if distance < 1e-12:
        return 1.0
    value, _ = integrate.quad(
        lambda t: 2 * stats.norm.pdf(t / distance) / distance * (1 - t / width),
        0,
        min(width, 40 * distance),
        limit=200,
    )
    return value


def mean_kernel(rows: np.ndarray, kind: str, concatenations: int, width: float = 1.0) -> np.ndarray:
    """Mean kernel value of every row to all others."""
    found = []
    for i, x in enumerate(rows):
        values = [collision(kind, width, x, y) ** concatenations for j, y in enumerate(rows) if j != i]
        found.append(sum(values) / len(values))
    return np.array(found)


def reduced(rows: np.ndarray, dims: int, centre: bool) -> np.ndarray:
    """Unit rows on the largest singular directions of all of them, made unit rows again."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    shifted = unit - unit.mean(axis=0) if centre else unit
    axes = np.linalg.svd(shifted, full_matrices=False)[2][:dims]
    placed = shifted @ axes.T
    return placed / np.linalg.norm(placed, axis=1, keepdims=True)


def mean_counts(
    rows: np.ndarray, directions: np.ndarray, shifts: np.ndarray, width: float, buckets: int
) -> np.ndarray:
    """Algorithm 2 of Sachdeva et al. 2024: a table of counts per hash, then every row's mean count.

    directions (R, D), shifts (R,) in widths.
    """
    tables: list[dict[int, int]] = [{} for _ in directions]
    places = [
        [math.floor(float(a @ x) / width + b) % buckets for a, b in zip(directions, shifts)] for x in rows
    ]
    for row in places:
        for table, bucket in zip(tables, row):
            table[bucket] = table.get(bucket, 0) + 1
    return np.array([np.mean([table[bucket] for table, bucket in zip(tables, row)]) for row in places])


def effective_share(scores: np.ndarray) -> float:
    """Kish's effective sample size of weights 1 / score, over N."""
    weights = [1 / score for score in scores]
    return sum(weights) ** 2 / sum(w * w for w in weights) / len(weights)
