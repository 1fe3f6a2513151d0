"""One shard in bounded batches of rows, from any row on; what cannot be read of a row is told and left out.

A row is its place in the file, from 0: in JSONL the line, so that blank and broken lines count as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.batch import Batch, Types, first_line
from scoring.data.line_shards import raw_lines, read_lines, types_of_lines
from scoring.data.remote import open_binary
from scoring.data.shards import OWNER, Shard
from scoring.data.table_shards import arrow_batches, arrow_tables, cut_tables, parquet_tables
from scoring.errors import InputError

BATCH_ROWS = 65_536
BATCH_BYTES = 1 << 28


def column_types(shard: Shard, sample_rows: int = 1000) -> dict[str, pa.DataType]:
    """Types of all columns: as the file declares them, or, of JSONL, the commonest in the first rows.

    Raises:
        InputError: the shard cannot be read, or is empty or without a single good line.
    """
    with _opened(shard) as content:
        if shard.format == "parquet":
            return dict(zip((schema := pq.ParquetFile(content).schema_arrow).names, schema.types))
        if shard.format == "arrow":
            schema, _ = arrow_batches(content)
            return dict(zip(schema.names, schema.types))
        types = types_of_lines(content, shard.compression, sample_rows)
    if not types:
        raise InputError(
            f"{OWNER}: shard {shard.name!r} must hold JSON objects, one per line, and holds none."
        )
    return types


def count_rows(shard: Shard) -> int:
    """How many rows a shard has; lines of JSONL, also blank and broken ones."""
    with _opened(shard) as content:
        if shard.format == "parquet":
            return int(pq.ParquetFile(content).metadata.num_rows)
        if shard.format == "arrow":
            return sum(batch.num_rows for batch in arrow_batches(content)[1])
        return sum(1 for _ in raw_lines(content, shard.compression))


def read_batches(
    shard: Shard, types: Types, start: int = 0, rows: int = BATCH_ROWS, most_bytes: int = BATCH_BYTES
) -> Iterator[Batch]:
    """Batches of at most ``rows`` rows and about ``most_bytes`` bytes, from row ``start`` to the end of the shard.

    Where a batch ends depends on the file and on where it starts alone.

    Args:
        types: The columns to read, with the types they come as. A JSONL line without the key has a null there, one
            whose value is of another type is broken.

    Raises:
        InputError: a column is not in a Parquet or Arrow shard or of another kind, or the file is damaged.
    """
    with _opened(shard) as content:
        if shard.format == "jsonl":
            yield from read_lines(content, shard, types, start, rows, most_bytes)
            return
        tables = (
            parquet_tables(content, shard, types, start, rows, most_bytes)
            if shard.format == "parquet"
            else arrow_tables(content, shard, types, start)
        )
        for at, table in cut_tables(tables, start, rows, most_bytes):
            stop = at + table.num_rows
            yield Batch(at, stop, np.arange(at, stop), table, [])


@contextmanager
def _opened(shard: Shard) -> Iterator[Any]:
    """The content of a shard; what libraries say of a damaged file in one sentence that names it."""
    try:
        with open_binary(shard.place) as content:
            yield content
    except (InputError, FileNotFoundError, PermissionError):
        raise
    except (pa.ArrowInvalid, EOFError, pa.ArrowSerializationError) as error:
        raise InputError(
            f"{OWNER}: shard {shard.name!r} is damaged or of another format ({first_line(error)})."
        ) from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise InputError(
            f"{OWNER}: shard {shard.name!r} cannot be read to its end ({first_line(error)})."
        ) from None
