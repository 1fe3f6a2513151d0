"""Scorers of documents that compare all rows with each other, over shards.

The signals that they read are stored piece by piece while shards are scored. Then one task puts them one behind
another in the order of the shards, hands them to the scorers memory-mapped, and writes their columns, which each
sidecar gets its part of. In memory are all ids, the finished columns, and what the scorer itself takes; on disk the
signals of all rows twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.blocks import describe_columns, spread
from scoring.collected import Collected
from scoring.combine import column_of, combine_runs
from scoring.corpus.ledger import Ledger
from scoring.data.shards import Shard
from scoring.files import write_atomic, write_json
from scoring.manifest import KEY, parquet_writer, parse_manifest, to_json
from scoring.needs import Need
from scoring.plan import Column, needs_of
from scoring.review import tally
from scoring.scorer import CollectiveScorer
from scoring.sharded.job import ShardJob
from scoring.signal_store import ArrayStore
from scoring.sources.corpus import PASS
from scoring.sources.source import IntArray, Source
from scoring.table_files import KIND

BLOCK = 65_536


def collective(job: ShardJob) -> list[Column]:
    """The columns that need all rows at once."""
    return [column for column in job.columns if column.collective]


def store_signals(job: ShardJob, shard: Shard, start: int, source: Source, rows: IntArray) -> None:
    """Keep what collective scorers read of some rows of the piece that begins at row ``start`` of the shard."""
    stores = {
        need: ArrayStore(folder, len(rows)) for need, folder in _folders(job, shard.sidecar, start).items()
    }
    missing = {need: store for need, store in stores.items() if not store.pieces}
    if missing:
        for positions, signals in source.read(PASS, frozenset(missing), rows):
            for need, store in missing.items():
                store.write(positions, [value.numpy() for value in signals.extras[need]])
    for store in missing.values():
        store.finish(1)


def in_order(summaries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sidecars, how many rows each has, and the place of its first one among all."""
    found, first = [], 0
    for each in summaries:
        summary = each["summary"]
        found.append({"sidecar": summary["sidecar"], "rows": summary["rows"], "first": first})
        first += summary["rows"]
    return found


def score_together(job: ShardJob, task: dict[str, Any]) -> dict[str, str]:
    """Score all rows of all shards; the task names sidecars in order, with their rows.

    Gives the JSON of the roles of the new columns, by name, and of what their scorers tally.
    """
    shards: list[tuple[str, int]] = [(each["sidecar"], each["rows"]) for each in task["shards"]]
    total = sum(rows for _, rows in shards)
    ids, labels = _ids_and_labels(job.folder / "table", [name for name, rows in shards if rows])
    arrays = {need: _together(job, need, [name for name, _ in shards], total) for need in _needs(job)}
    collected = Collected(
        ids_N=ids, labels_N=labels, step=0, epoch=0.0, learning_rate=None, target=None, arrays=arrays
    )
    values, ledger = {}, Ledger()
    for column in collective(job):
        assert isinstance(column.scorer, CollectiveScorer)
        with ledger.scorer(column.name, total):
            found = column.scorer.score_all([collected])
        for side, value in found.items():
            values[f"{column.name}.{side}" if side else column.name] = np.asarray(value, dtype=float)
    everything = np.ones(total, dtype=bool)
    data, roles = combine_runs(
        collective(job), [spread(values, dict.fromkeys(values, everything), everything)], False
    )
    for place, name in enumerate(roles):
        write_atomic(_output(job, place), lambda file, name=name: _save(file, data[name]))  # type: ignore[misc]
    write_json(job.folder / "costs" / "together.json", ledger.to_dict())
    return {"roles": json.dumps(roles), "tallies": to_json(tally(collective(job), data)).decode()}


def described(job: ShardJob, source: Source, roles: dict[str, str]) -> dict[str, Any]:
    """What is said of the new columns."""
    return describe_columns(collective(job), roles, job.plans(source), source)


def add_columns(job: ShardJob, columns: Mapping[str, Any], task: dict[str, Any]) -> None:
    """Write the sidecar of one shard again, with its part of the new columns."""
    path = job.folder / "table" / task["sidecar"]
    manifest = parse_manifest(pq.read_schema(path).metadata[KEY], "score", path)
    if not task["rows"] or columns.keys() <= manifest["columns"].keys():
        return
    values = {name: np.load(_output(job, place), mmap_mode="r") for place, name in enumerate(columns)}
    manifest |= {"columns": {**manifest["columns"], **columns}}
    with pq.ParquetFile(path) as sidecar:
        schema, at = sidecar.schema_arrow.remove_metadata(), task["first"]
        order = _order(job, [*schema.names, *columns])
        for name in columns:
            schema = schema.append(pa.field(name, pa.float64()))
        schema = pa.schema([schema.field(name) for name in order])
        with parquet_writer(path, schema, KIND, manifest) as writer:
            for group in range(sidecar.num_row_groups):
                table = sidecar.read_row_group(group).replace_schema_metadata(None)
                for name, column_N in values.items():
                    table = table.append_column(name, pa.array(column_N[at : at + len(table)]))
                at += len(table)
                writer.write_table(table.select(order).combine_chunks())


def _order(job: ShardJob, names: Sequence[str]) -> list[str]:
    """Ids, the columns as they were asked for, then what else there is: as ``score`` orders them."""
    asked = [column.name for column in job.columns]
    own = [name for name in names if any(name == each or name.startswith(f"{each}.") for each in asked)]
    own.sort(key=lambda name: asked.index(column_of(job.columns, name).name))
    return [names[0], *own, *(name for name in names[1:] if name not in own)]


def _needs(job: ShardJob) -> list[Need]:
    return sorted(needs_of(collective(job)) - {"labels"}, key=repr)


def _folders(job: ShardJob, sidecar: str, start: int) -> dict[Need, Path]:
    """Where the signals of a piece are stored."""
    piece = job.folder / "signals" / sidecar / f"{start:012}"
    return {need: piece / f"{place:03}" for place, need in enumerate(_needs(job))}


def _together(job: ShardJob, need: Need, sidecars: Sequence[str], total: int) -> list[npt.NDArray[Any]]:
    """A signal of all rows, memory-mapped."""
    place, at = _needs(job).index(need), 0
    whole = ArrayStore(job.folder / "signals" / f"{place:03}", total)
    if not whole.pieces:
        for sidecar in sidecars:
            for piece in sorted((job.folder / "signals" / sidecar).glob("[0-9]*")):
                parts = ArrayStore(piece / f"{place:03}", 0).open()
                for start in range(0, len(parts[0]), BLOCK):
                    rows = [part[start : start + BLOCK] for part in parts]
                    whole.write(np.arange(at, at + len(rows[0])), rows)
                    at += len(rows[0])
        assert at == total, "every scored row has its signals"
        whole.finish(1)
    return whole.open()


def _ids_and_labels(table: Path, sidecars: Sequence[str]) -> tuple[npt.NDArray[Any], IntArray | None]:
    ids, labels = [], []
    for name in sidecars:
        names = pq.read_schema(table / name).names
        columns = pq.ParquetFile(table / name).read([each for each in ("id", "label") if each in names])
        ids.append(columns.column("id").to_numpy())
        if "label" in names:
            labels.append(columns.column("label").to_numpy())
    return np.concatenate(ids), np.concatenate(labels) if labels else None


def _output(job: ShardJob, place: int) -> Path:
    return job.folder / "together" / f"{place:03}.npy"


def _save(path: Path, values: npt.NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)
