"""Permutation of run labels: would a random relabelling of the runs set an example as far apart?

Kwok et al. 2024 (arXiv 2401.01867; public code) compare the difference of replicate means with 100 random
relabellings of the replicates, example by example. Few runs have few relabellings: with 5 against 5 there are 252, the
observed one and its mirror are among them, and no p-value is below 2/252 = .008. At a false discovery rate of .05 that
test therefore finds nothing, whatever the data, unless a sixth of all examples reach that smallest value together.

``pooled_permutation`` compares each example with the relabelled statistics of *all* examples, as SAM does (Tusher,
Tibshirani & Chu 2001, PNAS 98:5116), and so has p-values down to 1 / (relabellings x examples).
"""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.compare.ranks import Bools, Floats
from scoring.errors import InputError, bad_value

MOST_ENUMERATED = 1000
"""Up to so many relabellings all are used by the test of single examples."""
CHUNK_CELLS = 1 << 22
LEAST_NOISE = 0.01
"""Of the louder side: the noise of runs that are all equal cannot be a unit."""
BLOCK = 1 << 15
"""Examples whose relabelled sums are formed at a time."""
TIE = 1e-9
"""Statistics closer than this, relative to the largest, count as equal: sums of the same numbers in another order."""


def relabellings(first: int, second: int, most: int, seed: int) -> Bools:
    """Which runs count as the first architecture, (B, first + second).

    Of at most 1,000 possible ones ``most``, or all but the observed labels and their mirror; of more, ``most`` random
    ones.
    """
    runs = first + second
    observed: Bools = np.arange(runs) < first
    if comb(runs, first) <= MOST_ENUMERATED:
        sets: Bools = np.zeros((comb(runs, first), runs), dtype=np.bool_)
        for row, members in enumerate(combinations(range(runs), first)):
            sets[row, list(members)] = True
        same = (sets == observed).all(axis=1) | (sets == ~observed).all(axis=1)
        sets = sets[~same]
        if len(sets) <= most:
            return sets
        return sets[np.sort(np.random.default_rng(seed).choice(len(sets), most, replace=False))]
    rng = np.random.default_rng(seed)
    return np.stack([observed[rng.permutation(runs)] for _ in range(most)])


def example_permutation(
    first_RN: npt.ArrayLike, second_RN: npt.ArrayLike, *, permutations: int = 100, seed: int = 0
) -> Floats:
    """p of |difference of means| among relabellings of the runs, example by example, (N,).

    Exact, as the share of all relabellings (the observed one among them) at least as extreme, if there are at
    most 1,000; else (1 + number at least as extreme) / (1 + permutations) over random ones (Phipson & Smyth 2010).

    Raises:
        InputError: infinite values (use ranks), other shapes.
    """
    first, second = _checked(first_RN, second_RN, permutations, "example_permutation")
    a, b = len(first), len(second)
    both = np.concatenate([first, second])
    both = both - both.mean(axis=0)
    total = both.sum(axis=0)
    observed = np.abs(first.mean(axis=0) - second.mean(axis=0))
    limit = observed - TIE * np.abs(both).max(axis=0)
    enumerated = comb(a + b, a) <= MOST_ENUMERATED
    labels = relabellings(a, b, MOST_ENUMERATED if enumerated else permutations, seed)
    extreme = np.full(both.shape[1], float(2 if a == b else 1) if enumerated else 1.0)
    for some in _chunks(labels, both.shape[1]):
        sums = some @ both
        extreme += (np.abs(sums / a - (total - sums) / b) >= limit).sum(axis=0)
    found: Floats = extreme / (comb(a + b, a) if enumerated else 1 + len(labels))
    return found


def pooled_permutation(
    first_RN: npt.ArrayLike, second_RN: npt.ArrayLike, *, permutations: int = 100, seed: int = 0
) -> Floats:
    """p of SAM's d among the relabelled d of all examples, (N,): (1 + number at least as extreme) / (1 + B N).

    d = |difference of means| / (its Welch standard error + s0), so that examples whose few runs happen to agree do not
    lead. s0 is the median standard error of all examples (as Tibshirani et al. 2002, PNAS 99:6567; SAM searches for its
    own). The observed labels and their mirror are not in the pool (of the 20 relabellings of 3 against 3 they would be
    a tenth). Sensitive examples stay in it: under other labels their runs disagree and d is small, which lowers p
    at most by the share of insensitive examples, the share that the Benjamini-Hochberg step leaves unused.

    Labels can change places where runs of both sides are equally noisy; where one side is noisier, the relabelled d
    would be too small. So what changes places are deviations in units of the noise of their side (its mean over all
    examples), and they take on the noise of the side they come to. With equal noise that is plain relabelling.

    Raises:
        InputError: infinite values (use ranks), other shapes, fewer than two runs.
    """
    first, second = _checked(first_RN, second_RN, permutations, "pooled_permutation")
    a, b = len(first), len(second)
    if min(a, b) < 2:
        raise bad_value("runs", "pooled_permutation", (a, b), "at least 2 of each architecture")
    count, noise = first.shape[1], _noise(first, second)
    given = (np.arange(a + b) < a)[None].astype(np.float64)
    labels = relabellings(a, b, permutations, seed).astype(np.float64)
    difference, error = np.empty((2, 1, count))
    for some in _blocks(count):
        both = np.concatenate([first[:, some], second[:, some]])
        difference[:, some], error[:, some] = _difference_and_error(both, given, (1.0, 1.0), np.zeros(1))
    s0 = float(np.median(error))
    if s0 == 0:
        s0 = float(error.mean()) or 1.0
    observed = (difference / (error + s0))[0]
    means_B = np.random.default_rng(seed).permutation(_normal(len(labels)))
    pool_BN = np.empty((len(labels), count))
    for some in _blocks(count):
        both = _deviations(first[:, some], second[:, some], noise)
        part, spread = _difference_and_error(both, labels, noise, means_B)
        pool_BN[:, some] = part / (spread + s0)
    order = np.argsort(observed, kind="stable")
    limits = observed[order] * (1 - TIE)
    extreme = np.zeros(count)
    for d_N in pool_BN:
        d_N.sort()
        extreme += count - np.searchsorted(d_N, limits, side="left")
    p: Floats = np.empty_like(observed)
    p[order] = (1 + extreme) / (1 + len(labels) * count)
    return p


def _noise(first_RN: Floats, second_RN: Floats) -> tuple[float, float]:
    """Noise of the runs of either side, relative to the louder one: roots of the mean variance over all examples."""
    squares = np.zeros(2)
    for some in _blocks(first_RN.shape[1]):
        squares += [each[:, some].var(axis=0, ddof=1).sum() for each in (first_RN, second_RN)]
    if squares.max() == 0:
        return 1.0, 1.0
    one, two = np.maximum(np.sqrt(squares / squares.max()), LEAST_NOISE).tolist()
    return one, two


def _deviations(first_RN: Floats, second_RN: Floats, noise: tuple[float, float]) -> Floats:
    """Deviations of all runs from their common mean in units of the noise of their side, (R1 + R2, N).

    The best common mean weighs runs by 1 / noise^2. Quieter runs lie nearer to it than others, which is made up for.
    """
    both = np.concatenate([first_RN, second_RN])
    noise_R1 = np.repeat(noise, [len(first_RN), len(second_RN)])[:, None]
    weight_R1 = noise_R1**-2 / (noise_R1**-2).sum()
    nearer_R1 = np.sqrt((1 - weight_R1) / (1 - 1 / len(both)))
    both -= (weight_R1 * both).sum(axis=0)
    both /= noise_R1 * nearer_R1
    return both


def _difference_and_error(
    both_RN: Floats, labels_BR: Floats, noise: tuple[float, float], means_B: Floats
) -> tuple[Floats, Floats]:
    """|difference of means| and its Welch standard error under every labelling, (B, N) each.

    Runs are multiplied by the ``noise`` of the side they come to. Deviations have lost their mean, which then is no
    longer the same on both sides: ``means_B`` puts one back, in standard errors.
    """
    runs, a = len(both_RN), int(labels_BR[0].sum())
    b = runs - a
    both = both_RN - both_RN.mean(axis=0)
    squared = both**2
    sums, powers = labels_BR @ both, labels_BR @ squared
    rest, others = both.sum(axis=0) - sums, squared.sum(axis=0) - powers
    variance = noise[0] ** 2 * np.maximum(powers - sums**2 / a, 0) / (a - 1) / a
    variance += noise[1] ** 2 * np.maximum(others - rest**2 / b, 0) / (b - 1) / b
    difference = noise[0] * sums / a - noise[1] * rest / b
    if noise[0] != noise[1]:
        mean_error_N = np.sqrt(squared.sum(axis=0) / (runs - 1) / runs)
        difference += (noise[0] - noise[1]) * means_B[:, None] * mean_error_N
    return np.abs(difference), np.sqrt(variance)


def _normal(count: int) -> Floats:
    """Evenly spaced normal quantiles with variance 1; 0 of one."""
    quantiles = special.ndtri((np.arange(count) + 0.5) / count)
    found: Floats = quantiles / (float(np.sqrt((quantiles**2).mean())) or 1.0)
    return found


def _blocks(count: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, count, BLOCK)]


def _checked(
    first: npt.ArrayLike, second: npt.ArrayLike, permutations: int, owner: str
) -> tuple[Floats, Floats]:
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise bad_value("runs", owner, (x.shape, y.shape), "two arrays (runs, examples) of the same examples")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise InputError(f"{owner}: values must be finite, and some are not; give ranks instead.")
    if permutations < 1:
        raise bad_value("permutations", owner, permutations, "at least 1")
    return x, y


def _chunks(labels: npt.NDArray[np.bool_], count: int) -> list[Floats]:
    rows = max(1, CHUNK_CELLS // max(count, 1))
    return [labels[start : start + rows].astype(np.float64) for start in range(0, len(labels), rows)]
