"""A strategy with its NaN policy: what ``select`` applies to every pool."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, name_some
from scoring.order import hash_order
from scoring.table import ScoreTable
from selection.pools import Pool
from selection.strategy import Candidates, Chosen, Strategy

IntArray = npt.NDArray[np.int64]
NAN_POLICIES = ("error", "drop", "keep")


@dataclass(frozen=True)
class Chooser:
    """The strategy with its NaN policy, applied to any pool of candidate rows."""

    everyone: Candidates
    strategy: Strategy
    is_nan: npt.NDArray[np.bool_]
    """Rows of the table without a score, (N,)."""

    @classmethod
    def prepare(cls, table: ScoreTable, strategy: Strategy, by: str | None, seed: int, nan: str) -> Chooser:
        """Find the rows without a score and decide on them."""
        missing = np.zeros(len(table), dtype=bool) if by is None else np.isnan(table.column(by))
        if nan == "error" and missing.any():
            raise InputError(
                f"select: scores by {by!r} must not be NaN, got {missing.sum():,} of {len(table):,} NaN "
                f"(ids {name_some(np.sort(table.ids[missing]).tolist())}); "
                "pass nan='drop' or nan='keep'."
            )
        rows = np.flatnonzero(~missing) if nan == "drop" else np.arange(len(table))
        return cls(Candidates(table, rows, by, seed), strategy, missing)

    def room(self, rows: IntArray) -> int:
        """How many of the rows can be chosen."""
        missing = int(self.is_nan[rows].sum())
        return missing + self.strategy.room(len(rows) - missing)

    def choose(self, pool: Pool) -> list[Chosen]:
        """Rows of the pool, as positions in the table: those kept without a score, then the strategy's."""
        parts = []
        where = "" if pool.name is None else f" in group {pool.name}"
        lost = pool.rows_N[self.is_nan[pool.rows_N]]
        budget = pool.budget
        if len(lost):
            taken = min(budget, len(lost))
            order = hash_order(self.everyone.table.ids[lost], self.everyone.seed)[:taken]
            chance = np.full(taken, taken / len(lost))
            parts.append(Chosen(lost[order], f"no {self.everyone.by} score{where}", probability_K=chance))
            budget -= taken
        candidates = replace(self.everyone, rows_N=pool.rows_N[~self.is_nan[pool.rows_N]])
        chosen = self.strategy.select(candidates, budget)
        check_chosen(chosen, budget, len(candidates), self.strategy)
        rows = candidates.rows_N[chosen.rows_K]
        parts.append(replace(chosen, rows_K=rows, reason=chosen.reason + where))
        return [part for part in parts if len(part.rows_K)]


def check_chosen(chosen: Chosen, budget: int, n: int, strategy: Strategy) -> None:
    """What a strategy promises; somebody else's may not hold it."""
    rows = chosen.rows_K
    wrong = None
    if len(rows) > budget:
        wrong = f"at most {budget:,} rows, got {len(rows):,}"
    elif len(np.unique(rows)) < len(rows):
        wrong = "different rows, got some twice"
    elif len(rows) and (rows.min() < 0 or rows.max() >= n):
        wrong = f"positions of its {n:,} candidates, got {rows.min()} to {rows.max()}"
    elif any(a is not None and len(a) != len(rows) for a in (chosen.rank_K, chosen.probability_K)):
        wrong = f"one rank and one probability per row, got {len(rows):,} rows and another number of these"
    if wrong is not None:
        raise InputError(f"select: take {type(strategy).__name__!r} must choose {wrong}.")
