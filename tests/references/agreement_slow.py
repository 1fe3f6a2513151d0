"""Agreement by the book: loops over pairs of runs with SciPy, ranks shifted example by example."""

from itertools import combinations

import numpy as np
from scipy import stats


def spearman(a, b):
    return stats.spearmanr(a, b).statistic


def within(values):
    """Mean over runs of the correlation of two scores; ``values`` is score -> (R, N)."""
    runs = len(next(iter(values.values())))
    return np.array([
        [np.mean([spearman(a[r], b[r]) for r in range(runs)]) for b in values.values()] for a in values.values()
    ])  # fmt: skip


def between(values):
    """Mean over pairs of different runs."""
    runs = len(next(iter(values.values())))
    pairs = [(i, j) for i in range(runs) for j in range(runs) if i != j]
    return np.array([
        [np.mean([spearman(a[i], b[j]) for i, j in pairs]) for b in values.values()] for a in values.values()
    ])  # fmt: skip


def corrected(matrix):
    return np.array([[matrix[i, j] / np.sqrt(matrix[i, i] * matrix[j, j]) for j in range(len(matrix))]
                     for i in range(len(matrix))])  # fmt: skip


def across(a_runs, b_runs):
    return np.mean([spearman(a, b) for a in a_runs for b in b_runs])


def chance_of_being_kept(values, kept):
    """Ties at the cut share what is left."""
    above = [sum(other > value for other in values) for value in values]
    tied = [sum(other == value for other in values) for value in values]
    return [min(1.0, max(0.0, (kept - a) / t)) for a, t in zip(above, tied)]


def jaccard(a, b, kept):
    common = sum(p * q for p, q in zip(chance_of_being_kept(a, kept), chance_of_being_kept(b, kept)))
    return common / (2 * kept - common)


def kendall_tau_b(a, b):
    """All pairs of examples."""
    concordant = ties_a = ties_b = count = 0
    for i, j in combinations(range(len(a)), 2):
        s, t = np.sign(a[i] - a[j]), np.sign(b[i] - b[j])
        concordant += s * t
        ties_a += s == 0
        ties_b += t == 0
        count += 1
    return concordant / np.sqrt((count - ties_a) * (count - ties_b))


def weighted_spearman(x, y, weights):
    """Correlation of mid-distribution functions where example k has weight k (they sum to 1)."""
    ranks = []
    for z in (x, y):
        below = (z[None, :] < z[:, None]) + 0.5 * (z[None, :] == z[:, None])
        ranks.append(below @ weights - 0.5)
    f, g = ranks
    return (weights @ (f * g)) / np.sqrt((weights @ f**2) * (weights @ g**2))


def influence(x, y, step=1e-5):
    """Numerical derivative of the weighted correlation towards all weight on one example, (N,)."""
    count = len(x)
    even = np.full(count, 1 / count)
    found = []
    for k in range(count):
        sides = []
        for sign in (1, -1):
            weights = even * (1 - sign * step)
            weights[k] += sign * step
            sides.append(weighted_spearman(x, y, weights))
        found.append((sides[0] - sides[1]) / (2 * step))
    return np.array(found)
