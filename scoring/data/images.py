"""Pictures as inputs: arrays, encoded bytes, paths or PIL images, decoded to uint8 (H, W, C) only when asked for."""

from collections.abc import Callable
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.data.columns import Columns, RaggedError, Rows, Values, batches, dense
from scoring.data.contents import DIGEST_SIZE, Where, array_digests, count, nulls
from scoring.data.schema import OWNER, Kind
from scoring.errors import InputError, name_some


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
        """Decoded pictures, uint8 (H, W, C); grey ones are repeated or colour averaged to reach ``channels``.

        The error of one that cannot be decoded names it, and counts the others among ``rows``.
        """
        decoded: list[npt.NDArray[np.uint8]] = []
        broken: list[InputError] = []
        for row, cell in zip(rows, self.cells(rows)):
            if isinstance(cell, np.ndarray):
                picture = cell if cell.dtype == np.uint8 and cell.ndim == 3 else to_uint8_hwc(cell[None])[0]
            else:
                try:
                    picture = decode(cell, partial(where, [int(row)]))
                except InputError as error:
                    broken.append(error)
                    continue
            decoded.append(with_channels(picture, channels))
        if broken:
            more = f", and {len(broken) - 1:,} more near it" if len(broken) > 1 else ""
            what = str(broken[0]).removesuffix(".")
            raise InputError(f"{what}{more}; mend the file or leave the row out.")
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
