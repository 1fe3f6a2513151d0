"""ScoreTable: id-keyed columns of scores that know what they mean and where they came from.

In memory a pyarrow Table whose first column is ``id``. On disk one Parquet file, or a folder of Parquet shards with a
``manifest.json``; both carry the same JSON: for every column scorer, options, meaning, steps, runs, checkpoints ...,
and for the table data name, fingerprint, coverage and library version. pandas, Polars and DuckDB read them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.describe import describe_column
from scoring.errors import InputError, bad_value, missing_extra, name_some, unknown_name
from scoring.hashing import Ids
from scoring.ids import IdsLike, check_unique, find_rows, id_column
from scoring.manifest import KEY, plain, to_json
from scoring.meaning import MEANINGS
from scoring.order import score_order
from scoring.versions import library_version

if TYPE_CHECKING:
    import pandas
    import polars

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

ROLES = ("score", "side", "se", "runs", "run")
"""``score``; or, beside the score named by ``parent``: another value, standard error, number of runs, one run."""


class ScoreTable:
    """Scores of N examples.

    Args:
        table: column ``id`` (int64 or string, unique, no nulls) and one numeric or boolean column per entry of
            ``columns``. Nulls in float columns become NaN.
        columns: what is known about each column. ``meaning`` is required of scores (one of
            ``scoring.meaning.MEANINGS``); ``role`` is one of ``ROLES`` (default ``score``), with ``parent`` if it is
            not a score; the rest (scorer, options, steps, view, runs, checkpoints, model_hash ...) is free. A column
            ``label`` (the class of every example) needs no description.
        info: what is known about the whole: ``fingerprint`` and ``num_examples`` of the data, ``data``, ``source``,
            ``coverage``, ``dead_letters`` ...; ``library_version`` is added.

    Raises:
        InputError: duplicate or null ids, a column without description or with an unknown meaning.
    """

    def __init__(
        self, table: pa.Table, columns: Mapping[str, Mapping[str, Any]], info: Mapping[str, Any] | None = None
    ) -> None:
        if "label" in table.column_names and "label" not in columns:
            columns = {**columns, "label": {"role": "side", "meaning": "label"}}
        self.table: pa.Table = _checked_table(table, set(columns))
        self.columns: dict[str, dict[str, Any]] = {
            name: _checked_column(name, columns[name]) for name in self.table.column_names[1:]
        }
        self.info: dict[str, Any] = {"library_version": library_version(), **plain(info or {})}

    @classmethod
    def from_columns(
        cls,
        ids: IdsLike,
        columns: Mapping[str, Any],
        meaning: str | Mapping[str, str],
        info: Mapping[str, Any] | None = None,
    ) -> ScoreTable:
        """A table from arrays; ``meaning`` says for every column (or for all) what a high value means."""
        data = {"id": id_column(ids, "ScoreTable.from_columns")}
        for name, values in columns.items():
            data[name] = pa.array(np.asarray(values))
            if len(data[name]) != len(data["id"]):
                allowed = f"as long as ids ({len(data['id']):,} rows)"
                raise bad_value(
                    f"column {name!r}", "ScoreTable.from_columns", f"{len(data[name]):,} rows", allowed
                )
        described = {name: {"meaning": _meaning_of(name, meaning)} for name in columns}
        return cls(pa.table(data), described, info)

    @classmethod
    def read(
        cls, path: str | Path, meaning: str | Mapping[str, str] | None = None, id: str = "id"
    ) -> ScoreTable:
        """Read a file or a folder of shards; see ``scoring.table_files.read_table``."""
        from scoring.table_files import read_table

        return read_table(path, meaning=meaning, id=id)

    def write(self, path: str | Path, shard_rows: int = 1 << 20) -> Path:
        """Write one file (``*.parquet``) or a folder of shards (any other name), atomically."""
        from scoring.table_files import write_table

        return write_table(self, path, shard_rows)

    # What is in it

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return f"ScoreTable({len(self):,} rows: {', '.join(self.names)})"

    @property
    def names(self) -> list[str]:
        """Names of all columns but ``id``."""
        return list(self.columns)

    @property
    def scores(self) -> list[str]:
        """Names of the score columns: those that are not a by-product of another."""
        return [name for name, meta in self.columns.items() if meta["role"] == "score"]

    @cached_property
    def ids(self) -> Ids:
        """Ids in row order: int64 (N,) or object (N,) of str."""
        ids: Ids = self.table.column("id").to_numpy()
        ids.flags.writeable = False
        return ids

    @property
    def fingerprint(self) -> str | None:
        """Fingerprint of the data the scores belong to, if it is known."""
        value = self.info.get("fingerprint")
        return None if value is None else str(value)

    def column(self, name: str, rows: IntArray | None = None) -> FloatArray:
        """Values of a column, of all rows or of the given ones, float64; NaN where there is none."""
        values = self.table.column(self._known(name, "ScoreTable.column"))
        values = values if rows is None else values.take(pa.array(rows))
        return np.array(values.cast(pa.float64()).to_numpy(), dtype=np.float64)

    def meaning(self, name: str) -> str:
        """What a high value of the column means; ``arbitrary`` for by-products that declare nothing."""
        return str(self.columns[self._known(name, "ScoreTable.meaning")].get("meaning", "arbitrary"))

    def rows_of(self, ids: IdsLike) -> IntArray:
        """Row positions of ids, (len(ids),) int64.

        Raises:
            InputError: some ids are not in the table.
        """
        return find_rows(self.ids, ids, "ScoreTable", "the score table")

    def describe(self) -> list[dict[str, Any]]:
        """One row per column: meaning, n, nan, inf, min, quartiles, max, and the share of rows that tie."""
        return [
            {
                "column": name,
                "role": meta["role"],
                "meaning": self.meaning(name),
                **describe_column(self.column(name)),
            }
            for name, meta in self.columns.items()
        ]

    def top(self, by: str, n: int, seed: int = 0) -> list[tuple[int | str, float]]:
        """The n highest (id, value), highest first; ties by hash(seed, id); NaN is never among them."""
        return self._end(by, n, seed, highest_first=True)

    def bottom(self, by: str, n: int, seed: int = 0) -> list[tuple[int | str, float]]:
        """The n lowest (id, value), lowest first; ties by hash(seed, id); NaN is never among them."""
        return self._end(by, n, seed, highest_first=False)

    # Other tables from it

    def take(self, ids: IdsLike) -> ScoreTable:
        """The rows with these ids, in their order."""
        return self._with(self.table.take(pa.array(self.rows_of(ids))))

    def only(self, names: str | Iterable[str]) -> ScoreTable:
        """The named columns alone."""
        wanted = [
            self._known(name, "ScoreTable.only") for name in ([names] if isinstance(names, str) else names)
        ]
        return self._with(self.table.select(["id", *wanted]))

    def rename(self, names: Mapping[str, str]) -> ScoreTable:
        """Columns under new names, ``{old: new}``; by-products of a renamed column name their new parent."""
        for old in names:
            self._known(old, "ScoreTable.rename")
        renamed = [names.get(name, name) for name in self.table.column_names]
        described = {
            names.get(name, name): {**meta, "parent": names[meta["parent"]]}
            if meta.get("parent") in names
            else meta
            for name, meta in self.columns.items()
        }
        return ScoreTable(self.table.rename_columns(renamed), described, self.info)

    def join(
        self, other: ScoreTable, how: Literal["exact", "inner"] = "exact", *, allow_changed_data: bool = False
    ) -> ScoreTable:
        """Columns of both, matched by id, in this table's row order; see ``scoring.merging.join``."""
        from scoring.merging import join

        return join(self, other, how, allow_changed_data)

    @staticmethod
    def concat(shards: Iterable[ScoreTable]) -> ScoreTable:
        """Shards with the same columns and disjoint ids as one table; see ``scoring.merging.concat``."""
        from scoring.merging import concat

        return concat(list(shards))

    # Elsewhere

    def to_arrow(self) -> pa.Table:
        """A pyarrow Table with the manifest in its schema metadata."""
        return self.table.replace_schema_metadata(
            {KEY: to_json({"columns": self.columns, "info": self.info})}
        )

    def to_pandas(self) -> pandas.DataFrame:
        """A pandas DataFrame with column ``id``."""
        frame: pandas.DataFrame = self.table.to_pandas()
        return frame

    def to_polars(self) -> polars.DataFrame:
        """A Polars DataFrame with column ``id``."""
        try:
            import polars
        except ImportError as error:
            raise missing_extra("polars", "sql") from error
        frame = polars.from_arrow(self.table)
        assert isinstance(frame, polars.DataFrame)
        return frame

    def _with(self, table: pa.Table) -> ScoreTable:
        return ScoreTable(table, {name: self.columns[name] for name in table.column_names[1:]}, self.info)

    def _known(self, name: str, owner: str) -> str:
        if name not in self.columns:
            raise unknown_name("column", owner, name, self.columns)
        return name

    def _end(self, by: str, n: int, seed: int, highest_first: bool) -> list[tuple[int | str, float]]:
        owner = "ScoreTable.top" if highest_first else "ScoreTable.bottom"
        if n < 0:
            raise bad_value("n", owner, n, "0 or more")
        values = self.column(self._known(by, owner))
        rows = np.flatnonzero(~np.isnan(values))
        rows = rows[score_order(values[rows], self.ids[rows], seed, highest_first=highest_first)[:n]]
        return list(zip(self.ids[rows].tolist(), values[rows].tolist()))


def _checked_table(table: pa.Table, described: set[str]) -> pa.Table:
    owner = "ScoreTable"
    names = table.column_names
    if "id" not in names:
        raise InputError(f"{owner}: table must have a column 'id', got columns {', '.join(names) or 'none'}.")
    others = [name for name in names if name != "id"]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{owner}: column names must differ, got {name_some(twice)} more than once.")
    if set(others) != described:
        odd = sorted(set(others) ^ described)
        raise InputError(
            f"{owner}: columns must describe every column of table but 'id', differing in {odd}."
        )
    ids = id_column(table.column("id"), owner)
    check_unique(ids, owner)
    return pa.table({"id": ids, **{name: _checked_values(name, table.column(name)) for name in others}})


def _checked_values(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_float16(values.type) or pa.types.is_null(values.type) or pa.types.is_decimal(values.type):
        values = values.cast(pa.float64())
    if not (
        pa.types.is_floating(values.type)
        or pa.types.is_integer(values.type)
        or pa.types.is_boolean(values.type)
    ):
        raise bad_value(f"column {name!r}", "ScoreTable", str(values.type), "numbers or booleans")
    return pc.fill_null(values, float("nan")) if pa.types.is_floating(values.type) else values


def _checked_column(name: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"role": "score", **plain(meta)}
    owner = f"ScoreTable column {name!r}"
    if described["role"] not in ROLES:
        raise unknown_name("role", owner, str(described["role"]), ROLES)
    if described["role"] == "score" and "meaning" not in described:
        raise InputError(f"{owner}: meaning must be one of {', '.join(MEANINGS)}, got none.")
    if "meaning" in described and described["meaning"] not in MEANINGS:
        raise unknown_name("meaning", owner, str(described["meaning"]), MEANINGS)
    return described


def _meaning_of(name: str, meaning: str | Mapping[str, str]) -> str:
    if isinstance(meaning, str):
        return meaning
    if name not in meaning:
        raise InputError(
            f"ScoreTable: meaning must be given for column {name!r}: one of {', '.join(MEANINGS)}."
        )
    return meaning[name]
