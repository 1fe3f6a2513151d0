"""The inputs of examples by kind: how rows are read, checked, hashed and shown.

``rows`` are positions in the columns. A digest is BLAKE2b of 12 bytes over the input alone: of the UTF-8 text; of
both texts of a pair, each preceded by its length; of the encoded file of an image; of shape and values of an
array. It names the example, so it depends on nothing else.

Every kind (``Texts``, ``Numbers``, ``Images``) has ``check``, which refuses what cannot be used as far as this is cheap
to see, ``read``, ``digests`` and ``describe``, the input in a few words.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.data.columns import Columns, RaggedError, Rows, Values, batches, dense
from scoring.data.schema import OWNER, Kind
from scoring.errors import InputError, name_some
from scoring.hashing import digest

DIGEST_SIZE = 12
Where = Callable[[Iterable[int]], str]
"""Names some rows (positions in the columns) for an error sentence."""


class Texts:
    """One text or a pair of texts per row."""

    kind: Kind = "text"

    def __init__(self, columns: Columns, names: Sequence[str]) -> None:
        self.columns, self.names = columns, tuple(names)

    def check(self, rows: Rows, where: Where) -> None:
        for name in self.names:
            missing = [part[nulls(self.columns.read(name, part))] for part in batches(rows)]
            bad = np.concatenate(missing) if missing else rows
            if len(bad):
                raise InputError(f"{OWNER}: text column {name!r} is null in {count(bad, where)}.")

    def read(self, rows: Rows) -> list[str] | list[tuple[str, str]]:
        parts = [self.columns.read(name, rows).to_pylist() for name in self.names]
        return parts[0] if len(parts) == 1 else list(zip(*parts))

    def digests(self, rows: Rows) -> list[bytes]:
        # Casting to binary hands out the UTF-8 bytes as they lie in memory: no decoding, no encoding.
        parts = [self.columns.read(name, rows).cast(pa.large_binary()).to_pylist() for name in self.names]
        if len(parts) == 1:
            return [blake2b(text, digest_size=DIGEST_SIZE).digest() for text in parts[0]]
        return [digest(first, second, size=DIGEST_SIZE) for first, second in zip(*parts)]

    def describe(self, row: int) -> str:
        value = self.read(np.array([row]))[0]
        texts = (value,) if isinstance(value, str) else value
        room = 200 // len(texts)
        return " | ".join(shorten(text, room) for text in texts)


class Numbers:
    """One vector of numbers per row, from one column of vectors or from several columns of numbers."""

    kind: Kind = "features"

    def __init__(self, columns: Columns, names: Sequence[str]) -> None:
        self.columns, self.names = columns, tuple(names)

    def check(self, rows: Rows, where: Where) -> None:
        for part in batches(rows):
            for name in self.names:
                column = self.columns.read(name, part)
                bad = part[nulls(column)]
                if len(bad):
                    raise InputError(f"{OWNER}: features column {name!r} is null in {count(bad, where)}.")
            try:
                values = self.read(part)
            except RaggedError as error:
                raise InputError(
                    f"{OWNER}: features must all have the same length, got lengths "
                    f"{name_some(error.lengths)} (see {where([int(part[error.row])])})."
                ) from None
            if values.shape[1] != self.width(rows):
                raise InputError(
                    f"{OWNER}: features must all have the same length, got lengths {self.width(rows)} and "
                    f"{values.shape[1]} (see {where([int(part[0])])})."
                )
            finite = np.isfinite(values)
            if not finite.all():
                bad = part[~finite.all(axis=1)]
                raise InputError(
                    f"{OWNER}: features must be finite, got NaN or infinity in {count(bad, where)}."
                )

    def width(self, rows: Rows) -> int:
        """D, the number of features."""
        return int(self.read(rows[:1]).shape[1])

    def read(self, rows: Rows) -> npt.NDArray[np.float32]:
        parts = [dense(self.columns.read(name, rows)) for name in self.names]
        flat = [part.reshape(len(rows), -1) for part in parts]
        with np.errstate(over="ignore"):  # what overflows float32 is infinite, and refused by check()
            values = [part.astype(np.float32) for part in flat]
        return values[0] if len(values) == 1 else np.concatenate(values, axis=1)

    def digests(self, rows: Rows) -> list[bytes]:
        # + 0.0 turns -0.0 into 0.0: equal numbers, equal ids.
        return array_digests(np.ascontiguousarray(self.read(rows) + np.float32(0.0), dtype="<f4"))

    def describe(self, row: int) -> str:
        values = self.read(np.array([row]))[0]
        shown = ", ".join(f"{value:.4g}" for value in values[:6])
        return f"{len(values)} numbers: {shown}" + (", ..." if len(values) > 6 else "")


def nulls(column: Values) -> npt.NDArray[np.bool_]:
    """Which cells are missing, (N,); for pictures stored as bytes and path, where both are."""
    if isinstance(column, np.ndarray):
        if column.dtype == object:
            return np.array([cell is None for cell in column], dtype=bool)
        return np.zeros(len(column), dtype=bool)
    missing = np.asarray(column.is_null().to_numpy(zero_copy_only=False) if isinstance(column, pa.Array)
                         else column.is_null().to_numpy())  # fmt: skip
    if pa.types.is_struct(column.type):
        cells = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        parts = [
            cells.field(i) if isinstance(cells, pa.Array) else None for i in range(column.type.num_fields)
        ]
        empty = [part.is_null().to_numpy(zero_copy_only=False) for part in parts if part is not None]
        if empty:
            missing = missing | np.logical_and.reduce(empty)
    return missing


def count(bad: Rows, where: Where) -> str:
    """``3 rows: id 'a', id 'b' and 1 more``."""
    return f"{len(bad):,} row{'s' if len(bad) > 1 else ''}: {where(bad.tolist())}"


def shorten(text: str, most: int) -> str:
    """One line of at most ``most`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 3].rstrip()}..."


def array_digests(values: npt.NDArray[Any]) -> list[bytes]:
    """A digest per row of shape, type and values, (N, ...) -> N times 12 bytes."""
    values = np.ascontiguousarray(values)
    head = f"{values.dtype.str}{values.shape[1:]}".encode()
    start = blake2b(head, digest_size=DIGEST_SIZE)
    found = []
    for row in values:
        state = start.copy()
        state.update(row.data)
        found.append(state.digest())
    return found
