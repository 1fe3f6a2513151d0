"""Correlations and common hardest examples of all scores in all runs: what every statement about agreement is made of.

One pass over the scores: ranks and kept sets go to a ``ColumnScratch``, and come back as inner products within every
architecture (all scores in all its runs) and, score by score, over all architectures.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from scoring.compare.agreement.rank_gram import ColumnScratch, centred_ranks, correlations
from scoring.compare.agreement.run_pairs import RunPairs
from scoring.compare.kept_sets import kept_count
from scoring.compare.ranks import chance_in_top
from scoring.compare.run_scores import RunScores


@dataclass(frozen=True)
class CellCorrelations:
    """Spearman correlations between single runs.

    Attributes:
        rho: architecture -> all its scores (blocks) in all its runs.
        common: architecture -> how many examples are among the ``kept`` hardest of both columns, in expectation where
            ties at the cut are broken at random, in each set by itself.
        across: score -> its correlations in all architectures (blocks); empty of one architecture.
        kept: size of the kept sets.
    """

    rho: dict[str, RunPairs]
    common: dict[str, RunPairs]
    across: dict[str, RunPairs]
    kept: int


_FOUND: WeakKeyDictionary[RunScores, dict[float, CellCorrelations]] = WeakKeyDictionary()


def cell_correlations(scores: RunScores, keep: float = 0.3) -> CellCorrelations:
    """Correlations between all single runs; remembered as long as ``scores`` lives, as several questions read them."""
    known = _FOUND.setdefault(scores, {})
    if keep not in known:
        known[keep] = _measure(scores, keep)
    return known[keep]


def _measure(scores: RunScores, keep: float) -> CellCorrelations:
    kept = kept_count(keep, len(scores))
    names, several = scores.architectures, len(scores.architectures) > 1
    runs = [len(scores.runs[name]) for name in names]
    cells = [(name, score) for name in names for score in scores.scores]
    starts = np.cumsum([0, *(len(scores.runs[name]) for name, _ in cells)])
    columns = {cell: np.arange(a, b) for cell, a, b in zip(cells, starts, starts[1:])}
    inside = [np.concatenate([columns[name, score] for score in scores.scores]) for name in names]
    outside = [
        np.concatenate([columns[name, score] for name in names])
        for score in (scores.scores if several else ())
    ]
    shape = int(starts[-1]), len(scores)
    with ColumnScratch(*shape) as ranks, ColumnScratch(*shape) as sets:
        for name, score in cells:
            for column, values in zip(columns[name, score], scores.values(score, name)):
                ranks[column] = centred_ranks(values)
                sets[column] = chance_in_top(values, kept)
        rho = [correlations(each) for each in ranks.grams([*inside, *outside])]
        common = sets.grams(inside)

    def of_scores(matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]], count: int) -> RunPairs:
        numbers = np.arange(count)
        return RunPairs(
            matrix, np.repeat(np.arange(len(scores.scores)), count), np.tile(numbers, len(scores.scores)), (numbers,)
        )  # fmt: skip

    sets_of_runs = tuple(np.split(np.arange(sum(runs)), np.cumsum(runs)[:-1]))
    blocks = np.repeat(np.arange(len(names)), runs)
    return CellCorrelations(
        rho={name: of_scores(rho[i], runs[i]) for i, name in enumerate(names)},
        common={name: of_scores(common[i], runs[i]) for i, name in enumerate(names)},
        across={
            score: RunPairs(matrix, blocks, np.arange(sum(runs)), sets_of_runs)
            for score, matrix in zip(scores.scores, rho[len(names) :])
        },
        kept=kept,
    )
