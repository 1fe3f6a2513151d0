"""Labels of examples as class indices 0..C-1; the order of classes never depends on the order of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.data.columns import Columns, Rows, Values
from scoring.data.contents import Where, count, nulls
from scoring.data.schema import OWNER
from scoring.errors import InputError, name_some, unknown_name


@dataclass(frozen=True)
class Labels:
    """``indices`` (N,) int64 into ``names``."""

    indices: npt.NDArray[np.int64]
    names: tuple[str, ...]


def read_labels(
    columns: Columns, name: str, rows: Rows, where: Where, label_names: Sequence[str] | None = None
) -> Labels:
    """Encode the label column ``name``.

    Classes are sorted: texts by code point, numbers by value, ``ClassLabel`` columns in their own order. Whole
    numbers are named by their own digits, or by a column ``{name}_name`` / ``{name}_text`` that names every number
    one to one. With ``label_names`` the classes are those: texts and numbers are looked up by name, and numbers
    count as positions when no class is called like a number.

    Raises:
        InputError: for null labels, labels that are not classes, a label outside ``label_names``, or a single class.
    """
    column = columns.read(name, rows)
    flavor = columns.flavor(name)
    if isinstance(column, np.ndarray) and column.ndim == 2 and column.shape[1] == 1:
        column, flavor = column[:, 0], "float" if column.dtype.kind == "f" else "integer"
    if flavor not in ("string", "integer", "float", "boolean", "null"):
        if flavor == "mixed":
            raise InputError(f"{OWNER}: label column {name!r} must hold one type of value, got a mix.")
        shape = f" of shape {column.shape}" if isinstance(column, np.ndarray) else ""
        raise InputError(
            f"{OWNER}: label column {name!r} must hold one text or whole number per row, "
            f"it holds values of type {flavor}{shape}."
        )
    missing, what = nulls(column) | _nan(column, flavor), "null"
    class_names = columns.class_names(name)
    if class_names is not None and not missing.any():
        # -1 is how datasets with class names mark a row that has no label.
        missing, what = _numbers(column) < 0, "-1 (no label)"
    if missing.any():
        raise InputError(f"{OWNER}: label column {name!r} is {what} in {count(rows[missing], where)}.")
    if flavor == "string":
        values, codes = _texts(column)
        labels = _by_name(values, codes, label_names)
    elif flavor == "boolean":
        values, codes = ["False", "True"], _numbers(column)
        labels = _by_name(values, codes, label_names)
    else:
        labels = _whole(columns, name, rows, _numbers(column), class_names, label_names)
    if label_names is None and len(observed := np.unique(labels.indices)) < 2:
        only = labels.names[int(observed[0])]
        raise InputError(
            f"{OWNER}: label column {name!r} must hold at least two classes, got only {only!r}; "
            "pass label_names= with all the classes if this is a part of the data."
        )
    return labels


def _whole(
    columns: Columns,
    name: str,
    rows: Rows,
    numbers: npt.NDArray[Any],
    class_names: Sequence[str] | None,
    label_names: Sequence[str] | None,
) -> Labels:
    """Labels given as numbers."""
    whole = numbers.astype(np.int64)
    if numbers.dtype.kind == "f" and not np.array_equal(whole, numbers):
        wrong = numbers[whole != numbers][0]
        raise InputError(
            f"{OWNER}: label column {name!r} must hold classes (whole numbers or texts), got {wrong!s}."
        )
    values, codes = np.unique(whole, return_inverse=True)
    if class_names is not None:
        if values[-1] >= len(class_names):
            raise InputError(
                f"{OWNER}: label column {name!r} must be 0..{len(class_names) - 1} for its {len(class_names)} "
                f"class names, got {values[-1]}."
            )
        return _by_name(list(class_names), whole, label_names)
    told = _named_beside(columns, name, rows, len(values), codes)
    if told is None and label_names is not None and not any(_is_number(each) for each in label_names):
        if values[0] < 0 or values[-1] >= len(label_names):
            wrong = values[0] if values[0] < 0 else values[-1]
            raise InputError(
                f"{OWNER}: label column {name!r} must be 0..{len(label_names) - 1} for the {len(label_names)} "
                f"label_names, got {wrong}."
            )
        return Labels(whole, tuple(label_names))
    return _by_name(told or [str(value) for value in values], codes, label_names)


def _by_name(values: Sequence[str], codes: npt.NDArray[Any], label_names: Sequence[str] | None) -> Labels:
    """Codes into ``values`` as codes into ``label_names`` (or ``values`` themselves)."""
    codes = codes.astype(np.int64)
    if label_names is None:
        return Labels(codes, tuple(values))
    names = tuple(str(each) for each in label_names)
    if len(set(names)) < len(names):
        raise InputError(f"{OWNER}: label_names must be different from each other, got {name_some(names)}.")
    position = {each: index for index, each in enumerate(names)}
    used = [values[int(code)] for code in np.unique(codes)]
    for value in used:
        if value not in position:
            raise unknown_name("label", f"{OWNER} with label_names", value, names)
    table = np.array([position.get(value, -1) for value in values], dtype=np.int64)
    return Labels(table[codes], names)


def _named_beside(
    columns: Columns, name: str, rows: Rows, classes: int, codes: npt.NDArray[Any]
) -> list[str] | None:
    """Class names from a text column beside the numbers, if it names each class and only that class."""
    for other in (f"{name}_name", f"{name}_text"):
        if other in columns.names and columns.flavor(other) == "string":
            texts = columns.read(other, rows)
            if nulls(texts).any():
                continue
            values, beside = _texts(texts)
            pairs = np.unique(np.stack([codes.astype(np.int64), beside]), axis=1)
            if len(values) == classes == pairs.shape[1]:
                return [values[int(index)] for index in pairs[1]]
    return None


def _texts(column: Values) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Sorted different texts, and every row's index into them."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if isinstance(whole, pa.ChunkedArray):
        whole = pa.concat_arrays(whole.chunks)
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(whole.type.value_type)
    encoded = pc.dictionary_encode(whole)
    found = encoded.dictionary.to_pylist()
    order = sorted(range(len(found)), key=found.__getitem__)
    rank = np.empty(len(found), dtype=np.int64)
    rank[order] = np.arange(len(found))
    return [found[index] for index in order], rank[encoded.indices.to_numpy(zero_copy_only=False)]


def _numbers(column: Values) -> npt.NDArray[Any]:
    if isinstance(column, np.ndarray):
        return column
    if pa.types.is_decimal(column.type):
        column = column.cast(pa.float64())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    array: npt.NDArray[Any] = np.asarray(
        column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
    )
    return array


def _nan(column: Values, flavor: str) -> npt.NDArray[np.bool_]:
    if flavor != "float" or nulls(column).any():
        return np.zeros(len(column), dtype=bool)
    return np.isnan(_numbers(column).astype(np.float64))


def _is_number(text: str) -> bool:
    return str(text).removeprefix("-").isdigit()
