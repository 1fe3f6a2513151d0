"""Tables of runs: one row per run, step, split and metric, as studies write them and everything here reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, name_some, unknown_name
from training.laws.inputs import complete

WORDS = ("run", "corpus", "split", "metric")
NUMBERS = ("N", "D", "C", "step", "value")
DERIVED = ("N", "D", "C")
READERS = (".csv", ".parquet", ".jsonl")

Column = npt.NDArray[Any]


@dataclass(frozen=True)
class RunTable:
    """Rows (run, corpus, N, D, C, step, split, metric, value), and any further columns that were asked for.

    ``N`` parameters, ``D`` tokens seen, ``C`` FLOPs (6 N D where it was not given); what is unknown is NaN or "".
    ``run`` names the training run, which joins metrics of one model. ``without_value`` rows (of a wide table: cells)
    had an empty value or NaN when the table was made, and are not among the rows.
    """

    columns: Mapping[str, Column]
    without_value: int = 0

    def __len__(self) -> int:
        return len(self.columns["value"])

    def __getitem__(self, name: str) -> Column:
        if name not in self.columns:
            raise unknown_name("column", "run table", name, self.columns)
        return self.columns[name]

    def names(self, column: str) -> list[str]:
        """The different words in a column, sorted."""
        return sorted({str(word) for word in self[column].tolist()})

    def rows(self, mask: npt.ArrayLike) -> RunTable:
        """Some of the rows: (N,) bool or row numbers."""
        chosen = np.asarray(mask)
        return RunTable({name: column[chosen] for name, column in self.columns.items()}, self.without_value)

    def where(self, **equal: object) -> RunTable:
        """The rows in which columns have these values; a word that occurs nowhere in its column is an error."""
        mask = np.ones(len(self), dtype=bool)
        for name, value in equal.items():
            column = self[name]
            if isinstance(value, str) and not any(isinstance(each, str) for each in column.tolist()):
                value = _number(name, value)
            if isinstance(value, str) and value not in set(column.tolist()):
                raise unknown_name(name, "run table", value, self.names(name))
            mask &= column == value
        return self.rows(mask)

    def with_metrics(self, metrics: Sequence[str]) -> RunTable:
        """The rows of some metrics."""
        for name in metrics:
            if name not in self.names("metric"):
                raise unknown_name("metric", "run table", name, self.names("metric"))
        return self.rows(np.isin(self["metric"].astype(str), list(metrics)))

    def last(self) -> RunTable:
        """Of every run, split and metric the rows of the last step; rows without steps stay."""
        keys = list(zip(self["run"], self["corpus"], self["split"], self["metric"]))
        steps = np.nan_to_num(self["step"], nan=-1.0).tolist()
        newest = {key: step for step, key in sorted(zip(steps, keys), key=lambda pair: pair[0])}
        at_end = [step == newest[key] for step, key in zip(steps, keys)]
        return self.rows(np.flatnonzero(np.array(at_end, dtype=bool) | np.isnan(self["step"])))

    @property
    def inputs(self) -> dict[str, Column]:
        """N, D and C of every row, as :func:`~training.laws.fit.fit` reads them."""
        return {name: self.columns[name] for name in ("N", "D", "C")}


def read_run_table(
    path: str | Path,
    columns: Mapping[str, str] | None = None,
    metrics: Mapping[str, str] | Sequence[str] | None = None,
) -> RunTable:
    """A run table from CSV, Parquet or JSON lines.

    ``columns`` maps our names to those of the file (``{"N": "params", "D": "tokens", "corpus": "data"}``); names beyond
    ours become further columns. A wide file, with one column per metric, needs ``metrics``: their columns, or a mapping
    of our names to them. In a file with a column of values ``metrics`` chooses rows. Values that are empty or NaN
    become no row, and are counted. N, D and C follow from two of them, and may be mapped (``{"x": "C"}``) like columns
    of the file.
    """
    found = _read(Path(path))
    mapping = {name: name for name in (*WORDS, *NUMBERS) if name in found} | dict(columns or {})
    later = {name: column for name, column in mapping.items() if column in DERIVED and column not in found}
    mapping = {name: column for name, column in mapping.items() if name not in later}
    for name, column in mapping.items():
        if column not in found:
            raise unknown_name(f"the column of {name}", f"run table {path}", column, found)
    table = {name: found[column] for name, column in mapping.items()}
    if not metrics and "value" not in table:
        raise InputError(
            f"run table {path}: no column of values; name the metrics of a wide table, or map 'value'; its columns are "
            f"{name_some(found, 12)}."
        )
    wide = _wide(path, found, metrics) if metrics and "value" not in table else None
    made = make_run_table(table, wide, str(path))
    made = replace(made, columns={**made.columns, **{name: made[column] for name, column in later.items()}})
    if wide is not None:
        return made
    return made.with_metrics(list(metrics)) if metrics else made


def columns_of(path: str | Path) -> list[str]:
    """The names of the columns in a file."""
    return list(_read(Path(path)))


def make_run_table(
    columns: Mapping[str, npt.ArrayLike],
    metrics: Mapping[str, npt.ArrayLike] | None = None,
    name: str = "given",
) -> RunTable:
    """A run table from arrays; ``metrics`` are columns of values by metric, one row per run."""
    table: dict[str, Column] = {key: np.asarray(column) for key, column in columns.items()}
    if metrics:
        rows = len(next(iter(table.values()), np.asarray(next(iter(metrics.values())))))
        if "value" in table:
            raise InputError(f"run table {name}: it has a column of values and metrics; give one of them.")
        if "run" not in table and len(set(table.get("step", np.zeros(0)).tolist())) > 1:
            raise InputError(
                f"run table {name}: it has steps, so a run has several rows; map the column that names the run "
                '(columns={"run": ...}, or --column run=... on the command line).'
            )
        table.setdefault("run", np.arange(rows).astype(str))
        values = {key: _numbers(name, key, np.asarray(column)) for key, column in metrics.items()}
        table = {key: np.tile(column, len(values)) for key, column in table.items()}
        table["metric"] = np.repeat(np.array(list(values), dtype=object), rows)
        table["value"] = np.concatenate(list(values.values()))
    if "value" not in table:
        raise InputError(
            f"run table {name}: no column of values; map 'value', or name the metrics of a wide table."
        )
    table["value"] = _numbers(name, "value", table["value"])
    present = ~np.isnan(table["value"])
    if all(len(column) == len(present) for column in table.values()):
        table = {key: column[present] for key, column in table.items()}
    rows = len(table["value"])
    if rows == 0 and len(present):
        raise InputError(f"run table {name}: no row has a value.")
    for key in NUMBERS:
        if key in table:
            table[key] = _numbers(name, key, table[key])
    known: dict[str, npt.ArrayLike] = {key: table[key] for key in ("N", "D", "C") if key in table}
    for key in ("N", "D", "C"):
        try:
            table[key] = complete(known, (key,))[key]
        except InputError:
            table[key] = np.full(rows, np.nan)
    table.setdefault("step", np.full(rows, np.nan))
    for key, default in (("corpus", ""), ("split", ""), ("metric", "loss")):
        table.setdefault(key, np.full(rows, default, dtype=object))
    if "run" not in table:
        settings = np.stack([table[key] for key in ("N", "D", "C")], 1)
        seeds = table.get("seed", np.full(rows, "", dtype=object))  # runs of two seeds are two
        labels = [
            f"{corpus} {setting.tolist()} {seed}".rstrip()
            for corpus, setting, seed in zip(table["corpus"], settings, seeds)
        ]
        table["run"] = np.array(labels, dtype=object)
    for key in WORDS:
        table[key] = np.array([str(word) for word in table[key]], dtype=object)
    ordered = [*WORDS[:2], *NUMBERS[:4], *WORDS[2:], "value"]
    ordered += [key for key in table if key not in ordered]
    return RunTable({key: table[key] for key in ordered}, int((~present).sum()))


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"run table: {name} must be a number, as its column holds numbers, got {text!r}."
        ) from None


def _wide(
    path: str | Path, found: Mapping[str, Column], metrics: Mapping[str, str] | Sequence[str]
) -> dict[str, Column]:
    named = dict(metrics) if isinstance(metrics, Mapping) else {column: column for column in metrics}
    for column in named.values():
        if column not in found:
            raise unknown_name("metric", f"run table {path}", column, found)
    return {name: found[column] for name, column in named.items()}


def _numbers(table: str, name: str, column: Column) -> Column:
    try:
        return np.array([np.nan if value is None else value for value in column], dtype=np.float64)
    except (TypeError, ValueError):
        found = next(value for value in column.tolist() if not _is_number(value))
        raise InputError(
            f"run table {table}: the column {name} holds something that is not a number, {found!r}."
        ) from None


def _is_number(value: object) -> bool:
    try:
        return value is None or isinstance(float(value), float)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False


def _read(path: Path) -> dict[str, Column]:
    import pyarrow as pa

    if path.is_dir():
        raise InputError(f"run table {path}: it must be a file, and this is a folder.")
    ending = path.suffix.lower()
    if ending not in READERS:
        raise InputError(f"run table {path}: its name must end in {', '.join(READERS)}.")
    if not path.is_file():
        raise FileNotFoundError(f"run table {path}: there is no such file.")
    try:
        if ending == ".csv":
            from pyarrow import csv

            read = csv.read_csv(path)
        elif ending == ".parquet":
            from pyarrow import parquet

            read = parquet.read_table(path)
        else:
            from pyarrow import json

            read = json.read_json(path)
        columns = [column.to_pylist() for column in read.columns]
    except pa.ArrowInvalid as error:
        raise InputError(f"run table {path}: it cannot be read ({str(error).splitlines()[0]}).") from None
    except UnicodeDecodeError:
        raise InputError(f"run table {path}: it must be text in UTF-8.") from None
    names = [name.strip() for name in read.column_names]
    for name in names:
        if names.count(name) > 1:
            raise InputError(
                f"run table {path}: it has {names.count(name)} columns {name!r}; give them different names."
            )
    return {name: np.array(column, dtype=object) for name, column in zip(names, columns)}
