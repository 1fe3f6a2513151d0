"""The rows at one end of a score: ``hardest``, ``easiest``, ``highest``, ``lowest``.

The hard end follows from the stored meaning of the score; it is never guessed. Smaller budgets give subsets of
larger ones, and a strictly increasing transform of the scores changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from scoring.errors import InputError
from scoring.meaning import HARD_WHEN_HIGH, Meaning
from scoring.order import score_order
from selection.strategy import Candidates, Chosen, Strategy


@dataclass(frozen=True)
class End(Strategy):
    """Rows in the order of the score from one end; ties by hash(seed, id)."""

    word: ClassVar[str]

    def highest_first(self, meaning: str) -> bool:
        """Which end comes first."""
        raise AssertionError

    def select(self, candidates: Candidates, budget: int) -> Chosen:
        """The first ``budget`` rows."""
        assert candidates.by is not None
        order = score_order(
            candidates.scores_N,
            candidates.ids_N,
            candidates.seed,
            highest_first=self.highest_first(candidates.table.meaning(candidates.by)),
        )
        return Chosen(
            rows_K=order[:budget],
            rank_K=np.arange(1, budget + 1),
            reason=f"{self.word} {candidates.by} of {len(candidates)}",
        )


@dataclass(frozen=True)
class Highest(End):
    """The highest values, whatever they mean."""

    word = "highest"

    def highest_first(self, meaning: str) -> bool:
        """Always."""
        return True


@dataclass(frozen=True)
class Lowest(End):
    """The lowest values, whatever they mean."""

    word = "lowest"

    def highest_first(self, meaning: str) -> bool:
        """Never."""
        return False


@dataclass(frozen=True)
class Hardest(End):
    """The rows that the score calls hardest: high loss, low margin ...; refused for scores without a hard end."""

    word = "hardest"

    def check(self, by: str, meaning: str) -> None:
        """Only scores that speak of difficulty have a hard end."""
        if meaning not in HARD_WHEN_HIGH:
            raise InputError(
                f"select: take {self.word!r} needs a score whose meaning is one of {', '.join(HARD_WHEN_HIGH)}, "
                f"got {by!r} of meaning {meaning!r}; say 'highest' or 'lowest' instead."
            )

    def highest_first(self, meaning: str) -> bool:
        """If high means hard."""
        return HARD_WHEN_HIGH[cast(Meaning, meaning)]


@dataclass(frozen=True)
class Easiest(Hardest):
    """The other end of ``hardest``."""

    word = "easiest"

    def highest_first(self, meaning: str) -> bool:
        """If high means easy."""
        return not HARD_WHEN_HIGH[cast(Meaning, meaning)]
