"""Planted label noise: which labels were really changed is known, so scores can be tested against it.

Everything is a hash of (seed, id): the order of the rows does not matter, and for ``flip_labels`` a lower rate flips
a subset of what a higher rate flips, to the same classes. Ids are kept, so scores of the clean and the noisy data join.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.hashing import derive_seed, uniform
from scoring.order import hash_order
from training.interventions.counts import check_rate, labels_of, nearest_count

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NoisyLabels:
    """Examples with changed labels; ``flipped`` (N,) marks the rows whose label really differs now."""

    examples: Examples
    flipped: npt.NDArray[np.bool_]

    @property
    def rate(self) -> float:
        """The realised share of changed labels: what a noise study must report."""
        return float(self.flipped.mean())


def flip_labels(examples: Examples, rate: float, seed: int = 0) -> NoisyLabels:
    """Give exactly ``rate`` of the rows (nearest count, ties up) a different class, uniformly among the others."""
    labels = _labels(examples, "flip_labels")
    chosen = _choose(examples, rate, seed, "flip_labels")
    others = examples.num_classes - 1
    place = uniform(derive_seed("flip_labels class", seed), examples.ids[chosen])
    noisy = labels.copy()
    noisy[chosen] = (labels[chosen] + 1 + np.floor(place * others).astype(np.int64)) % examples.num_classes
    return _noisy(examples, labels, noisy)


def shuffle_labels(examples: Examples, rate: float, seed: int = 0) -> NoisyLabels:
    """Permute the labels of exactly ``rate`` of the rows among themselves.

    Class counts stay as they are, and some rows get their own class back: with K equal classes only about
    rate * (1 - 1/K) is really changed (5 % of 3 classes: 3.35 %, Kwok et al. 2024), which ``.rate`` tells.
    """
    labels = _labels(examples, "shuffle_labels")
    takers = _choose(examples, rate, seed, "shuffle_labels")
    givers = takers[hash_order(examples.ids[takers], derive_seed("shuffle_labels givers", seed))]
    noisy = labels.copy()
    noisy[takers] = labels[givers]
    return _noisy(examples, labels, noisy)


def confuse_labels(examples: Examples, matrix: npt.ArrayLike, seed: int = 0) -> NoisyLabels:
    """Class-conditional noise: ``matrix[i, j]`` (C, C) is the share of class i that is labelled j afterwards.

    Rows sum to 1. The counts of every class are exact (largest remainder), only who gets which is random.
    """
    labels = _labels(examples, "confuse_labels")
    try:
        shares = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        raise bad_value("matrix", "confuse_labels", matrix, "rows of numbers") from None
    classes = examples.num_classes
    if shares.shape != (classes, classes):
        raise bad_value("matrix", "confuse_labels", shares.shape, f"of shape ({classes}, {classes})")
    if not (
        np.isfinite(shares).all() and (shares >= 0).all() and np.allclose(shares.sum(axis=1), 1, atol=1e-6)
    ):
        raise InputError("confuse_labels: matrix must have rows of non-negative shares that sum to 1.")
    noisy = labels.copy()
    for label in range(classes):
        rows = np.flatnonzero(labels == label)
        rows = rows[hash_order(examples.ids[rows], derive_seed("confuse_labels", seed))]
        noisy[rows] = np.repeat(np.arange(classes), _quotas(shares[label], len(rows)))
    return _noisy(examples, labels, noisy)


def _labels(examples: Examples, owner: str) -> IntArray:
    labels = labels_of(examples, owner)
    if examples.num_classes < 2:
        raise InputError(f"{owner}: examples must have at least two classes, got {examples.num_classes}.")
    return labels


def _choose(examples: Examples, rate: float, seed: int, owner: str) -> IntArray:
    """Rows with the smallest hashes, in hash order: round(rate * N) of them."""
    check_rate(rate, owner)
    count = nearest_count(rate, len(examples))
    return hash_order(examples.ids, derive_seed(f"{owner} rows", seed))[:count]


def _quotas(shares: npt.NDArray[np.float64], total: int) -> IntArray:
    """Whole numbers that sum to ``total``, nearest to ``shares * total`` (largest remainder, then lower class)."""
    exact = np.round(shares / shares.sum() * total, 9)
    counts: IntArray = np.floor(exact).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: total - counts.sum()]] += 1
    return counts


def _noisy(examples: Examples, before: IntArray, after: IntArray) -> NoisyLabels:
    return NoisyLabels(examples.with_labels(after), before != after)
