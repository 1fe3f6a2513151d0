"""Columns of a dataset behind one small interface: Arrow tables that stay on disk, or arrays in memory.

Values are handed out in bulk, as a ``pyarrow`` array or a numpy array, never row by row.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.errors import InputError, name_some

Rows = npt.NDArray[np.int64]
Values = Any
"""A ``pyarrow.Array`` / ``ChunkedArray`` or a ``numpy.ndarray`` whose first axis is the row."""

Flavor = Literal[
    "string", "integer", "float", "boolean", "bytes", "image", "vector", "array", "null", "mixed", "other"
]
"""What one cell holds; ``vector`` is a flat list of numbers, ``array`` a nested one, ``mixed`` is
JSON of several types."""

NUMBERS: tuple[Flavor, ...] = ("integer", "float", "boolean")

_SCAN = 8192


class Columns(Protocol):
    """Named columns of equal length; ``rows`` are positions, in any order, repeats allowed."""

    @property
    def names(self) -> tuple[str, ...]:
        """In the order of the source."""
        ...

    def __len__(self) -> int: ...

    def flavor(self, name: str) -> Flavor:
        """What the cells of a column hold."""
        ...

    def class_names(self, name: str) -> tuple[str, ...] | None:
        """Names of the classes 0, 1, ... of a label column, if the source stores them."""
        ...

    def read(self, name: str, rows: Rows | None = None) -> Values:
        """Values at ``rows``, in that order; None for all."""
        ...


class DatasetColumns:
    """Columns of a ``datasets.Dataset``; memory-mapped files stay on disk, images stay encoded."""

    def __init__(self, dataset: Any) -> None:
        # The arrow format hands out storage: no decoding of images and no Python objects.
        self.dataset = dataset
        self._arrow = dataset.with_format("arrow")
        self._views: dict[str, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.dataset.column_names)

    def __len__(self) -> int:
        return len(self.dataset)

    def flavor(self, name: str) -> Flavor:
        return flavor_of(self.dataset.features.arrow_schema.field(name).type)

    def class_names(self, name: str) -> tuple[str, ...] | None:
        feature = self.dataset.features[name]
        names = getattr(feature, "names", None) if type(feature).__name__ == "ClassLabel" else None
        return tuple(str(each) for each in names) if names else None

    def read(self, name: str, rows: Rows | None = None) -> Values:
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = self._arrow.select_columns([name])
        if rows is None:
            return view[:].column(name)
        if len(rows) and rows[-1] - rows[0] == len(rows) - 1 and bool(np.all(np.diff(rows) == 1)):
            return view[int(rows[0]) : int(rows[-1]) + 1].column(name)
        return view[rows.tolist()].column(name)


class ArrayColumns:
    """Columns held in memory, numpy or Arrow, built from whatever the user had (see :func:`to_column`)."""

    def __init__(
        self, values: Mapping[str, object], class_names: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        self._values = {str(name): to_column(str(name), value) for name, value in values.items()}
        self._class_names = {name: tuple(map(str, names)) for name, names in (class_names or {}).items()}
        lengths = {name: len(value) for name, value in self._values.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
            raise InputError(f"Examples.load: all arrays must have the same number of rows, got {told}.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._values)

    def __len__(self) -> int:
        return len(next(iter(self._values.values()))) if self._values else 0

    def flavor(self, name: str) -> Flavor:
        value = self._values[name]
        if not isinstance(value, np.ndarray):
            return flavor_of(value.type)
        if value.dtype == object:
            return "image" if len(value) else "null"
        if value.ndim > 1:
            return "vector" if value.ndim == 2 else "array"
        return {"f": "float", "b": "boolean"}.get(value.dtype.kind, "integer")  # type: ignore[return-value]

    def class_names(self, name: str) -> tuple[str, ...] | None:
        return self._class_names.get(name)

    def read(self, name: str, rows: Rows | None = None) -> Values:
        value = self._values[name]
        if rows is None:
            return value
        return value[rows] if isinstance(value, np.ndarray) else value.take(pa.array(rows))


def flavor_of(kind: Any) -> Flavor:
    """The flavor of an Arrow type."""
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.json":  # how datasets keeps JSON cells of several types
            return "mixed"
        kind = kind.storage_type
    if types.is_dictionary(kind):
        return flavor_of(kind.value_type)
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind):
        return "string"
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind):
        return "integer"
    if types.is_floating(kind) or types.is_decimal(kind):
        return "float"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind):
        return "bytes"
    if types.is_null(kind):
        return "null"
    if types.is_struct(kind):
        fields = {kind.field(index).name for index in range(kind.num_fields)}
        return "image" if fields <= {"bytes", "path"} and "bytes" in fields else "other"
    if is_list(kind):
        inner = flavor_of(kind.value_type)
        return "vector" if inner in NUMBERS else "array" if inner in ("vector", "array") else "other"
    return "other"


def is_list(kind: Any) -> bool:
    """Whether an Arrow type is a list of any of the three kinds."""
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def to_column(name: str, values: Any) -> Values:
    """User values as a column: numbers become numpy, text and bytes Arrow, pictures an object array.

    Raises:
        InputError: if the cells mix text, numbers and other things.
    """
    if hasattr(values, "detach"):  # a torch tensor, without importing torch
        values = values.detach().cpu().numpy()
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return _plain(values)
    if isinstance(values, np.ndarray) and values.dtype.kind in "iufb":
        if values.ndim == 0:
            raise InputError(f"Examples.load: {name} must have one entry per row, got a single number.")
        return values
    if type(values).__module__.startswith("pandas"):
        try:
            return _plain(pa.Array.from_pandas(values))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, UnicodeEncodeError):
            pass  # pictures, or what is told below
    cells = values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind in "US" else list(values)
    families = {"text"} if set(map(type, cells)) == {str} else {_family(cell) for cell in cells} - {"null"}
    if len(families) > 1:
        raise mixed_types(name, cells)
    family = families.pop() if families else "null"
    if family == "picture":
        return _pictures(cells)
    try:
        column = pa.array(cells, from_pandas=True)
        if family == "list" and column.null_count == 0 and flavor_of(column.type) in ("vector", "array"):
            return dense(column)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        raise mixed_types(name, cells) from None
    except UnicodeEncodeError as error:
        raise InputError(
            f"Examples.load: {name} must be text in Unicode, and holds half of a surrogate pair in "
            f"{error.object[max(0, error.start - 10) : error.start + 10]!r}."
        ) from None
    except RaggedError:
        return column
    return _plain(column)


def _plain(column: Any) -> Values:
    """Arrow numbers without nulls as numpy, dictionary columns decoded; everything else as it is."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count == 0 and flavor_of(column.type) in NUMBERS and not pa.types.is_decimal(column.type):
        return column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else column.to_numpy()
    return column


def _family(cell: object) -> str:
    if cell is None:
        return "null"
    if isinstance(cell, str):
        return "text"
    if isinstance(cell, bytes | bytearray | memoryview):
        return "bytes"
    if isinstance(cell, bool | int | float | np.number | np.bool_):
        # A missing value of pandas arrives as the float NaN, also among strings.
        return "null" if cell != cell else "number"
    if isinstance(cell, list | tuple):
        return "list"
    if type(cell).__name__ in ("NAType", "NaTType"):
        return "null"
    return "picture"  # arrays, tensors and PIL images


def _pictures(cells: list[Any]) -> Values:
    arrays = [
        cell.detach().cpu().numpy() if hasattr(cell, "detach") else np.asarray(cell)
        if isinstance(cell, np.ndarray) else cell
        for cell in cells
    ]  # fmt: skip
    plain = all(isinstance(cell, np.ndarray) and cell.dtype != object for cell in arrays)
    if plain and len({(cell.shape, cell.dtype) for cell in arrays}) == 1:
        return np.stack(arrays)
    column = np.empty(len(arrays), dtype=object)
    column[:] = arrays
    return column


def mixed_types(name: str, cells: Sequence[object]) -> InputError:
    """The error for a column whose cells are of several types."""
    found = sorted({type(cell).__name__ for cell in cells if cell is not None})
    return InputError(
        f"Examples.load: column {name!r} must hold one type of value, got a mix of {' and '.join(found)}."
    )


class RaggedError(ValueError):
    """Lists of different lengths where equal ones are needed; holds two lengths and a row of the rarer one."""

    def __init__(self, lengths: Sequence[int], row: int) -> None:
        self.lengths, self.row = tuple(lengths), row
        super().__init__(f"lists of lengths {name_some(lengths)}")


def dense(column: Values) -> npt.NDArray[Any]:
    """A column of numbers or (nested) lists of numbers as one numpy array (N, ...); nulls become NaN.

    Raises:
        RaggedError: if lists of one level differ in length.
    """
    if isinstance(column, np.ndarray):
        return column
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    shape = [len(array)]
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    while is_list(array.type):
        lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False)
        values, first, counts = np.unique(
            np.nan_to_num(lengths, nan=0), return_index=True, return_counts=True
        )
        if len(values) > 1:
            position = int(first[int(np.argmin(counts))])
            row = position // max(1, int(np.prod(shape[1:], dtype=np.int64)))
            raise RaggedError([int(value) for value in values], row)
        shape.append(int(values[0]) if len(values) else 0)
        array = array.flatten()
    if pa.types.is_decimal(array.type):
        array = array.cast(pa.float64())
    return np.asarray(array.to_numpy(zero_copy_only=False)).reshape(shape)


def batches(rows: Rows, size: int = _SCAN) -> Iterator[Rows]:
    """``rows`` in pieces of at most ``size``."""
    for start in range(0, len(rows), size):
        yield rows[start : start + size]
