"""Inner products of very many columns over the same examples, in the memory of a few: a scratch file read by rows.

1,000 columns (50 runs x 20 scores) of 10^6 examples are 4 GB in float32: they are written once, one column at a time,
and read once, 8,192 rows of all columns at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats, average_ranks

IN_MEMORY_BYTES = 1 << 29
"""Smaller scratches stay in memory."""
BLOCK_ROWS = 8192


def centred_ranks(values: npt.ArrayLike) -> Floats:
    """Twice the average rank less its mean, (N,): the number of values below less the number above; sums to 0.

    Whole numbers of at most N - 1, so float32 holds them exactly up to 16 million examples.
    """
    ranks = average_ranks(values)
    return 2 * ranks - (len(ranks) + 1)


class ColumnScratch:
    """C columns of N numbers, stored as float32 and multiplied in float64; a file in the temporary folder if large.

    Use it as a context: the file is deleted at its end.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.shape = (columns, rows)
        large = columns * rows * 4 > IN_MEMORY_BYTES
        self._file = tempfile.TemporaryFile() if large else None  # noqa: SIM115 (closed in __exit__)
        self._data: npt.NDArray[np.float32] = (
            np.zeros(self.shape, dtype=np.float32)
            if self._file is None
            else np.memmap(self._file, dtype=np.float32, mode="w+", shape=self.shape)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._data
        if self._file is not None:
            self._file.close()

    def __setitem__(self, column: int, values: Floats) -> None:
        self._data[column] = values

    def grams(self, groups: Sequence[npt.NDArray[np.int64]]) -> list[Floats]:
        """Inner products among the columns of every group (G,), (G, G) each; all in one pass over the rows."""
        found = [np.zeros((len(group), len(group))) for group in groups]
        for start in range(0, self.shape[1], BLOCK_ROWS):
            block = self._data[:, start : start + BLOCK_ROWS].astype(np.float64)
            for total, group in zip(found, groups):
                part = block[group]
                total += part @ part.T
        return found


def correlations(gram: Floats) -> Floats:
    """Correlations of centred columns from their inner products, (C, C); NaN for a column that is constant."""
    with np.errstate(invalid="ignore", divide="ignore"):
        norms = np.sqrt(np.diagonal(gram))
        found: Floats = np.clip(gram / np.outer(norms, norms), -1, 1)
    found[np.diag_indices_from(found)] = np.where(norms > 0, 1.0, np.nan)
    return found
