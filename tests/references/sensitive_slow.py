"""Slow, obvious versions of the tests of single examples: one loop per example, one per relabelling."""

from itertools import combinations

import numpy as np
from scipy import stats


def benjamini_hochberg_slow(p):
    """q of test i: the lowest false discovery rate at which the step-up rule rejects it."""
    n = len(p)
    return np.array(
        [
            min(1.0, min(n * each / sum(other <= each for other in p) for each in p if each >= mine))
            for mine in p
        ]
    )


def example_permutation_slow(first, second):
    """Share of all relabellings whose difference of means is at least as large, example by example."""
    a, b = len(first), len(second)
    found = []
    for x, y in zip(np.transpose(first), np.transpose(second)):
        values = [*x, *y]
        observed = abs(np.mean(x) - np.mean(y))
        extreme = total = 0
        for chosen in combinations(range(a + b), a):
            one = [values[i] for i in chosen]
            two = [values[i] for i in range(a + b) if i not in chosen]
            extreme += abs(np.mean(one) - np.mean(two)) >= observed - 1e-9
            total += 1
        found.append(extreme / total)
    return np.array(found)


def sam_d(x, y):
    return abs(np.mean(x) - np.mean(y)), np.sqrt(np.var(x, ddof=1) / len(x) + np.var(y, ddof=1) / len(y))


def pooled_permutation_slow(first, second, seed=0):
    """SAM's d against the d of all relabellings but the observed one and its mirror, of all examples.

    Runs change places in units of the noise of their side; a mean that is lost with the labels is put back.
    """
    a, b = len(first), len(second)
    noise = [
        np.sqrt(np.mean([np.var(column, ddof=1) for column in np.transpose(x)])) for x in (first, second)
    ]
    largest = max(noise)
    noise = [max(each / largest, 0.01) if largest else 1.0 for each in noise]
    columns = [[*x, *y] for x, y in zip(np.transpose(first), np.transpose(second))]
    observed = [sam_d(values[:a], values[a:]) for values in columns]
    s0 = np.median([error for _, error in observed])
    observed = [difference / (error + s0) for difference, error in observed]
    side = [0] * a + [1] * b
    weights = np.array([1 / noise[s] ** 2 for s in side])
    weights /= weights.sum()
    fair = [np.sqrt((1 - weight) / (1 - 1 / (a + b))) for weight in weights]
    moved = []
    for values in columns:
        middle = sum(weights * values)
        moved.append([(v - middle) / noise[s] / f for v, s, f in zip(values, side, fair)])
    pool = []
    labels = []
    for chosen in combinations(range(a + b), a):
        rest = [i for i in range(a + b) if i not in chosen]
        if not (chosen == tuple(range(a)) or (a == b and rest == list(range(a)))):
            labels.append((list(chosen), rest))
    lost = stats.norm.ppf((np.arange(len(labels)) + 0.5) / len(labels))
    lost = np.random.default_rng(seed).permutation(lost / np.sqrt((lost**2).mean()))
    for (chosen, rest), mean in zip(labels, lost):
        for values in moved:
            back = np.array(values) - np.mean(values) + mean * np.std(values, ddof=1) / np.sqrt(a + b)
            difference, error = sam_d(noise[0] * back[chosen], noise[1] * back[rest])
            pool.append(difference / (error + s0))
    return np.array([(1 + sum(d >= mine * (1 - 1e-9) for d in pool)) / (1 + len(pool)) for mine in observed])


def normal_scores_slow(values):
    """Normal scores of the average ranks of one run, and (width of the tie block in z)^2 / 12."""
    n = len(values)
    z, hidden = [], []
    for mine in values:
        below, equal = sum(v < mine for v in values), sum(v == mine for v in values)
        z.append(stats.norm.ppf((below + equal / 2) / n))
        low, high = max(below / n, 1 / (2 * n)), min((below + equal) / n, 1 - 1 / (2 * n))
        hidden.append((stats.norm.ppf(high) - stats.norm.ppf(low)) ** 2 / 12)
    return np.array(z), np.array(hidden)
