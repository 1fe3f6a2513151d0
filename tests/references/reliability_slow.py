"""Reliability by its definition: every disjoint pair of groups of runs in turn, and worlds whose truth is known."""

from itertools import combinations

import numpy as np
from scipy import stats

from scoring.compare.ranks import chance_in_top


def disjoint_pairs(runs: int, size: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All unordered pairs of disjoint groups."""
    groups = list(combinations(range(runs), size))
    return [(a, b) for a, b in combinations(groups, 2) if not set(a) & set(b)]


def split_half(values_RN: np.ndarray, size: int, kept: int) -> tuple[float, float]:
    """Mean Spearman correlation and mean overlap over all disjoint pairs of groups of ``size`` runs."""
    rhos, overlaps = [], []
    for a, b in disjoint_pairs(len(values_RN), size):
        x, y = values_RN[list(a)].mean(axis=0), values_RN[list(b)].mean(axis=0)
        rhos.append(stats.spearmanr(x, y).statistic)
        overlaps.append(chance_in_top(x, kept) @ chance_in_top(y, kept) / kept)
    return float(np.mean(rhos)), float(np.mean(overlaps))


def jackknife_by_hand(pairs_RR: np.ndarray, scale) -> float:
    """Standard error of ``scale`` of the mean over pairs, from pseudo-values."""

    def mean(runs: list[int]) -> float:
        return scale(np.mean([pairs_RR[i, j] for i, j in combinations(runs, 2)]))

    everyone = list(range(len(pairs_RR)))
    count = len(everyone)
    pseudo = [
        count * mean(everyone) - (count - 1) * mean([r for r in everyone if r != left]) for left in everyone
    ]
    return float(np.std(pseudo, ddof=1) / np.sqrt(count))


def true_spearman(truth_N: np.ndarray, noise: float) -> float:
    """Expected Spearman correlation of two runs ``truth + noise * N(0, 1)`` on these very examples.

    Runs are independent and their ranks have a fixed variance, so it is the variance of the expected ranks over that
    of ranks; an expected rank is a sum of the probabilities to stand above each other example.
    """
    count = len(truth_N)
    above = stats.norm.cdf((truth_N[:, None] - truth_N[None, :]) / (noise * np.sqrt(2)))
    np.fill_diagonal(above, 0)
    expected = above.sum(axis=1)
    return float(12 * ((expected - expected.mean()) ** 2).sum() / (count * (count**2 - 1)))


def true_overlap(truth_N: np.ndarray, noise: float, kept: int, draws: int = 2000) -> float:
    """Expected overlap of two such runs, by simulation: two runs keep an example independently."""
    rng = np.random.default_rng(1)
    chance = np.zeros(len(truth_N))
    for _ in range(draws):
        chance += chance_in_top(truth_N + noise * rng.normal(size=len(truth_N)), kept)
    chance /= draws
    # The square of an estimated probability is too high by its variance.
    return float((chance @ chance - (chance * (1 - chance)).sum() / (draws - 1)) / kept)
