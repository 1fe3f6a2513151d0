"""Sensitive examples: which examples do two architectures rank differently, beyond what their own runs differ by?

Kwok et al. 2024 (arXiv 2401.01867) test every example for a difference between architectures over their runs. Here the
tests are on ranks, since the scale of a score differs between architectures: normal scores of ranks
(``normal_scores``), levelled so that neither shifts of other examples nor noisier runs of one side count
(``normal_scores.Level``), then Welch's t or permutations of run labels, and q-values over all examples of one score
and pair (Benjamini & Hochberg 1995). Deliberate differences from Kwok et al.: ranks instead of values, levelling,
a pooled null, q-values.

Measured (tests: 200 draws each of 500 examples, 40 of them shifted by three standard deviations, q = .05): false
discoveries .02 to .065 and power .92 to 1 with 3, 5 and 10 runs of equal noise, with and without ties; .06 to .07
with twice the noise in one architecture. Of 500 examples without any difference, none was called in 85 % of the
draws or more with up to four times the noise in one of them. The excess over .05 is what levelling leaves where many
examples of like difficulty are sensitive; so where a third of the hardest are, more of the others are called than the
q-values say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.compare.ranks import Bools, Floats
from scoring.compare.run_scores import RunScores
from scoring.compare.sensitive.multiple_testing import benjamini_hochberg, simes
from scoring.compare.sensitive.normal_scores import Level, normal_scores
from scoring.compare.sensitive.permutation import example_permutation, pooled_permutation
from scoring.compare.sensitive.welch import SAME, Moments, hedges_g, welch, welch_t
from scoring.errors import bad_value
from scoring.hashing import derive_seed

Method = Literal["auto", "welch", "pooled", "permutation"]
METHODS: Sequence[Method] = ("auto", "welch", "pooled", "permutation")
OWNER = "sensitive"
ENOUGH_FOR_WELCH = 10
"""Runs of either architecture from which ``auto`` takes Welch's t. With few its degrees of freedom are estimates of
their own, too many as often as too few: of 5,000 examples without a difference, with four times the noise in the first
architecture, some are called in 30 % of the draws with 6 and 6 runs and in 61 % with 6 and 20, in 13 % with 10 and 20;
and with 3 to 5 runs it finds less than the pooled permutations."""
MOST_POOLED = 500_000
"""Of relabelled statistics that the pooled null need not exceed: many examples ask for fewer relabellings."""
ANCHORS_WITHIN = 2.0
ROUNDS = 2


@dataclass(frozen=True)
class Sensitive:
    """Which of N examples two architectures rank differently under one score.

    Attributes:
        score, first, second, runs: what was compared; runs of either.
        method: the test that was used.
        first_N, second_N: mean percentile over runs, 0 easiest, 100 hardest, (N,).
        g_N: Hedges' g of the levelled normal scores, (N,); positive where the first architecture finds it harder.
        p_N, q_N: of the test, and its Benjamini-Hochberg q-values, (N,).
    """

    score: str
    first: str
    second: str
    runs: tuple[int, int]
    method: Method
    first_N: Floats
    second_N: Floats
    g_N: Floats
    p_N: Floats
    q_N: Floats

    @property
    def effect_N(self) -> Floats:
        """Difference of the mean percentiles, first minus second, (N,)."""
        return self.first_N - self.second_N

    def found(self, q: float = 0.05) -> Bools:
        """Examples with a q-value below ``q``, (N,) bool."""
        return self.q_N < q

    def count(self, q: float = 0.05) -> int:
        """How many there are."""
        return int(self.found(q).sum())

    def most(self, count: int, q: float = 0.05) -> npt.NDArray[np.int64]:
        """Positions of the sensitive examples of the largest difference of percentiles, the largest first."""
        rows = np.flatnonzero(self.found(q))
        return rows[np.lexsort((rows, self.p_N[rows], -np.abs(self.effect_N[rows])))][:count]


@dataclass(frozen=True)
class Null:
    """Sensitive examples between halves of the runs of *one* architecture, in several random splits: what chance finds.

    Attributes:
        counts: per split.
        runs: of the two halves.
    """

    architecture: str
    counts: Sequence[int]
    runs: tuple[int, int]

    @property
    def median(self) -> float:
        return float(np.median(self.counts))

    @property
    def most(self) -> int:
        return max(self.counts)


@dataclass(frozen=True)
class Places:
    """Where R runs of one score and architecture put N examples.

    Attributes:
        percent_N: mean percentile over runs.
        z_RN: normal scores.
        hidden_N: variance that ties hide.
        fixed_N: the value that all runs give, NaN where they differ.
    """

    percent_N: Floats
    z_RN: Floats
    hidden_N: Floats
    fixed_N: Floats

    @classmethod
    def of(cls, scores: RunScores, score: str, architecture: str) -> Places:
        ranks_RN = scores.ranks(score, architecture)
        z_RN, hidden_N = normal_scores(ranks_RN)
        values_RN = scores.values(score, architecture)
        fixed_N = np.where((values_RN == values_RN[0]).all(axis=0), values_RN[0], np.nan)
        return cls(100 * ranks_RN.mean(axis=0), z_RN, hidden_N, fixed_N)

    def part(self, runs: npt.NDArray[np.int64]) -> Places:
        """Some of the runs, for a null; percentiles are not made again."""
        return Places(self.percent_N, self.z_RN[runs], self.hidden_N, self.fixed_N)


def sensitive(
    scores: RunScores,
    score: str,
    first: str,
    second: str,
    *,
    method: Method = "auto",
    permutations: int = 100,
    seed: int = 0,
) -> Sensitive:
    """Test every example for a difference of rank between two architectures over their runs.

    Args:
        scores: with at least two runs of either architecture.
        score, first, second: names in ``scores``.
        method: ``welch`` (t-test), ``pooled`` (permutations of run labels against the null of all examples together),
            ``permutation`` (the same example by example, as Kwok et al.; see ``permutation`` for its smallest p),
            or ``auto``: ``welch`` with at least 10 runs of either, else ``pooled``.
        permutations: relabellings; ``pooled`` takes fewer, but at least 20, with more than 5,000 examples.
        seed: decides the relabellings.

    Ties: an example whose value is the same in all runs of both has p = 1. In Welch's t tied ranks count as broken at
    random, so a score that ties for most examples says little; for the same reason no variance is 0. Infinite
    values rank as numbers.

    Raises:
        InputError: unknown names, fewer than two runs.
    """
    sides = [Places.of(scores, score, name) for name in (first, second)]
    return sensitive_places(sides[0], sides[1], (score, first, second), method, permutations, seed)


def sensitive_places(
    a: Places, b: Places, names: tuple[str, str, str], method: Method, permutations: int, seed: int
) -> Sensitive:
    """``sensitive`` of what was ranked before."""
    runs = (len(a.z_RN), len(b.z_RN))
    if method not in METHODS:
        raise bad_value("method", OWNER, method, ", ".join(METHODS))
    if min(runs) < 2:
        raise bad_value("runs", OWNER, dict(zip(names[1:], runs)), "at least 2 of either architecture")
    method = chosen(method, runs)
    one, two, usual_N, difference_N = _levelled(a, b)
    if method == "welch":
        p_N = welch(one, two, difference_N)
    else:
        shifted_RN = a.z_RN - usual_N
        if method == "pooled":
            enough = max(20, MOST_POOLED // len(usual_N))
            p_N = pooled_permutation(shifted_RN, b.z_RN, permutations=min(permutations, enough), seed=seed)
        else:
            p_N = example_permutation(shifted_RN, b.z_RN, permutations=permutations, seed=seed)
    p_N[_alike(a, b, difference_N)] = 1
    q_N = benjamini_hochberg(p_N)
    g_N = hedges_g(one, two, difference_N)
    return Sensitive(*names, runs, method, a.percent_N, b.percent_N, g_N, p_N, q_N)


def _levelled(a: Places, b: Places) -> tuple[Moments, Moments, Floats, Floats]:
    """Moments of either side, the usual difference of their means, and what differs beyond it, (N,).

    Examples that differ by more than two standard errors have no say in what is usual, unless most do.
    """
    one, two = (Moments.of(side.z_RN, side.hidden_N) for side in (a, b))
    level = Level(one.mean_N, two.mean_N)
    usual_N = level.of()
    for _ in range(ROUNDS):
        t_N = welch_t(one, two, level.difference_N - usual_N)
        usual_N = level.of(t_N <= max(ANCHORS_WITHIN, float(np.median(t_N))))
    return one, two, usual_N, level.difference_N - usual_N


def _alike(a: Places, b: Places, difference_N: Floats) -> Bools:
    alike: Bools = (a.fixed_N == b.fixed_N) | (np.abs(difference_N) < SAME)
    return alike


def chosen(method: Method, runs: tuple[int, int]) -> Method:
    """What ``auto`` stands for: Welch's t with enough runs on both sides, about equally many, else permutation.

    With 10 runs against 20 noisier or less noisy ones its far tail is too heavy for thousands of examples.
    """
    if method != "auto":
        return method
    enough = min(runs) >= ENOUGH_FOR_WELCH and max(runs) < 2 * min(runs)
    return "welch" if enough else "pooled"


def null(
    scores: RunScores,
    score: str,
    architecture: str,
    *,
    q: float = 0.05,
    splits: int = 10,
    method: Method = "welch",
    permutations: int = 100,
    seed: int = 0,
) -> Null:
    """The same test between random halves of the runs of one architecture, ``splits`` times: what to expect by chance.

    Raises:
        InputError: fewer than four runs.
    """
    return null_places(
        Places.of(scores, score, architecture), (score, architecture), q, splits, method, permutations, seed
    )


def null_places(
    places: Places,
    names: tuple[str, str],
    q: float,
    splits: int,
    method: Method,
    permutations: int,
    seed: int,
) -> Null:
    """``null`` of what was ranked before."""
    runs = len(places.z_RN)
    if runs < 4:
        raise bad_value("runs", "sensitive null", {names[1]: runs}, "at least 4, two for either half")
    half = runs // 2
    halves = (half, runs - half)
    # A t has heavier tails than a normal: where the normal p is above q, so is p, and no discovery is missed.
    least = float(special.ndtri(1 - q / 2))
    rng = np.random.default_rng(derive_seed("sensitive null", seed, *names))
    counts = []
    for _ in range(splits):
        order = rng.permutation(runs)
        a, b = places.part(order[:half]), places.part(order[half:])
        if chosen(method, halves) == "welch":
            one, two, _, difference_N = _levelled(a, b)
            p_N = welch(one, two, difference_N, least=least)
            p_N[_alike(a, b, difference_N)] = 1
            counts.append(int((benjamini_hochberg(p_N) < q).sum()))
        else:
            counts.append(sensitive_places(a, b, (names[0], "a", "b"), method, permutations, seed).count(q))
    return Null(names[1], counts, halves)


def any_pair(found: Sequence[Sensitive]) -> Floats:
    """q-values that an example is sensitive to *some* pair of architectures under one score, (N,).

    Simes' p over the pairs (1986), then Benjamini-Hochberg over the examples.
    """
    return benjamini_hochberg(simes(np.stack([each.p_N for each in found])))


def pairs(scores: RunScores) -> list[tuple[str, str]]:
    """Pairs of architectures that have at least two runs each."""
    several = [name for name in scores.architectures if len(scores.runs[name]) > 1]
    return list(combinations(several, 2))
