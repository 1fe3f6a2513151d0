"""Slow, obvious versions: leave one run out, choose, name it; all with explicit loops."""

from itertools import combinations

import numpy as np


def fit_slow(values, most):
    """values: one (R, N) array per architecture -> chosen rows, centroids (A, K), scales (K,)."""
    count = values[0].shape[1]
    centroids = np.array([[np.mean(v[:, i]) for i in range(count)] for v in values])
    spread = []
    for i in range(count):
        squares = sum(((v[:, i] - np.mean(v[:, i])) ** 2).sum() for v in values)
        spread.append(np.sqrt(squares / (sum(len(v) for v in values) - len(values))))
    scale = np.array(spread) + np.median(spread)
    orders = []
    for a, b in combinations(range(len(values)), 2):
        apart = np.abs(centroids[a] - centroids[b]) / scale
        orders.append(sorted(range(count), key=lambda i, apart=apart: (-apart[i], i)))
    chosen = []
    while len(chosen) < min(most, count):
        for order in orders:
            free = [i for i in order if i not in chosen]
            if free and len(chosen) < most:
                chosen.append(free[0])
    return chosen, centroids[:, chosen], scale[chosen]


def leave_one_out_slow(values, most):
    """(architecture, run) -> predicted architecture by the first 1 ... ``most`` examples."""
    found = {}
    for a, v in enumerate(values):
        for run in range(len(v)):
            others = [np.delete(w, run, axis=0) if b == a else w for b, w in enumerate(values)]
            chosen, centroids, scale = fit_slow(others, most)
            said = []
            for k in range(1, len(chosen) + 1):
                distance = [(((v[run, chosen[:k]] - c[:k]) / scale[:k]) ** 2).sum() for c in centroids]
                said.append(int(np.argmin(distance)))
            found[a, run] = said
    return found
