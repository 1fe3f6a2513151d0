"""How many examples there are: per parameter and per class, before and after pruning."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class DataSize:
    """Numbers of examples against what they must determine.

    Attributes:
        rows: Examples.
        parameters: Of the model that will be trained, or None if it is not known.
        counts_C: Examples of every class.
    """

    rows: int
    parameters: int | None
    counts_C: npt.NDArray[np.int64]

    @property
    def classes(self) -> int:
        """Classes that occur."""
        return int((self.counts_C > 0).sum())

    def alpha(self, keep: float = 1.0) -> float | None:
        """Examples per parameter at a kept share."""
        return None if not self.parameters else keep * self.rows / self.parameters

    def per_class(self, keep: float = 1.0) -> float:
        """Examples per class that occurs, on average."""
        return keep * self.rows / self.classes

    @property
    def smallest(self) -> int:
        """Examples of the smallest class that occurs."""
        return int(self.counts_C[self.counts_C > 0].min())

    @property
    def ratio(self) -> float:
        """Largest over smallest class: 1 of balanced data."""
        return float(self.counts_C.max()) / self.smallest

    @property
    def effective_classes(self) -> float:
        """1 / sum p_c^2 of class shares p (inverse Simpson index): all classes where they are equal, 1 of one class."""
        shares = self.counts_C / self.rows
        return float(1 / (shares**2).sum())


def smallest_kept(
    hard_N: npt.NDArray[np.float64], labels_N: npt.NDArray[np.int64], kept: int
) -> tuple[int, float]:
    """The class that the ``kept`` hardest treat worst, and the share of it they keep over the kept share of all."""
    from scoring.compare.ranks import chance_in_top

    chance_N = chance_in_top(hard_N, kept)
    count_C = np.bincount(labels_N)
    kept_C = np.bincount(labels_N, weights=chance_N, minlength=len(count_C))
    share_C = np.where(count_C > 0, kept_C / np.maximum(count_C, 1), np.inf)
    worst = int(share_C.argmin())
    return worst, float(share_C[worst] / (kept / len(labels_N)))
