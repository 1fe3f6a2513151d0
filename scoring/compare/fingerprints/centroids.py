"""Nearest centroids of architectures on a few examples, with shrunken standard deviations."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats

Ints = npt.NDArray[np.int64]


@dataclass
class Sums:
    """Of the runs of every architecture: how many, sums and sums of squares, (A,), (A, N), (A, N)."""

    runs_A: Floats
    sum_AN: Floats
    square_AN: Floats

    def plus(self, other: Sums) -> Sums:
        """Those of both."""
        return Sums(self.runs_A + other.runs_A, self.sum_AN + other.sum_AN, self.square_AN + other.square_AN)

    def without(self, held: dict[int, Floats]) -> Sums:
        """The same less some runs: architecture -> (runs, N)."""
        if not held:
            return self
        runs, sums, squares = self.runs_A.copy(), self.sum_AN.copy(), self.square_AN.copy()
        for a, values_RN in held.items():
            runs[a] -= len(values_RN)
            sums[a] -= values_RN.sum(axis=0)
            squares[a] -= (values_RN**2).sum(axis=0)
        return Sums(runs, sums, squares)


@dataclass(frozen=True)
class Centroids:
    """Means of A architectures on every example, (A, N), and one scale per example, (N,).

    The scale is the pooled standard deviation within architectures plus its median over the examples, the
    shrinkage of Tibshirani et al. 2002 (PNAS 99:6567): examples whose few runs happen to agree do not rule. Covariances
    are left out: a handful of runs cannot tell them, and a diagonal rule does as well as any on few samples (Dudoit,
    Fridlyand & Speed 2002).
    """

    mean_AN: Floats
    scale_N: Floats

    @classmethod
    def of(cls, sums: Sums) -> Centroids:
        """At least one run of every architecture; of one run each the scale is 1, as nothing is known of it."""
        runs_A1 = sums.runs_A[:, None]
        mean_AN = sums.sum_AN / runs_A1
        within_N = np.maximum(sums.square_AN - runs_A1 * mean_AN**2, 0).sum(axis=0)
        spread_N = np.sqrt(within_N / max(float(sums.runs_A.sum()) - len(sums.runs_A), 1.0))
        usual = float(np.median(spread_N))
        if usual <= 1e-7 * float(np.abs(mean_AN).max()):
            usual = float(spread_N.mean()) or 1.0
        return cls(mean_AN, spread_N + usual)

    def chosen(self, most: int) -> Ints:
        """Up to ``most`` examples, best first: for every pair of architectures in turn the one that tells it best.

        Best by |difference of means| / scale; equal ones in the order of the examples.
        """
        queues = []
        for a, b in combinations(range(len(self.mean_AN)), 2):
            apart_N = np.abs(self.mean_AN[a] - self.mean_AN[b]) / self.scale_N
            many = min(len(apart_N), most)
            limit = np.partition(apart_N, len(apart_N) - many)[len(apart_N) - many]
            rows = np.flatnonzero(apart_N >= limit)
            queues.append(rows[np.lexsort((rows, -apart_N[rows]))])
        taken: list[int] = []
        seen: set[int] = set()
        places = [0] * len(queues)
        while len(taken) < min(most, self.mean_AN.shape[1]):
            before = len(taken)
            for number, queue in enumerate(queues):
                while places[number] < len(queue) and int(queue[places[number]]) in seen:
                    places[number] += 1
                if places[number] < len(queue) and len(taken) < most:
                    taken.append(int(queue[places[number]]))
                    seen.add(taken[-1])
            if len(taken) == before:
                break
        return np.array(taken, dtype=np.int64)

    def only(self, rows: Ints) -> Centroids:
        return Centroids(self.mean_AN[:, rows], self.scale_N[rows])

    def distances(self, values_RK: Floats) -> Floats:
        """Mean squared standardised distance of every run to every architecture by the first 1, 2 ... K, (R, A, K)."""
        squared = ((values_RK[:, None] - self.mean_AN) / self.scale_N) ** 2
        found: Floats = np.cumsum(squared, axis=2) / np.arange(1, values_RK.shape[1] + 1)
        return found

    def separation(self) -> float:
        """Mean squared standardised distance of the two architectures that are nearest to each other."""
        pairs = combinations(range(len(self.mean_AN)), 2)
        return min(
            float((((self.mean_AN[a] - self.mean_AN[b]) / self.scale_N) ** 2).mean()) for a, b in pairs
        )
