"""One shard rewritten: its kept rows in its own order, format and compression, or all rows with a column of which.

``keep(rows_B, ids_B)`` decides about rows by their numbers and, where ids come from a column, their ids.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.line_shards import json_object, raw_lines
from scoring.data.remote import open_binary
from scoring.data.shard_batches import column_types, count_rows, read_batches
from scoring.data.shards import Shard
from scoring.data.table_shards import arrow_batches
from scoring.errors import InputError, unknown_name
from scoring.files import atomic_file, write_json
from scoring.hashing import digest
from scoring.ids import id_column

OWNER = "apply"
HELD_BYTES = 1 << 28
_LINES = 8192

Weights = npt.NDArray[np.float64]
Keep = Callable[[npt.NDArray[np.int64], "pa.Array | None"], Weights]
"""Weights of rows, (B,) float64, NaN for those that are not kept."""


@dataclass(frozen=True)
class Rewriting:
    """What to write.

    Attributes:
        id: column of ids, None if the row number is enough. weights: column to add with the weights, if any.
        selected: column that says which rows are kept, all being written; None to write the kept ones alone.
        types: of the columns of JSONL, where ``selected`` makes a table of it.
    """

    id: str | None = None
    weights: str | None = None
    selected: str | None = None
    types: tuple[tuple[str, pa.DataType], ...] = ()

    @property
    def added(self) -> dict[str, pa.DataType]:
        """Columns that the output has and the input has not."""
        columns = {} if self.selected is None else {self.selected: pa.bool_()}
        return columns | ({} if self.weights is None else {self.weights: pa.float64()})


def rewrite(shard: Shard, path: Path, how: Rewriting, keep: Keep) -> int:
    """Write one shard to ``path``, atomically; how many rows it had."""
    if how.selected is not None:
        return _as_arrow(shard, path, how, keep)
    return {"parquet": _parquet, "arrow": _as_arrow, "jsonl": _jsonl}[shard.format](shard, path, how, keep)


def _parquet(shard: Shard, path: Path, how: Rewriting, keep: Keep) -> int:
    """Row group by row group; those without a kept row vanish."""
    row = 0
    with open_binary(shard.place) as content:
        parquet = pq.ParquetFile(content, pre_buffer=False)
        schema = _with_added(parquet.schema_arrow, how, shard)
        meta = parquet.metadata
        codecs = {}
        if meta.num_row_groups:
            first = meta.row_group(0)
            for column in map(first.column, range(first.num_columns)):
                codecs[column.path_in_schema] = column.compression.replace("UNCOMPRESSED", "NONE")
        codecs |= dict.fromkeys(how.added, "SNAPPY") if codecs else {}
        options: dict[str, Any] = {"compression": codecs} if codecs else {}
        with (
            atomic_file(path) as file,
            pq.ParquetWriter(file, schema, version=meta.format_version, **options) as writer,
        ):
            for group in range(meta.num_row_groups):
                held: list[pa.Table] = []
                size = 0
                wide = max(1, meta.row_group(group).total_byte_size // max(1, meta.row_group(group).num_rows))
                rows = int(max(1, min(1 << 16, HELD_BYTES // wide)))
                for batch in parquet.iter_batches(rows, row_groups=[group]):
                    part = _kept(pa.table(batch), row, how, keep)
                    row += batch.num_rows
                    held, size = [*held, part], size + part.nbytes
                    if size > HELD_BYTES:
                        _write_group(writer, held, schema)
                        held, size = [], 0
                _write_group(writer, held, schema)
    return row


def _write_group(writer: pq.ParquetWriter, held: list[pa.Table], schema: pa.Schema) -> None:
    table = pa.concat_tables(held) if held else schema.empty_table()
    if len(table):
        writer.write_table(table.cast(schema), row_group_size=len(table))


def _as_arrow(shard: Shard, path: Path, how: Rewriting, keep: Keep) -> int:
    """An Arrow stream, batch by batch."""
    schema, batches = None, iter(())
    row = 0
    with open_binary(shard.place) as content:
        if shard.format == "arrow":
            schema, batches = arrow_batches(content)
        elif shard.format == "parquet":
            parquet = pq.ParquetFile(content, pre_buffer=False)
            schema, batches = parquet.schema_arrow, parquet.iter_batches(1 << 12)
        else:
            return _json_as_arrow(shard, path, how, keep)
        schema = _with_added(schema, how, shard)
        with (
            atomic_file(path) as file,
            pa.OSFile(str(file), "wb") as sink,
            pa.ipc.new_stream(sink, schema) as stream,
        ):
            for batch in batches:
                table = _kept(pa.table(batch), row, how, keep)
                row += batch.num_rows
                if len(table):
                    stream.write_table(table.cast(schema))
    return row


def _json_as_arrow(shard: Shard, path: Path, how: Rewriting, keep: Keep) -> int:
    types = dict(how.types)
    schema = _with_added(pa.schema(types), how, shard)
    stop = 0
    with (
        atomic_file(path) as file,
        pa.OSFile(str(file), "wb") as sink,
        pa.ipc.new_stream(sink, schema) as stream,
    ):
        for batch in read_batches(shard, types, rows=1 << 14):
            stop = batch.stop
            stream.write_table(
                _chosen(batch.table, batch.rows_B, how, keep).cast(schema), max_chunksize=1 << 12
            )
    return stop


def _kept(table: pa.Table, start: int, how: Rewriting, keep: Keep) -> pa.Table:
    return _chosen(table, np.arange(start, start + table.num_rows), how, keep)


def _chosen(table: pa.Table, rows_B: npt.NDArray[np.int64], how: Rewriting, keep: Keep) -> pa.Table:
    """The rows to write, with what is added."""
    ids = None if how.id is None else id_column(table.column(how.id), OWNER)
    weight_B = keep(rows_B, ids)
    kept_B = ~np.isnan(weight_B)
    if how.selected is None:
        table, weight_B = table.filter(pa.array(kept_B)), weight_B[kept_B]
    else:
        table = table.append_column(how.selected, pa.array(kept_B))
    if how.weights is not None:
        table = table.append_column(how.weights, pa.array(np.nan_to_num(weight_B, nan=0.0)))
    return table


def _with_added(schema: pa.Schema, how: Rewriting, shard: Shard) -> pa.Schema:
    """The schema of the output; what ``datasets`` keeps of column types in the metadata learns of new columns."""
    if how.id is not None and how.id not in schema.names:
        raise unknown_name("id", f"{OWNER} shard {shard.name!r}", how.id, schema.names)
    metadata = dict(schema.metadata or {})
    for name, kind in how.added.items():
        if name in schema.names:
            raise InputError(f"{OWNER}: the data have a column {name!r} already; name the new one otherwise.")
        schema = schema.append(pa.field(name, kind))
        if b"huggingface" in metadata:
            known = json.loads(metadata[b"huggingface"])
            dtype = "bool" if kind == pa.bool_() else "float64"
            known["info"]["features"][name] = {"dtype": dtype, "_type": "Value"}
            metadata[b"huggingface"] = json.dumps(known).encode()
    return schema.with_metadata(metadata)


def _jsonl(shard: Shard, path: Path, how: Rewriting, keep: Keep) -> int:
    """Kept lines byte by byte as they were, unless weights are added; blank and broken ones are never kept."""
    row = 0
    with (
        open_binary(shard.place) as content,
        atomic_file(path) as file,
        _compressed(file, shard.compression) as sink,
    ):
        for lines in _blocks(raw_lines(content, shard.compression)):
            rows_B = np.arange(row, row + len(lines))
            row += len(lines)
            ids = None
            if how.id is not None:
                records = [json_object(line) for line in lines]
                cells = [record.get(how.id) if isinstance(record, dict) else None for record in records]
                good = [k for k, cell in enumerate(cells) if cell is not None]
                rows_B, ids = rows_B[good], id_column(pa.array([cells[k] for k in good]), OWNER)
                lines = [lines[k] for k in good]
            weight_B = keep(rows_B, ids)
            for at in np.flatnonzero(~np.isnan(weight_B)).tolist():
                line = lines[at]
                if how.weights is not None:
                    line = _with_weight(line, how.weights, float(weight_B[at]), shard, int(rows_B[at]))
                sink.write(line + b"\n")
    return row


def _with_weight(line: bytes, name: str, weight: float, shard: Shard, row: int) -> bytes:
    record = json_object(line)
    if not isinstance(record, dict):
        raise InputError(
            f"{OWNER}: row {row:,} of {shard.name!r} was kept, but {record}; the data have changed."
        )
    if name in record:
        raise InputError(f"{OWNER}: the data have a column {name!r} already; name the new one otherwise.")
    return json.dumps({**record, name: weight}, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _blocks(lines: Iterator[bytes]) -> Iterator[list[bytes]]:
    block: list[bytes] = []
    size = 0
    for line in lines:
        block.append(line)
        size += len(line)
        if len(block) >= _LINES or size >= HELD_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


@contextmanager
def _compressed(path: Path, compression: str | None) -> Iterator[Any]:
    with pa.OSFile(str(path), "wb") as file:
        if compression is None:
            yield file
            return
        with pa.CompressedOutputStream(file, compression) as packed:
            yield packed


# Other outputs


def write_ids(shard: Shard, path: Path, how: Rewriting, keep: Keep, given: list[pa.Table]) -> int:
    """A Parquet file of what ``keep`` puts into ``given``: ids and rows of the kept rows; how many rows there were."""
    stop = 0
    if how.id is not None:
        kind = {name: kind for name, kind in column_types(shard).items() if name == how.id}
        if not kind:
            raise unknown_name("id", f"{OWNER} shard {shard.name!r}", how.id, column_types(shard))
        for batch in read_batches(shard, kind):
            there = batch.table.column(how.id).is_valid().to_numpy()
            table = batch.table.filter(pa.array(there))
            keep(batch.rows_B[there], id_column(table.column(how.id), OWNER))
            stop = batch.stop
    else:
        stop = count_rows(shard)
        for start in range(0, stop, 1 << 20):
            keep(np.arange(start, min(stop, start + (1 << 20))), None)
    columns = {"id": pa.string(), "row": pa.int64()} | how.added
    table = pa.concat_tables(given) if given else pa.schema(columns).empty_table()
    with atomic_file(path) as file:
        pq.write_table(table.combine_chunks(), file, compression="zstd")
    return stop


def write_dataset_json(folder: Path, files: list[Path]) -> None:
    """What ``datasets.load_from_disk`` reads beside the Arrow files."""
    from datasets import Features

    with pa.OSFile(str(files[0])) as file, pa.ipc.open_stream(file) as stream:
        features = Features.from_arrow_schema(stream.schema)
    about = {"citation": "", "description": "", "features": features.to_dict(), "homepage": "", "license": ""}
    state: dict[str, Any] = {
        "_data_files": [{"filename": file.name} for file in files],
        "_fingerprint": digest(*(file.name.encode() for file in files), size=8).hex(),
        "_format_columns": list(features), "_format_kwargs": {}, "_format_type": None,
        "_output_all_columns": False, "_split": None,
    }  # fmt: skip
    write_json(folder / "dataset_info.json", about)
    write_json(folder / "state.json", state)
