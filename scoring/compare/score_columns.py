"""Which columns of score tables, one table per architecture, are the single runs of which score, and their values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import numpy.typing as npt

from scoring.compare.digests import values_digest
from scoring.compare.ranks import Floats, NanPolicy, has_hard_end
from scoring.errors import InputError, bad_value, name_some, unknown_name
from scoring.hashing import Ids, UInt64Array, hash_ids
from scoring.ids import find_rows
from scoring.meaning import Meaning
from scoring.stored_table import StoredTable

OWNER = "compare"


class Columns(Protocol):
    """What is read of a score table: a ``ScoreTable`` or a ``StoredTable``."""

    columns: dict[str, dict[str, object]]
    info: dict[str, object]

    @property
    def ids(self) -> Ids: ...

    def __len__(self) -> int: ...

    def column(self, name: str) -> Floats: ...

    def meaning(self, name: str) -> str: ...


@dataclass(frozen=True)
class ScoreColumns:
    """What the tables hold together; the names and their sense are those of ``RunScores``."""

    ids: Ids
    meanings: Mapping[str, Meaning]
    runs: Mapping[str, Sequence[str]]
    read: Callable[[str, str], Floats]
    labels_N: npt.NDArray[np.int64] | None
    label_names: Sequence[str]
    fingerprint: str | None
    left_out: Mapping[str, str]
    dropped: int
    digests: Mapping[tuple[str, str], str]
    of_documents: bool


def read_tables(
    tables: Mapping[str, Columns | str | Path],
    scores: Iterable[str] | None,
    nan: NanPolicy,
    allow_changed_data: bool,
) -> ScoreColumns:
    """Check the tables and find their columns; see ``RunScores.of_tables``."""
    if not tables:
        raise bad_value("tables", OWNER, {}, "at least one score table")
    if nan not in ("error", "drop"):
        raise bad_value("nan", OWNER, nan, "'error' or 'drop'")
    opened: dict[str, Columns] = {
        name: cast(Columns, StoredTable(table, OWNER)) if isinstance(table, str | Path) else table
        for name, table in tables.items()
    }
    _check_same_data(opened, allow_changed_data)
    first_name, first = next(iter(opened.items()))
    rows = {name: _rows(first, first_name, table, name) for name, table in opened.items()}
    columns, meanings, left_out = _columns(opened, None if scores is None else list(scores))
    keep = np.ones(len(first), dtype=np.bool_)
    ids_N = hash_ids(first.ids)
    digests: dict[tuple[str, str], str] = {}
    for name, by in columns.items():
        there_N = _as_stored(ids_N, rows[name])
        for score in meanings:
            values_RN = _rows_of(opened[name], by[score])
            _check_nan(values_RN, opened[name], by[score], rows[name], keep, name, nan)
            digests[score, name] = values_digest(values_RN, there_N)
    kept = None if keep.all() else np.flatnonzero(keep)

    def read(score: str, name: str) -> Floats:
        order = rows[name]
        if kept is not None:
            order = kept if order is None else order[kept]
        found = _rows_of(opened[name], columns[name][score])
        return found if order is None else found[:, order]

    labels = first.column("label").astype(np.int64) if "label" in first.columns else None
    return ScoreColumns(
        ids=first.ids if kept is None else first.ids[kept],
        meanings=meanings,
        runs={name: _run_names(opened[name], by, meanings) for name, by in columns.items()},
        read=read,
        labels_N=labels if labels is None or kept is None else labels[kept],
        label_names=cast(Sequence[str], first.info.get("label_names") or ()),
        fingerprint=cast(str | None, first.info.get("fingerprint")),
        left_out=left_out,
        dropped=int((~keep).sum()),
        digests=digests,
        of_documents=of_documents(opened.values()),
    )


def of_documents(tables: Iterable[Columns]) -> bool:
    """Whether the scores are of the documents themselves, without runs."""
    return all(table.info.get("runs") == [] for table in tables)


def _rows_of(table: Columns, names: Sequence[str]) -> Floats:
    """Values of columns as rows, (len(names), N)."""
    if isinstance(table, StoredTable):
        return table.rows_of(names)
    return np.stack([table.column(name) for name in names])


def _check_same_data(tables: Mapping[str, Columns], allow_changed_data: bool) -> None:
    known = {
        name: table.info["fingerprint"] for name, table in tables.items() if table.info.get("fingerprint")
    }
    if not allow_changed_data and len(set(known.values())) > 1:
        a, b = next((a, b) for a in known for b in known if known[a] != known[b])
        raise InputError(
            f"{OWNER}: tables must be of the same data, but {a} and {b} have different fingerprints; "
            "pass allow_changed_data=True if that is meant."
        )


def _rows(first: Columns, first_name: str, table: Columns, name: str) -> npt.NDArray[np.int64] | None:
    """Positions that put the rows of ``table`` into the order of ``first``; None if they are in it."""
    if len(first) == len(table) and np.array_equal(first.ids, table.ids):
        return None
    one, other = f"the table of {first_name}", f"the table of {name}"
    find_rows(first.ids, table.ids, f"{OWNER}: {other}", one)
    return find_rows(table.ids, first.ids, f"{OWNER}: {one}", other)


def _as_stored(ids_N: UInt64Array, rows: npt.NDArray[np.int64] | None) -> UInt64Array:
    """Hashes of ids in the order of a table whose rows ``rows`` are in the order of ``ids_N``."""
    if rows is None:
        return ids_N
    there_N = np.empty_like(ids_N)
    there_N[rows] = ids_N
    return there_N


def _columns(
    tables: Mapping[str, Columns], names: list[str] | None
) -> tuple[dict[str, dict[str, list[str]]], dict[str, Meaning], dict[str, str]]:
    """Architecture -> score -> its columns; meanings of the scores that can be compared; why others cannot."""
    own = {
        name: [c for c, meta in table.columns.items() if meta["role"] == "score"]
        for name, table in tables.items()
    }
    everywhere = list(dict.fromkeys(score for scores in own.values() for score in scores))
    for score in names or ():
        if score not in everywhere:
            raise unknown_name("score", OWNER, score, everywhere)
    found: dict[str, dict[str, list[str]]] = {name: {} for name in tables}
    meanings: dict[str, Meaning] = {}
    left_out: dict[str, str] = {}
    for score in everywhere if names is None else names:
        lacking = [name for name in tables if score not in own[name]]
        if lacking:
            left_out[score] = f"not in the table of {', '.join(lacking)}"
            continue
        kinds = {table.meaning(score) for table in tables.values()}
        if len(kinds) > 1:
            left_out[score] = f"high means {' and '.join(sorted(kinds))}"
            continue
        meaning = cast(Meaning, kinds.pop())
        if meaning == "label":
            left_out[score] = f"high means {meaning}, which has no order"
            continue
        if not has_hard_end(meaning) and names is None and not of_documents(tables.values()):
            left_out[score] = f"high means {meaning}, which has no hard end"
            continue
        if meaning == "arbitrary" and names is None:
            left_out[score] = "its numbers are arbitrary"
            continue
        meanings[score] = meaning
    for name, table in tables.items():
        for score in meanings:
            runs = [
                (int(column.removeprefix(f"{score}.run")), column)
                for column, meta in table.columns.items()
                if meta["role"] == "run" and meta.get("parent") == score and column.startswith(f"{score}.run")
            ]
            found[name][score] = [column for _, column in sorted(runs)] or [score]
        most = max((len(columns) for columns in found[name].values()), default=1)
        for score in [s for s, columns in found[name].items() if len(columns) < most and s in meanings]:
            left_out[score] = f"{name} has no columns of its single runs, as other scores have"
            del meanings[score]
    return found, meanings, left_out


def _run_names(table: Columns, columns: Mapping[str, list[str]], meanings: Iterable[str]) -> list[str]:
    count = max((len(columns[score]) for score in meanings), default=1)
    names = [str(name) for name in cast(Sequence[object], table.info.get("runs") or ())]
    return (
        names if len(names) == count else (["all"] if count == 1 else [f"run{run}" for run in range(count)])
    )


def _check_nan(
    values_RN: Floats,
    table: Columns,
    columns: Sequence[str],
    rows: npt.NDArray[np.int64] | None,
    keep: npt.NDArray[np.bool_],
    name: str,
    nan: NanPolicy,
) -> None:
    """Mark the rows without a value in ``keep``, or refuse them."""
    for column, values in zip(columns, values_RN):
        missing = np.isnan(values)
        if nan == "error" and missing.any():
            some = name_some(table.ids[missing].tolist())
            raise bad_value(
                f"{column!r} of {name}",
                OWNER,
                f"{int(missing.sum()):,} NaN ({some})",
                "free of NaN, or use nan='drop'",
            )
        keep &= ~(missing if rows is None else missing[rows])
