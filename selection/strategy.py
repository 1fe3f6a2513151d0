"""The strategy protocol: candidates and a number of rows in, chosen rows out.

A strategy owns one rule. Reading tables, budgets, NaN policies, groups and quotas, weights and files belong to
``selection.run``, which calls the strategy once per pool of candidates (all rows, or one group) with that pool's share
of the budget. So any quota works on top of any strategy.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from scoring.hashing import Ids
from scoring.table import ScoreTable

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """N rows that a strategy may choose from; none has NaN in the column ``by``."""

    table: ScoreTable
    rows_N: IntArray
    """Their positions in the table."""
    by: str | None
    """The score column, or None for strategies that read no score."""
    seed: int

    def __len__(self) -> int:
        return len(self.rows_N)

    @cached_property
    def ids_N(self) -> Ids:
        """Ids, int64 or str."""
        return self.table.ids[self.rows_N]

    @cached_property
    def scores_N(self) -> FloatArray:
        """The score column; infinities are values."""
        assert self.by is not None, "the strategy declares that it reads no score"
        return self.column(self.by)

    def column(self, name: str) -> FloatArray:
        """Any column of the table, for strategies that read several; may hold NaN if it is not ``by``."""
        return self.table.column(name, self.rows_N)


@dataclass(frozen=True)
class Chosen:
    """K chosen rows in order of preference, first choice first."""

    rows_K: IntArray
    """Positions among the candidates, without repeats."""
    reason: str
    """Why, in a few words that hold for all of them; ranks have their own field."""
    rank_K: IntArray | None = None
    """Rank of each row in the strategy's order, from 1; None where rows have no order."""
    probability_K: FloatArray | None = None
    """Chance of each row to be chosen over the draw of the seed; None for certainty."""


@dataclass(frozen=True)
class Strategy:
    """A frozen dataclass whose fields are the options of one selection rule."""

    reads_scores: ClassVar[bool] = True
    """Whether ``by`` must name a score column; the NaN policy applies only then."""

    def check(self, by: str, meaning: str) -> None:
        """Refuse a column whose meaning does not fit the rule, with one sentence."""

    @property
    def bounded(self) -> bool:
        """Whether the options alone say how much to keep, so that no budget needs to be given."""
        return False

    def room(self, n: int) -> int:
        """How many of n candidates the rule can choose at most."""
        return n

    def select(self, candidates: Candidates, budget: int) -> Chosen:
        """Choose exactly ``budget`` rows, ``0 <= budget <= room(len(candidates))``.

        A rule that finds out only here that there are fewer (duplicates removed, say) returns fewer, which is an
        error unless the user said ``allow_short``. The choice must follow from ids, columns and seed alone, never
        from the order of the rows: use ``scoring.order`` and ``scoring.hashing``.
        """
        raise AssertionError(f"{type(self).__name__} has no select()")
