"""Which columns of a shard are read as what, and how a batch of its rows becomes examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.data.batch import Batch
from scoring.data.columns import Flavor, Rows, Values, dense, flavor_of
from scoring.data.contents import nulls
from scoring.data.remote import is_url
from scoring.data.schema import Kind, choose
from scoring.data.shards import Shard
from scoring.examples import Examples

BESIDE = ("_name", "_text")
"""Endings of columns that name the classes of a label column of numbers."""


@dataclass(frozen=True)
class Letter:
    """A dead letter: a row that could not be scored, and why."""

    row: int
    id: int | str | None
    error: str


@dataclass(frozen=True)
class Layout:
    """The columns that are read, of every shard the same.

    Attributes:
        types: name and Arrow type of each. width: numbers in a vector of features.
    """

    kind: Kind
    inputs: tuple[str, ...]
    label: str | None
    id: str | None
    label_names: tuple[str, ...]
    types: tuple[tuple[str, pa.DataType], ...]
    width: int | None = None

    @classmethod
    def choose(
        cls,
        types: dict[str, pa.DataType],
        *,
        text: str | None,
        text_pair: str | None,
        image: str | None,
        features: str | Sequence[str] | None,
        label: str | Literal[False] | None,
        id: str | None,
        label_names: Sequence[str],
    ) -> Layout:
        """From what the user named and usual names for the rest, as ``Examples.load`` does."""
        schema = choose(
            _Declared(types),
            text=text,
            text_pair=text_pair,
            image=image,
            features=features,
            label=label,
            id=id,
        )
        beside = [
            f"{schema.label}{end}" for end in BESIDE if schema.label and f"{schema.label}{end}" in types
        ]
        wanted = [*schema.inputs, *(name for name in (schema.label, schema.id) if name), *beside]
        chosen = tuple((name, types[name]) for name in dict.fromkeys(wanted))
        return cls(schema.kind, schema.inputs, schema.label, schema.id, tuple(label_names), chosen)

    def examples(self, shard: Shard, batch: Batch, name: str) -> tuple[Examples | None, Rows, list[Letter]]:
        """Examples of the rows that can be, their rows in the shard, and a letter for each of the others.

        Ids are those of the id column, else ``<name of the shard>:<row>``.
        """
        table, rows_B = batch.table, batch.rows_B
        wrong = dict[int, str]()  # position -> error, the first one
        for column in self.inputs:
            for position, error in self._wrong_inputs(shard, column, table.column(column)):
                wrong.setdefault(position, error)
        for what, key in (("label", self.label), ("id", self.id)):
            if key:
                for position in np.flatnonzero(_missing(table.column(key))).tolist():
                    wrong.setdefault(position, f"{what} column {key!r} is null")
        ids = (
            table.column(self.id).to_pylist()
            if self.id
            else [f"{shard.name}:{row}" for row in rows_B.tolist()]
        )
        letters = [Letter(row, None, error) for row, error in batch.broken]
        letters += [Letter(int(rows_B[position]), ids[position], error) for position, error in wrong.items()]
        good = np.setdiff1d(np.arange(len(rows_B)), list(wrong))
        if not len(good):
            return None, rows_B[good], letters
        table = table.take(pa.array(good))
        if self.id is None:
            key = "id"
            while key in table.column_names:
                key += "_"
            table = table.append_column(
                key, pa.array([ids[position] for position in good.tolist()], pa.string())
            )
        else:
            key = self.id
        if self.kind == "image" and flavor_of(table.schema.field(self.inputs[0]).type) == "string":
            at = table.column_names.index(self.inputs[0])
            paths = [str(_beside(shard, cell)) for cell in table.column(at).to_pylist()]
            table = table.set_column(at, self.inputs[0], pa.array(paths))
        examples = Examples.load(
            table,
            **self._named(),
            label=self.label or False,
            id=key,
            name=name,
            label_names=self.label_names if self.label else None,
        )
        return examples, rows_B[good], letters

    def _named(self) -> dict[str, Any]:
        if self.kind == "text":
            return dict(zip(("text", "text_pair"), self.inputs))
        return {self.kind: self.inputs[0] if self.kind == "image" else list(self.inputs)}

    def _wrong_inputs(self, shard: Shard, name: str, column: pa.ChunkedArray) -> list[tuple[int, str]]:
        what = f"{self.kind} column {name!r}"
        missing = nulls(column)
        found = [(position, f"{what} is null") for position in np.flatnonzero(missing).tolist()]
        if self.kind == "image" and flavor_of(column.type) == "string":
            for position, cell in enumerate(column.to_pylist()):
                if cell is not None and not _beside(shard, cell).is_file():
                    found.append((position, f"image file {cell!r} does not exist"))
        if self.kind == "features":
            found += [
                (position, f"{what} {error}") for position, error in self._wrong_numbers(column, missing)
            ]
        return found

    def _wrong_numbers(
        self, column: pa.ChunkedArray, missing: npt.NDArray[np.bool_]
    ) -> list[tuple[int, str]]:
        """Vectors of another length, and numbers that are not finite."""
        there = np.flatnonzero(~missing)
        found: list[tuple[int, str]] = []
        if flavor_of(column.type) == "vector" and self.width is not None:
            lengths = np.asarray(pc.list_value_length(column.take(pa.array(there))))
            odd = lengths != self.width
            found += [
                (position, f"must hold {self.width} numbers, got {length}")
                for position, length in zip(there[odd].tolist(), lengths[odd].tolist())
            ]
            there = there[~odd]
        if len(there) and (self.width is not None or flavor_of(column.type) != "vector"):
            values = dense(column.take(pa.array(there))).reshape(len(there), -1).astype(np.float64)
            # float32 is what models read
            finite = (np.abs(values) <= np.finfo(np.float32).max).all(axis=1)
            found += [(position, "must be finite") for position in there[~finite].tolist()]
        return found


def vector_width(column: pa.ChunkedArray) -> int | None:
    """The commonest length of the vectors of a column, the longer of equally common ones."""
    lengths = pc.list_value_length(column.drop_null()).to_numpy()
    if not len(lengths):
        return None
    values, counts = np.unique(lengths, return_counts=True)
    return int(values[counts == counts.max()].max())


def _missing(column: pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    missing = nulls(column)
    if flavor_of(column.type) == "float":
        missing = missing | np.isnan(np.asarray(column.cast(pa.float64()).fill_null(float("nan"))))
    return missing


def _beside(shard: Shard, cell: str) -> Path:
    """The file of an image path, which may be relative to the folder of its shard."""
    return Path(cell) if is_url(shard.place) else Path(shard.place).parent / cell


class _Declared:
    """Columns of which only the types are known."""

    def __init__(self, types: dict[str, pa.DataType]) -> None:
        self.types = types

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.types)

    def __len__(self) -> int:
        return 0

    def flavor(self, name: str) -> Flavor:
        return flavor_of(self.types[name])

    def class_names(self, name: str) -> tuple[str, ...] | None:
        return None

    def read(self, name: str, rows: Rows | None = None) -> Values:
        raise AssertionError("only types are known")
