"""Scores beside columns from elsewhere: published scores, human votes. Joined by id, compared by rank.

A column from elsewhere has no runs and is taken as it is, so a correlation is corrected for the attenuation of the
score alone: rho / sqrt(reliability of the score).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from scoring.compare.agreement.averaged import averaged_correlations, mean_of_runs
from scoring.compare.agreement.cell_agreement import corrected_estimates
from scoring.compare.agreement.kendall import hashed_rows
from scoring.compare.agreement.rank_gram import centred_ranks, correlations
from scoring.compare.agreement.run_pairs import RunPairs
from scoring.compare.intervals.crossed_error import Estimates, estimate, jackknife_variance
from scoring.compare.intervals.spearman_error import (
    MOST_ROWS,
    mean_influences,
    standard_ranks,
    variance_of_mean,
)
from scoring.compare.ranks import Floats, hard_high, has_hard_end
from scoring.compare.run_scores import RunScores
from scoring.ids import id_column
from scoring.meaning import Meaning

if TYPE_CHECKING:
    from scoring.table import ScoreTable

Ints = npt.NDArray[np.int64]
LEAST_EXAMPLES = 3


@dataclass(frozen=True)
class External:
    """A column from elsewhere on the examples that have a value in it.

    Attributes:
        meaning: what a high value means there; with a hard end it is turned so that high is hard.
        rows: positions of its examples among the compared ones, (n,).
        values: (n,).
        missing: compared examples that it lacks, or has NaN for.
        unknown: rows of it that belong to no compared example.
    """

    name: str
    meaning: Meaning
    rows: Ints
    values: Floats
    missing: int
    unknown: int


@dataclass(frozen=True)
class Beside:
    """Spearman correlation of one score of one architecture with one column from elsewhere; intervals are 95 %."""

    column: str
    score: str
    architecture: str
    examples: int
    runs: int
    single: Estimates | None
    """Mean over single runs; None with one run, as the next two."""
    averaged: Estimates
    """Of the score averaged over runs."""
    reliability: float | None
    corrected: Estimates | None
    """``single`` / sqrt(reliability); NaN if that is too low. 1 means: all of the score that is no noise of runs."""


def externals(scores: RunScores, table: ScoreTable) -> list[External]:
    """Score columns of ``table`` matched by id; integers and strings never match."""
    known, given = id_column(scores.ids, "beside"), id_column(table.ids, "beside")
    if known.type != given.type:
        place = np.full(len(known), -1)
    else:
        place = pc.fill_null(pc.index_in(known, value_set=given), -1).to_numpy(zero_copy_only=False)
    found, there = [], np.flatnonzero(place >= 0)
    for name in table.scores:
        meaning, values = cast(Meaning, table.meaning(name)), table.column(name)[place[there]]
        turned = hard_high(values, meaning, name) if has_hard_end(meaning) else values
        usable = ~np.isnan(turned)
        found.append(
            External(
                name, meaning, there[usable].astype(np.int64), turned[usable],
                missing=len(scores) - int(usable.sum()), unknown=len(table) - len(there),
            )
        )  # fmt: skip
    return found


def beside(scores: RunScores, columns: list[External], *, seed: int = 0) -> list[Beside]:
    """Every score of every architecture against every column that has at least 3 examples, column by column."""
    usable = [column for column in columns if len(column.rows) >= LEAST_EXAMPLES]
    groups: dict[bytes, list[External]] = {}
    for column in usable:
        groups.setdefault(column.rows.tobytes(), []).append(column)
    found = [
        each
        for score in scores.scores
        for name in scores.architectures
        for group in groups.values()
        for each in _against(scores, score, name, group, seed)
    ]
    places = {column.name: i for i, column in enumerate(usable)}
    return sorted(found, key=lambda each: places[each.column])


def _against(
    scores: RunScores, score: str, architecture: str, columns: list[External], seed: int
) -> Iterator[Beside]:
    """One score against columns of the same examples."""
    rows = columns[0].rows
    values_RN = scores.values(score, architecture)[:, rows]
    runs, others = len(values_RN), len(columns)
    outside = np.stack([column.values for column in columns])
    ranks = np.stack([centred_ranks(values) for values in (*values_RN, *outside)])
    numbers = np.arange(runs + others)
    pairs = RunPairs(
        correlations(ranks @ ranks.T), np.maximum(numbers - runs + 1, 0), numbers, (np.arange(runs),)
    )
    some = hashed_rows(scores.ids[rows], MOST_ROWS, seed)
    averaged = averaged_correlations(np.stack([mean_of_runs(values_RN), *outside]), pairs, some).estimates()
    single, corrected, own = None, None, float("nan")
    if runs > 1:
        between, replicates = _alone(pairs.between()), [_alone(r) for r in pairs.replicates(pairs.between)]
        z_CN = standard_ranks(np.concatenate([values_RN[:, some], outside[:, some]]))
        influence = mean_influences(z_CN, pairs.block_C, pairs.run_C, False)
        influence[np.arange(1, others + 1), np.arange(1, others + 1)] = 0.0
        over_runs = [(jackknife_variance(each), len(each)) for each in replicates]
        single = estimate(between, variance_of_mean(influence, len(rows)), len(rows), over_runs)
        corrected = corrected_estimates(between, influence, replicates, len(rows))
        own = float(between[0, 0])
    for number, column in enumerate(columns, 1):
        yield Beside(
            column=column.name, score=score, architecture=architecture, examples=len(rows), runs=runs,
            single=None if single is None else single.at(0, number),
            averaged=averaged.at(0, number),
            reliability=None if np.isnan(own) else own,
            corrected=None if corrected is None else corrected.at(0, number),
        )  # fmt: skip


def _alone(between: Floats) -> Floats:
    """Columns from elsewhere count as free of error: 1 in their places on the diagonal, (..., G, G)."""
    found = between.copy()
    others = np.arange(1, found.shape[-1])
    found[..., others, others] = 1.0
    return found
