"""``band``: the rows in a range of the ranking by score, such as the middle."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from scoring.errors import InputError
from scoring.order import score_order
from selection.budget import exact_fraction, nearest
from selection.strategy import Candidates, Chosen, Strategy


@dataclass(frozen=True)
class Band(Strategy):
    """Rows whose place in the ranking from the lowest score lies in [low, high).

    ``low`` and ``high`` are fractions of the ranking (default 0 and 1); of n candidates the places from ``low * n`` up
    to, not including, ``high * n`` are in the band, both rounded to the nearest whole number, so neighbouring bands
    never overlap and leave no gap. A budget smaller than the band takes the middle of the band (with an odd number
    left over, one more is left out above); bands grow around that middle, so budgets nest. Ties by hash(seed, id).
    """

    low: float | None = None
    high: float | None = None

    def check(self, by: str, meaning: str) -> None:
        """Any meaning will do; the ends must make a band."""
        low, high = self._ends()
        if not 0 <= low < high <= 1:
            raise InputError(
                "select: low and high of take 'band' must be fractions of the ranking with 0 <= low < high <= 1, "
                f"got low {self.low!r} and high {self.high!r}."
            )

    @property
    def bounded(self) -> bool:
        """If either end is given."""
        return self.low is not None or self.high is not None

    def room(self, n: int) -> int:
        """The size of the band."""
        start, stop = self._places(n)
        return stop - start

    def select(self, candidates: Candidates, budget: int) -> Chosen:
        """The middle ``budget`` rows of the band."""
        order = score_order(candidates.scores_N, candidates.ids_N, candidates.seed, highest_first=False)
        start, stop = self._places(len(candidates))
        first = start + (stop - start - budget) // 2
        low, high = self._ends()
        return Chosen(
            rows_K=order[first : first + budget],
            rank_K=np.arange(first + 1, first + budget + 1),
            reason=f"band {float(low):g} to {float(high):g} of {candidates.by} from the lowest of {len(candidates)}",
        )

    def _ends(self) -> tuple[Fraction, Fraction]:
        try:
            low = exact_fraction(0 if self.low is None else self.low)
            return low, exact_fraction(1 if self.high is None else self.high)
        except ValueError:  # NaN, infinity, or text that is no number
            return Fraction(1), Fraction(0)

    def _places(self, n: int) -> tuple[int, int]:
        low, high = self._ends()
        return nearest(low, n), nearest(high, n)
