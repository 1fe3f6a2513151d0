"""Means over pairs of runs of correlations between columns: within runs, between runs, of ranks averaged over runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.compare.agreement.rank_gram import correlations
from scoring.compare.intervals.crossed_error import LEAST_RUNS
from scoring.compare.ranks import Floats

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RunPairs:
    """Numbers for all pairs of C columns, each of one block in one run.

    Blocks are the S scores of one architecture, whose run r scored all of them, or one score in A architectures, whose
    runs have nothing in common.

    Attributes:
        matrix: (C, C), such as Spearman correlations; NaN rows of constant columns make their block NaN.
        block_C: 0..G-1; a block has at most one column of a run.
        run_C: 0..R-1.
        run_sets: Runs that can stand for each other: those of one architecture each. All of a set are left out in
            turn for the variance over runs.
    """

    matrix: Floats
    block_C: Ints
    run_C: Ints
    run_sets: tuple[Ints, ...]

    def only(self, blocks: Sequence[int]) -> RunPairs:
        """The same of some blocks, renumbered in the order given."""
        number = {block: i for i, block in enumerate(blocks)}
        chosen = np.flatnonzero(np.isin(self.block_C, list(blocks)))
        renamed = np.array([number[int(block)] for block in self.block_C[chosen]], dtype=np.int64)
        return RunPairs(self.matrix[np.ix_(chosen, chosen)], renamed, self.run_C[chosen], self.run_sets)

    def within(self, without: int = -1) -> Floats:
        """Mean over pairs from the same run, (G, G); NaN where there is none."""
        sums, pairs = self._sums(self.run_C[:, None] == self.run_C, without)
        return _ratio(sums, pairs)

    def between(self, without: int = -1) -> Floats:
        """Mean over pairs from different runs, (G, G); the diagonal is the reliability of single runs."""
        sums, pairs = self._sums(self.run_C[:, None] != self.run_C, without)
        return _ratio(sums, pairs)

    def mean_ranks(self, without: int = -1) -> Floats:
        """Correlations of the ranks averaged over runs, (G, G), where the matrix holds those of single runs."""
        return correlations(self._sums(np.ones_like(self.matrix, dtype=np.bool_), without)[0])

    def replicates(self, mean: Callable[[int], Floats]) -> list[Floats]:
        """One of the means above without one run each, (R, G, G) for every set of at least 3 runs."""
        return [
            np.stack([mean(int(run)) for run in runs]) for runs in self.run_sets if len(runs) >= LEAST_RUNS
        ]

    def _sums(self, chosen: npt.NDArray[np.bool_], without: int) -> tuple[Floats, Floats]:
        member_GC = np.zeros((int(self.block_C.max()) + 1, len(self.block_C)))
        member_GC[self.block_C, np.arange(len(self.block_C))] = self.run_C != without
        constant = np.isnan(np.diagonal(self.matrix))
        sums = member_GC @ np.where(chosen & ~np.isnan(self.matrix), self.matrix, 0.0) @ member_GC.T
        bad = (member_GC[:, constant] > 0).any(axis=1)
        sums[bad] = sums[:, bad] = np.nan
        return sums, member_GC @ chosen @ member_GC.T


def _ratio(sums: Floats, pairs: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = sums / pairs
    return found
