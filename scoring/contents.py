"""The inputs of examples by kind: how rows are read, checked, hashed and shown.

``rows`` are positions in the columns. A digest is BLAKE2b of 12 bytes over the input alone: of the UTF-8 text; of
both texts of a pair, each preceded by its length; of the encoded file of an image; of shape and values of an
array. It names the example, so it depends on nothing else.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.columns import Columns, RaggedError, Rows, Values, batches, dense
from scoring.errors import InputError, name_some
from scoring.hashing import digest
from scoring.schema import OWNER, Kind

DIGEST_SIZE = 12
Where = Callable[[Iterable[int]], str]
"""Names some rows (positions in the columns) for an error sentence."""


class Content(Protocol):
    """The inputs of one dataset."""

    kind: Kind

    def check(self, rows: Rows, where: Where) -> None:
        """Raise ``InputError`` for inputs that cannot be used, as far as this is cheap to see."""

    def digests(self, rows: Rows) -> list[bytes]:
        """12 bytes per row that depend on the input of that row only."""

    def describe(self, row: int) -> str:
        """The input in a few words."""


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


class Images:
    """One picture per row: arrays, encoded bytes, paths or PIL images; decoded only when asked for."""

    kind: Kind = "image"

    def __init__(self, columns: Columns, name: str, folder: Path | None = None) -> None:
        self.columns, self.name, self.folder = columns, name, folder
        self.flavor = columns.flavor(name)

    @cached_property
    def uniform_shape(self) -> tuple[int, ...] | None:
        """(H, W, C) if the pictures are one array, else None: sizes are not known without decoding."""
        first = self.columns.read(self.name, np.zeros(1, dtype=np.int64))
        is_array = isinstance(first, np.ndarray) and first.dtype != object
        return to_uint8_hwc(first).shape[1:] if is_array else None

    def check(self, rows: Rows, where: Where) -> None:
        if self.flavor == "array" and isinstance(self.columns.read(self.name, rows[:1]), np.ndarray):
            for part in batches(rows):
                problem = array_problem(self.columns.read(self.name, part))
                if problem:
                    raise InputError(f"{OWNER}: image {self.name!r} {problem}.")
            return
        for part in batches(rows):
            bad = part[nulls(self.columns.read(self.name, part))]
            if len(bad):
                raise InputError(f"{OWNER}: image column {self.name!r} is null in {count(bad, where)}.")

    def cells(self, rows: Rows) -> list[Any]:
        """What is stored: uint8 HWC arrays, encoded bytes, or PIL images."""
        column: Values = self.columns.read(self.name, rows)
        if isinstance(column, np.ndarray):
            return list(column) if column.dtype == object else list(to_uint8_hwc(column))
        if self.flavor == "array":
            try:
                return list(to_uint8_hwc(dense(column)))
            except RaggedError:
                return [to_uint8_hwc(dense(column[i : i + 1]))[0] for i in range(len(column))]
        return [self._encoded(cell) for cell in column.to_pylist()]

    def _encoded(self, cell: Any) -> bytes:
        if isinstance(cell, dict):
            cell = cell["bytes"] if cell["bytes"] is not None else cell["path"]
        if isinstance(cell, bytes):
            return cell
        return self.path(cell).read_bytes()

    def path(self, cell: str) -> Path:
        """The file of a path cell, which may be relative to the folder of the data."""
        path = Path(cell)
        if not path.is_absolute() and self.folder is not None and (self.folder / path).exists():
            path = self.folder / path
        if not path.is_file():
            raise FileNotFoundError(f"{OWNER}: image file {str(path)!r} does not exist.")
        return path

    def read(self, rows: Rows, channels: int | None, where: Where) -> list[npt.NDArray[np.uint8]]:
        """Decoded pictures, uint8 (H, W, C); grey ones are repeated or colour averaged to reach ``channels``."""
        decoded: list[npt.NDArray[np.uint8]] = []
        for row, cell in zip(rows, self.cells(rows)):
            if isinstance(cell, np.ndarray):
                picture = cell if cell.dtype == np.uint8 and cell.ndim == 3 else to_uint8_hwc(cell[None])[0]
            else:
                picture = decode(cell, partial(where, [int(row)]))
            decoded.append(with_channels(picture, channels))
        return decoded

    def digests(self, rows: Rows) -> list[bytes]:
        found = []
        for cell in self.cells(rows):
            if isinstance(cell, bytes):
                found.append(blake2b(cell, digest_size=DIGEST_SIZE).digest())
            else:
                pixels = cell if isinstance(cell, np.ndarray) else pil_pixels(cell)
                if pixels.dtype != np.uint8 or pixels.ndim != 3:
                    pixels = to_uint8_hwc(pixels[None])[0]
                found.append(array_digests(pixels[None])[0])
        return found

    def describe(self, row: int) -> str:
        picture = self.read(np.array([row]), None, lambda rows: name_some(rows))[0]
        height, width, channels = picture.shape
        look = "grey" if channels == 1 else "colour"
        return f"{height}x{width} {look} image, brightness {picture.mean() / 255:.0%}"


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


def array_problem(values: npt.NDArray[Any]) -> str | None:
    """Why an array (N, ...) cannot be images, or None."""
    if values.ndim not in (3, 4) or (values.ndim == 4 and not {values.shape[1], values.shape[3]} & {1, 3, 4}):
        return f"must have shape (N, H, W), (N, H, W, C) or (N, C, H, W) with 1, 3 or 4 channels, got {values.shape}"
    if values.dtype == np.uint8 or not values.size:
        return None
    low, high = values.min(), values.max()
    if values.dtype.kind == "f" and not (low >= 0 and high <= 1):
        return f"must be uint8, or floats in [0, 1], got floats in [{low:g}, {high:g}]; pass it as features= instead"
    if values.dtype.kind != "f" and not (low >= 0 and high <= 255):
        return f"must hold whole numbers from 0 to 255, got {low} to {high}"
    return None


def to_uint8_hwc(values: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Arrays (N, H, W), (N, H, W, C) or (N, C, H, W), of bytes or of floats in [0, 1], as uint8 (N, H, W, C).

    The last axis is the channels if it is 1, 3 or 4 long; else the second one is.
    """
    problem = array_problem(values)
    if problem:
        raise InputError(f"{OWNER}: image {problem}.")
    if values.ndim == 3:
        values = values[..., None]
    elif values.shape[3] not in (1, 3, 4):
        values = values.transpose(0, 2, 3, 1)
    if values.dtype.kind == "f":
        values = np.rint(values * 255)
    return np.ascontiguousarray(values, dtype=np.uint8)


def pil_pixels(picture: Any) -> npt.NDArray[np.uint8]:
    """Pixels of a PIL image, uint8 (H, W, 1) if it is grey, else (H, W, 3)."""
    grey = picture.mode in ("1", "L", "LA", "La")
    if picture.mode.startswith("I") or picture.mode == "F":
        wide = np.asarray(picture, dtype=np.float64)  # PIL would clip 16 bits at 255
        scale = 257.0 if wide.size and wide.max() > 255 else 1.0
        return np.clip(np.rint(wide / scale), 0, 255).astype(np.uint8)[..., None]
    pixels = np.array(picture.convert("L" if grey else "RGB"), dtype=np.uint8)
    return pixels[..., None] if grey else pixels


def decode(cell: Any, where: Callable[[], str]) -> npt.NDArray[np.uint8]:
    """Encoded bytes or a PIL image as uint8 (H, W, C); an unreadable one is an error that names it."""
    from io import BytesIO

    from PIL import Image, UnidentifiedImageError

    try:
        if isinstance(cell, bytes):
            with Image.open(BytesIO(cell)) as opened:
                return pil_pixels(opened)
        return pil_pixels(cell)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, AttributeError) as error:
        why = "unknown format" if isinstance(error, UnidentifiedImageError) else error
        raise InputError(f"Examples.images: the image of {where()} cannot be decoded ({why}).") from None


def with_channels(picture: npt.NDArray[np.uint8], channels: int | None) -> npt.NDArray[np.uint8]:
    """The picture with 1 or 3 channels as asked; None keeps what it has."""
    have = picture.shape[2]
    if channels is None or channels == have:
        return picture
    if have == 1:
        return np.repeat(picture, channels, axis=2)
    if channels == 1:
        weights = np.array([0.299, 0.587, 0.114])  # ITU-R 601, as PIL does
        grey: npt.NDArray[np.uint8] = np.rint(picture[..., :3] @ weights).astype(np.uint8)[..., None]
        return grey
    return np.ascontiguousarray(picture[..., :channels])
