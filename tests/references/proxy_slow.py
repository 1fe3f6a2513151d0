"""Kept sets of means over runs, their overlap without one run each, and the ceiling, plainly."""

import math

from scipy import stats
from scipy.optimize import brentq


def mean(runs):
    return [sum(column) / len(runs) for column in zip(*runs)]


def kept(values, count):
    """Chance of every example to be among the ``count`` highest, ties at random."""
    order = sorted(values, reverse=True)
    cut = order[count - 1]
    above, tied = sum(v > cut for v in values), sum(v == cut for v in values)
    return [1.0 if v > cut else (count - above) / tied if v == cut else 0.0 for v in values]


def overlap(a_runs, b_runs, count):
    a, b = kept(mean(a_runs), count), kept(mean(b_runs), count)
    return sum(x * y for x, y in zip(a, b)) / count


def copula_overlap(r, share):
    t = stats.norm.isf(share)
    both = stats.multivariate_normal([0, 0], [[1, r], [r, 1]], allow_singular=True).cdf([-t, -t])
    return both / share


def single_reliability(r, a, b):
    """Reliability of one run that gives means of a and b runs the correlation r, by search."""

    def of(t):
        return t / math.sqrt((t + (1 - t) / a) * (t + (1 - t) / b)) - r

    return 0.0 if r <= 0 else 1.0 if r >= 1 else brentq(of, 1e-12, 1)


def ceiling(runs, count, splits, share):
    """From given splits into two halves; the copula is searched, not tabulated."""
    found = []
    for first, second in splits:
        seen = overlap([runs[i] for i in first], [runs[i] for i in second], count)
        r = brentq(lambda r, seen=seen: copula_overlap(r, share) - seen, -0.99, 0.999999) if seen < 1 else 1.0
        found.append(single_reliability(max(r, 0.0), len(first), len(second)))
    one = sum(found) / len(found)
    return copula_overlap(len(runs) * one / (1 + (len(runs) - 1) * one), share)
