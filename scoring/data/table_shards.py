"""Rows of Parquet and Arrow shards, in tables of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.batch import Types, first_line
from scoring.data.columns import flavor_of
from scoring.data.shards import OWNER, Shard
from scoring.errors import InputError, unknown_name

_BLOCK = 1 << 20


def parquet_tables(
    content: Any, shard: Shard, types: Types, start: int, rows: int, most_bytes: int
) -> Iterator[pa.Table]:
    """The wanted columns from row ``start`` on, in tables that are bounded already while they are read."""
    parquet = pq.ParquetFile(content, pre_buffer=False, buffer_size=_BLOCK)
    _check_columns(parquet.schema_arrow, types, shard)
    first = 0
    for group in range(parquet.num_row_groups):
        meta = parquet.metadata.row_group(group)
        last = first + meta.num_rows
        if last > start and meta.num_rows:
            wide = max(1, meta.total_byte_size // meta.num_rows)
            size = int(max(1, min(rows, most_bytes // wide)))
            at = first
            for batch in parquet.iter_batches(size, row_groups=[group], columns=list(types)):
                skip = min(max(0, start - at), batch.num_rows)
                at += batch.num_rows
                if skip < batch.num_rows:
                    yield _typed(pa.table(batch.slice(skip)), types, shard)
        first = last


def arrow_tables(content: Any, shard: Shard, types: Types, start: int) -> Iterator[pa.Table]:
    """The wanted columns from row ``start`` on, in the record batches of the file."""
    schema, batches = arrow_batches(content)
    _check_columns(schema, types, shard)
    at = 0
    for batch in batches:
        skip = min(max(0, start - at), batch.num_rows)
        at += batch.num_rows
        if skip < batch.num_rows:
            yield _typed(pa.table(batch.slice(skip)), types, shard)


def arrow_batches(content: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """Schema and record batches of an Arrow stream, or of an Arrow file, whose batches lie in the same order."""
    if content.read(6) == b"ARROW1":
        file = pa.ipc.open_file(content)
        return file.schema, (file.get_batch(number) for number in range(file.num_record_batches))
    content.seek(0)
    stream = pa.ipc.open_stream(content)
    return stream.schema, iter(stream)


def _check_columns(schema: pa.Schema, types: Types, shard: Shard) -> None:
    for name, wanted in types.items():
        if name not in schema.names:
            raise unknown_name("column", f"{OWNER} shard {shard.name!r}", name, schema.names)
        got = flavor_of(schema.field(name).type)
        if got not in (flavor_of(wanted), "null"):
            raise InputError(
                f"{OWNER}: column {name!r} must hold {flavor_of(wanted)} values in every shard, "
                f"{shard.name!r} holds {got}."
            )


def _typed(table: pa.Table, types: Types, shard: Shard) -> pa.Table:
    """The columns as the wanted types."""
    columns = {}
    for name, wanted in types.items():
        column = table.column(name)
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        try:
            columns[name] = column if column.type == wanted else column.cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise InputError(
                f"{OWNER}: column {name!r} of shard {shard.name!r} cannot be read as {wanted} ({first_line(error)})."
            ) from None
    return pa.table(columns)


def cut_tables(
    tables: Iterator[pa.Table], start: int, rows: int, most_bytes: int
) -> Iterator[tuple[int, pa.Table]]:
    """Tables put together and cut at ``rows`` rows, or as soon as they are larger than ``most_bytes``."""
    held: list[pa.Table] = []
    count = size = 0
    for table in tables:
        while table.num_rows:
            part = table.slice(0, rows - count)
            table = table.slice(part.num_rows)
            held.append(part)
            count, size = count + part.num_rows, size + part.nbytes
            if count >= rows or size >= most_bytes:
                yield start, pa.concat_tables(held)
                start, held, count, size = start + count, [], 0, 0
    if held:
        yield start, pa.concat_tables(held)
