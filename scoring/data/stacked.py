"""Rows of two sources as one: the columns of the first, then those of the second below them.

Nothing is copied: a position below the length of the first is read there, every other one in the second. The inputs are
read as what they are (texts, vectors of numbers, pictures), so they may be stored in different ways.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.data.columns import NUMBERS, Flavor, Rows, Values, to_column
from scoring.data.contents import Numbers, Texts
from scoring.data.images import Images
from scoring.data.loaded import IdArray, Loaded
from scoring.data.schema import Schema
from scoring.data.splits import Opened


class StackedColumns:
    """The columns of ``first``, with the rows of ``second`` below; what ``second`` lacks is null there.

    The inputs keep their names; several columns of features become one, ``features``. If there is an id column, it
    holds ``ids`` in the ``rows`` of ``second``. A column counts as lacking where it holds values of another type.
    """

    def __init__(self, first: Loaded, second: Loaded, rows: Rows, ids: IdArray) -> None:
        self._first, self._second = first, second
        self._ids = dict(zip(rows.tolist(), ids.tolist()))
        self.inputs = stacked_inputs(first)
        self._cut = len(first.opened.columns)
        content, other = first.content, second.content
        self._uniform = (
            isinstance(content, Images)
            and isinstance(other, Images)
            and content.uniform_shape is not None
            and content.uniform_shape == other.uniform_shape
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the first."""
        own = self._first.opened.columns.names
        return (*(each for each in self.inputs if each not in own), *own)

    def __len__(self) -> int:
        return self._cut + len(self._second.opened.columns)

    def flavor(self, name: str) -> Flavor:
        """See ``Columns``."""
        if name not in self.inputs:
            return self._first.opened.columns.flavor(name)
        if self._first.schema.kind == "text":
            return "string"
        return "vector" if self._first.schema.kind == "features" else "array" if self._uniform else "image"

    def class_names(self, name: str) -> tuple[str, ...] | None:
        """Those of the first."""
        return None if name in self.inputs else self._first.opened.columns.class_names(name)

    def read(self, name: str, rows: Rows | None = None) -> Values:
        """See ``Columns``."""
        places = np.arange(len(self), dtype=np.int64) if rows is None else np.asarray(rows, dtype=np.int64)
        below = places >= self._cut
        if name not in self.inputs and not below.any():
            return self._first.opened.columns.read(name, places)
        above_B, below_B = places[~below], places[below] - self._cut
        read = self._input if name in self.inputs else self._side
        order = np.empty(len(places), dtype=np.int64)
        order[np.flatnonzero(~below)] = np.arange(len(above_B))
        order[np.flatnonzero(below)] = np.arange(len(above_B), len(places))
        values = read(name, above_B, below_B)
        return values[order] if isinstance(values, np.ndarray) else values.take(pa.array(order))

    def _input(self, name: str, above_B: Rows, below_B: Rows) -> Values:
        parts = [(self._first, above_B), (self._second, below_B)]
        if self._first.schema.kind == "text":
            column = self.inputs.index(name)
            cells = [_texts(each, column, rows) for each, rows in parts]
            return pa.chunked_array([chunk for each in cells for chunk in each.chunks], pa.large_string())
        if self._first.schema.kind == "features":
            filled = [_numbers(each, rows) for each, rows in parts if len(rows)]
            return np.concatenate(filled or [_numbers(self._first, self._first.rows[:1])[:0]])
        pictures = [cell for each, rows in parts for cell in _pictures(each, rows)]
        if self._uniform and pictures:
            return np.stack(pictures)
        cells_B = np.empty(len(pictures), dtype=object)
        cells_B[:] = pictures
        return cells_B

    def _side(self, name: str, above_B: Rows, below_B: Rows) -> Values:
        own, other = self._first.opened.columns, self._second.opened.columns
        upper = own.read(name, above_B)
        lower: Values
        if name == self._first.schema.id:
            lower = [self._ids.get(row) for row in below_B.tolist()]
        elif name in other.names and _fits(own.flavor(name), other.flavor(name)):
            lower = other.read(name, below_B)
        else:
            lower = [None] * len(below_B)
        arrays = isinstance(upper, np.ndarray) and isinstance(lower, np.ndarray)
        if arrays and upper.dtype != object and upper.shape[1:] == lower.shape[1:]:
            return np.concatenate([upper, lower])
        return to_column(name, [*_cells(upper), *_cells(lower)])


def stacked(first: Loaded, rows: Rows, second: Loaded, below: Rows, ids: IdArray) -> Loaded:
    """Some ``rows`` of the first source and those ``below`` of the second as one, with the ids of all of them."""
    columns = StackedColumns(first, second, below, ids[len(rows) :])
    opened = Opened(columns, first.opened.name, first.opened.source, first.opened.splits, first.opened.folder)
    schema = Schema(first.schema.kind, columns.inputs, first.schema.label, first.schema.id)
    places = np.concatenate([rows, below + len(first.opened.columns)])
    return Loaded(opened, schema, places, first.split, ids, first.labels)


def stacked_inputs(first: Loaded) -> tuple[str, ...]:
    """Names of the input columns after stacking."""
    if first.schema.kind != "features" or len(first.schema.inputs) == 1:
        return first.schema.inputs
    name = "features"
    while name in first.opened.columns.names:
        name += "_"
    return (name,)


def _texts(part: Loaded, column: int, rows: Rows) -> pa.ChunkedArray:
    assert isinstance(part.content, Texts)
    cells = part.opened.columns.read(part.content.names[column], rows)
    whole = cells if isinstance(cells, pa.ChunkedArray) else pa.chunked_array([cells])
    return whole.cast(pa.large_string())


def _numbers(part: Loaded, rows: Rows) -> npt.NDArray[np.float32]:
    assert isinstance(part.content, Numbers)
    return part.content.read(rows)


def _pictures(part: Loaded, rows: Rows) -> list[Any]:
    assert isinstance(part.content, Images)
    return part.content.cells(rows) if len(rows) else []


def _fits(one: Flavor, other: Flavor) -> bool:
    return one == other or (one in NUMBERS and other in NUMBERS)


def _cells(values: Values) -> list[Any]:
    if isinstance(values, list):
        return values
    return list(values) if isinstance(values, np.ndarray) else values.to_pylist()
