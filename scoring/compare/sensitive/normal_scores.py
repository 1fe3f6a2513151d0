"""Ranks as normal scores, and what two sets of runs differ by at every difficulty alike."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from scoring.compare.ranks import Bools, Floats

MOST_IN_WINDOW = 401
"""A running median is over at most so many examples, evenly spaced among those of its window."""


@lru_cache(maxsize=4)
def _quantiles(count: int) -> Floats:
    """Standard normal quantiles of 0/2N, 1/2N ... 2N/2N; the ends are infinite."""
    table: Floats = special.ndtri(np.arange(2 * count + 1) / (2 * count))
    table.flags.writeable = False
    return table


def normal_scores(ranks_RN: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Normal scores of scaled ranks, (R, N), and the variance that ties hide, (N,).

    z = Phi^-1((average rank - 1/2) / N), van der Waerden's scores with Hazen's plotting position: unlike ranks they
    have no walls at 0 and 1, so the noise of very easy and very hard examples is neither skewed nor squeezed. A rank
    is known only up to its block: if ties were broken at random, z would vary within it by about (width of the block in
    z)^2 / 12, which is the second array, a mean over runs; 0 where nothing ties.

    Args:
        ranks_RN: (average rank - 1/2) / N as ``RunScores.ranks`` gives them.
    """
    ranks = np.asarray(ranks_RN, dtype=np.float64)
    runs, count = ranks.shape
    table = _quantiles(count)
    z_RN = np.empty_like(ranks)
    hidden_N = np.zeros(count)
    for run, ranks_N in enumerate(ranks):
        place_N = np.rint(ranks_N * (2 * count)).astype(np.int64)
        z_RN[run] = table[place_N]
        size_N = np.bincount(place_N)[place_N]
        # The outer edges of the block; where it reaches the end, whose normal score is infinite, half a place less.
        low_N, high_N = np.maximum(place_N - size_N, 1), np.minimum(place_N + size_N, 2 * count - 1)
        hidden_N += (table[high_N] - table[low_N]) ** 2 / 12
    return z_RN, hidden_N / runs


class Level:
    """The usual difference of two means at every difficulty: a running median over examples of like difficulty.

    Ranks are relative: where some examples become harder all others become easier, and where the runs of one side
    are noisier all its ranks are drawn to the middle (attenuation). Both move examples that nothing sets apart, by an
    amount that depends on their difficulty alone. As microarrays are levelled before they are tested (Yang et al. 2002,
    Nucleic Acids Research 30:e15, there with lowess), the median difference among examples of like mean is taken off.
    Windows hold a tenth of the examples, fewer towards the ends; under 31 examples one median serves all.
    """

    def __init__(self, first_N: Floats, second_N: Floats) -> None:
        self.difference_N = first_N - second_N
        self.middle_N = (first_N + second_N) / 2
        self._order = np.argsort(self.middle_N, kind="stable")

    def of(self, anchors_N: Bools | None = None) -> Floats:
        """The usual difference, (N,), by the examples that ``anchors_N`` marks; default: all."""
        order = self._order if anchors_N is None else self._order[anchors_N[self._order]]
        count = len(order)
        if count < 31:
            return np.full(len(self.difference_N), float(np.median(self.difference_N[order])))
        half = max(10, count // 20)
        spread = 2 ** np.arange(3, 40)
        ends = spread[spread < half]
        centres = np.unique(np.r_[np.arange(half, count - half, max(1, half // 4)), ends, count - 1 - ends])
        centres = centres[(centres >= 7) & (centres <= count - 8)]
        reach = np.minimum(half, np.minimum(centres, count - 1 - centres))
        steps = np.linspace(-1, 1, min(MOST_IN_WINDOW, 2 * half + 1))
        places = order[centres[:, None] + np.rint(reach[:, None] * steps).astype(np.int64)]
        levels = np.median(self.difference_N[places], axis=1)
        return np.asarray(np.interp(self.middle_N, np.median(self.middle_N[places], axis=1), levels))
