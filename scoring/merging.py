"""Two ways to put score tables together: more columns (join) and more rows (concat). Both match by id only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.errors import InputError, bad_value
from scoring.hashing import fingerprint, hash_ids
from scoring.ids import find_rows
from scoring.table import ScoreTable


def join(
    left: ScoreTable,
    right: ScoreTable,
    how: Literal["exact", "inner"] = "exact",
    allow_changed_data: bool = False,
) -> ScoreTable:
    """Columns of both tables in the row order of ``left``.

    ``exact``: both must hold the same ids. ``inner``: rows whose ids are in both. Tables of different data (by
    fingerprint) are refused unless ``allow_changed_data``; scores of bare arrays, whose fingerprint is of ids alone,
    and of unknown data are matched by id only. A column that both have must be the same in both (then it
    is kept once), else it is an error. Table information of ``right`` that differs is kept with its columns, under
    ``table``.
    """
    owner = "ScoreTable.join"
    if how not in ("exact", "inner"):
        raise bad_value("how", owner, how, "'exact' or 'inner'")
    if not allow_changed_data:
        _check_same_data(left, right, owner)
    left_ids, right_ids = left.table.column("id"), right.table.column("id")
    if left_ids.type != right_ids.type and len(left) and len(right):
        raise InputError(f"{owner}: ids must be of one type, got {left_ids.type} and {right_ids.type}.")
    if how == "exact":
        find_rows(right.ids, left.ids, owner, "the other table")
        find_rows(left.ids, right.ids, owner, "this table")
    else:
        shared = pc.is_in(left_ids, value_set=right_ids.cast(left_ids.type).combine_chunks())
        left = left.take(left.ids[shared.to_numpy()])
    rows = pa.array(find_rows(right.ids, left.ids, owner, "the other table"))
    differing = {key: value for key, value in right.info.items() if left.info.get(key) != value}
    differing.pop("fingerprint", None)
    data = {name: left.table.column(name) for name in left.table.column_names}
    columns = dict(left.columns)
    for name, meta in right.columns.items():
        values = right.table.column(name).take(rows)
        if name not in columns:
            data[name] = values
            columns[name] = {**meta, "table": {**differing, **meta.get("table", {})}} if differing else meta
        elif not np.array_equal(left.column(name), right.column(name)[rows.to_numpy()], equal_nan=True):
            raise InputError(
                f"{owner}: columns must differ in name or agree in value, got two different {name!r}; rename one first."
            )
    better = right.fingerprint is not None and (left.fingerprint is None or _of_ids_alone(left))
    info = {**left.info, "fingerprint": right.fingerprint if better else left.fingerprint}
    return ScoreTable(pa.table(data), columns, info)


def concat(shards: Sequence[ScoreTable]) -> ScoreTable:
    """One table of the rows of all shards, in the order of the shards.

    Column names, types and descriptions must be equal and ids disjoint. Shards with one fingerprint are slices of the
    same data; different fingerprints are added up. ``num_examples`` and ``dead_letters`` follow suit.
    """
    owner = "ScoreTable.concat"
    if not shards:
        raise bad_value("shards", owner, "none", "at least one score table")
    first = next((shard for shard in shards if len(shard)), shards[0])
    for number, shard in enumerate(shards):
        if set(shard.columns) != set(first.columns):
            odd = sorted(set(shard.columns) ^ set(first.columns))
            raise InputError(
                f"{owner}: shards must have the same columns, got shard {number} differing in {odd}."
            )
        for name in ("id", *first.columns):
            here, there = shard.table.schema.field(name).type, first.table.schema.field(name).type
            if here != there and len(shard):
                raise InputError(
                    f"{owner}: shards must agree in types, got {name!r} {here} in shard {number}, not {there}."
                )
        for name in first.columns:
            odd = different(first.columns[name], shard.columns[name])
            if odd:
                raise InputError(
                    f"{owner}: shards must describe their columns alike, "
                    f"got {name!r} of shard {number} differing in {', '.join(odd)}."
                )
    tables = [shard.table.select(first.table.column_names) for shard in shards if len(shard)]
    return ScoreTable(pa.concat_tables(tables or [first.table]), first.columns, _added(shards))


def different(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Keys under which two descriptions disagree."""
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))


def _check_same_data(left: ScoreTable, right: ScoreTable, owner: str) -> None:
    mine, other = left.fingerprint, right.fingerprint
    if mine is None or other is None or mine == other:
        return
    if _of_ids_alone(left) or _of_ids_alone(right):
        return
    raise InputError(
        f"{owner}: data must be the same on both sides, got fingerprint {mine} here and {other} in the other table; "
        "pass allow_changed_data=True if the change is meant."
    )


def _of_ids_alone(table: ScoreTable) -> bool:
    return table.fingerprint == fingerprint(hash_ids(table.ids))


def _added(shards: Sequence[ScoreTable]) -> dict[str, Any]:
    info = dict(shards[0].info)
    prints = [shard.fingerprint for shard in shards]
    if len(set(prints)) > 1:
        known = [text for text in prints if text is not None]
        info["fingerprint"] = add_fingerprints(known) if len(known) == len(prints) else None
        counts = [shard.info.get("num_examples") for shard in shards]
        info["num_examples"] = (
            None if None in counts else sum(int(count) for count in counts if count is not None)
        )
    letters = [shard.info["dead_letters"] for shard in shards if shard.info.get("dead_letters")]
    if letters:
        lists = all(isinstance(item, list) for item in letters)
        info["dead_letters"] = [entry for item in letters for entry in item] if lists else sum(letters)
    if isinstance(info.get("coverage"), float) and info.get("num_examples"):
        info["coverage"] = sum(len(shard) for shard in shards) / info["num_examples"]
    odd = {key for shard in shards for key in different(info, shard.info)}
    odd -= {"fingerprint", "num_examples", "dead_letters", "coverage"}
    return {**info, **{key: [shard.info.get(key) for shard in shards] for key in sorted(odd)}}


def add_fingerprints(prints: Sequence[str]) -> str:
    """The fingerprint of the union of disjoint rows (``scoring.hashing.fingerprint`` adds up by design)."""
    parts = [
        (int(size, 16), int(sums[:16], 16), int(sums[16:], 16))
        for size, sums in (p.split("-") for p in prints)
    ]
    size, total, mixed = (sum(column) for column in zip(*parts))
    return f"{size:x}-{total % 2**64:016x}{mixed % 2**64:016x}"
