"""Embeddings by their direction, read a block at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.hashing import Ids
from scoring.order import FloatArray, IntArray
from scoring.points import ELEMENTS, unit


@dataclass(frozen=True, eq=False)
class UnitVectors:
    """N embeddings: the rows ``rows_N`` of an array (M, D) that may be memory-mapped."""

    array_MD: npt.NDArray[Any]
    rows_N: IntArray
    ids_N: Ids

    def __len__(self) -> int:
        return len(self.rows_N)

    def take(self, places_B: IntArray) -> FloatArray:
        """Some of them, scaled to length 1 in float64; zeros stay zeros, (B, D)."""
        rows_BD = self.array_MD[self.rows_N[places_B]].astype(np.float64)
        scale_B1 = np.abs(rows_BD).max(axis=1, initial=0, keepdims=True)
        return unit(rows_BD / np.where(scale_B1 > 0, scale_B1, 1))

    def finite_N(self) -> npt.NDArray[np.bool_]:
        """Whether all numbers of a row are finite, (N,)."""
        step = max(1, ELEMENTS // max(1, self.array_MD.shape[1]))
        finite_N = np.ones(len(self), dtype=bool)
        for start in range(0, len(self), step):
            some = slice(start, start + step)
            finite_N[some] = np.isfinite(self.array_MD[self.rows_N[some]]).all(axis=1)
        return finite_N
