"""The run table of a study: one row per run, evaluation and metric, tidy, in one Parquet file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from scoring.errors import InputError
from scoring.files import atomic_file

TABLE = "study.parquet"

CELL = pa.schema(
    {
        "study": pa.string(),
        "variant": pa.string(),
        "model": pa.string(),
        "regime": pa.string(),
        "way": pa.string(),
        "by": pa.string(),
        "take": pa.string(),
        "options": pa.string(),
        "balance": pa.string(),
        "budget": pa.string(),
        "seed": pa.int64(),
    }
)
"""What tells cells apart. ``study``: the kind; ``variant``: of the data; ``regime``: what is equal for all runs, such
as ``800 steps`` or ``10 epochs``; ``way``: the way of choosing in words, ``all`` for all examples; ``by`` is null where
no score is read, ``options`` where none were given, ``balance`` where nothing was chosen; ``budget``: what was asked
for, ``30%``, and null for all."""

RUN = pa.schema(
    {
        "run": pa.string(),
        "keep": pa.float64(),
        "rows": pa.int64(),
        "N": pa.float64(),
        "D": pa.float64(),
        "C": pa.float64(),
        "U": pa.float64(),
        "epochs": pa.float64(),
        "steps": pa.int64(),
        "wall_time_s": pa.float64(),
    }
)
"""``run``: the run directory, relative to the study's folder; two cells that come to the same training share one.
``keep``: what was kept of all (rows, or tokens where the budget is in tokens); ``N`` parameters; ``D`` examples or
tokens that training had read when the value was measured, ``C`` the FLOPs until then, ``U`` different ones among them
in the whole run; ``epochs`` and ``steps`` (updates) of the whole run."""

VALUE = pa.schema(
    {
        "step": pa.int64(),
        "split": pa.string(),
        "group": pa.string(),
        "metric": pa.string(),
        "value": pa.float64(),
    }
)
"""``split``: the test set, or ``train`` for what is said of the examples trained on; ``group`` is empty for all of
them, else ``class:NAME`` or ``COLUMN:VALUE``."""

SCHEMA = pa.schema([*CELL, *RUN, *VALUE])


def write_table(path: Path, rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Write the table and give it."""
    table = pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)
    with atomic_file(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd")
    return table


def read_table(path: str | Path) -> pa.Table:
    """The table of a study, from its file or the study's folder."""
    place = Path(path)
    place = place / TABLE if place.is_dir() else place
    if not place.is_file():
        raise FileNotFoundError(f"study: there is no {place}.")
    table = parquet.ParquetFile(place).read()
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(f"study: {place} is not the table of a study, the column {missing[0]!r} is missing.")
    return table.select(SCHEMA.names)
