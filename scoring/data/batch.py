"""What the readers of shards have in common: a batch of rows, and words for what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Types = Mapping[str, pa.DataType]
Broken = list[tuple[int, str]]
"""(row, what is wrong with it)."""


@dataclass(frozen=True)
class Batch:
    """Rows ``start`` to ``stop`` of a shard: ``table`` holds those that could be read, ``rows_B`` says which."""

    start: int
    stop: int
    rows_B: npt.NDArray[np.int64]
    table: pa.Table
    broken: Broken


def first_line(error: BaseException) -> str:
    """What a library says of an error, without its end."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
