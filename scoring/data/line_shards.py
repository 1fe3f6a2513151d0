"""Rows of JSONL shards; what is wrong with a line or a cell is told of its row."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from scoring.data.batch import Batch, Broken, Types, first_line
from scoring.data.columns import flavor_of
from scoring.data.shards import Shard

_BLOCK = 1 << 20


def read_lines(
    content: Any, shard: Shard, types: Types, start: int, rows: int, most_bytes: int
) -> Iterator[Batch]:
    """Batches from row ``start`` on; a batch ends at ``rows`` lines or ``most_bytes`` bytes."""
    at, size, row = start, 0, start
    records: list[tuple[int, Any]] = []
    for row, line in _lines(content, shard.compression):
        if row < start:
            continue
        if line.strip():
            records.append((row, json_object(line)))
        size += len(line)
        if row + 1 - at >= rows or size >= most_bytes:
            yield _batch(at, row + 1, records, types)
            at, size, records = row + 1, 0, []
    if records:
        yield _batch(at, row + 1, records, types)


def types_of_lines(content: Any, compression: str | None, sample_rows: int) -> dict[str, pa.DataType]:
    """The commonest type of every key in the first lines; empty without a single good line."""
    cells: dict[str, list[Any]] = {}
    for number, (_, line) in enumerate(_lines(content, compression)):
        if number >= sample_rows:
            break
        record = json_object(line)
        if isinstance(record, dict):
            for name, value in record.items():
                cells.setdefault(name, []).append(value)
    return {name: _type_of(values) for name, values in cells.items()}


def _lines(content: Any, compression: str | None) -> Iterator[tuple[int, bytes]]:
    """(number, line without its end); a file that does not end with a line end has a last line all the same."""
    for number, line in enumerate(raw_lines(content, compression)):
        yield number, line.removeprefix(b"\xef\xbb\xbf") if number == 0 else line


def raw_lines(content: Any, compression: str | None) -> Iterator[bytes]:
    """Lines as they are, without their ends."""
    stream = pa.PythonFile(content, mode="r")
    if compression is not None:
        stream = pa.CompressedInputStream(stream, compression)
    rest: list[bytes] = []
    while block := stream.read(_BLOCK):
        first, *lines = block.split(b"\n")
        rest.append(first)
        if lines:
            yield b"".join(rest)
            rest = [lines.pop()]
            yield from lines
    if last := b"".join(rest):
        yield last


def json_object(line: bytes) -> dict[str, Any] | str:
    """The object of a line, or what is wrong with it."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:  # also bytes that are not UTF-8
        return f"the line is not JSON ({first_line(error)})"
    return (
        record
        if isinstance(record, dict)
        else f"the line must be a JSON object, got a {type(record).__name__}"
    )


def _batch(start: int, stop: int, records: Sequence[tuple[int, Any]], types: Types) -> Batch:
    broken: Broken = [(row, record) for row, record in records if isinstance(record, str)]
    good = [(row, record) for row, record in records if not isinstance(record, str)]
    columns = {name: _column([record.get(name) for _, record in good], kind) for name, kind in types.items()}
    wrong = np.zeros(len(good), dtype=bool)
    for name, (_, bad) in columns.items():
        for position in bad:
            if not wrong[position]:
                value = good[position][1][name]
                broken.append(
                    (good[position][0], f"column {name!r} must hold {_named(types[name])}, got {value!r:.80}")
                )
            wrong[position] = True
    table = pa.table({name: values for name, (values, _) in columns.items()})
    rows_B = np.array([row for row, _ in good], dtype=np.int64)
    if wrong.any():
        table, rows_B = table.filter(pa.array(~wrong)), rows_B[~wrong]
    return Batch(start, stop, rows_B, table, sorted(broken))


def _column(values: list[Any], kind: pa.DataType) -> tuple[pa.Array, list[int]]:
    """Cells as a type, and the positions of those that are not of it (null there)."""
    fits = _FITS.get(flavor_of(kind))
    if fits is None or all(value is None or fits(value) for value in values):
        try:
            return pa.array(values, kind), []
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError, ValueError):
            pass
    bad = [position for position, value in enumerate(values) if not _is(value, kind, fits)]
    wrong = set(bad)
    return pa.array(
        [None if position in wrong else value for position, value in enumerate(values)], kind
    ), bad


def _is(value: Any, kind: pa.DataType, fits: Callable[[Any], bool] | None) -> bool:
    if value is None:
        return True
    try:
        pa.array([value], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError, ValueError):
        return False
    return fits is None or fits(value)


_FITS: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
"""What pyarrow would take for another type without a word."""


def _type_of(values: Sequence[Any]) -> pa.DataType:
    """The type of the commonest kind of cell; numbers are whole if all of them are."""
    kinds = Counter(
        "number" if type(value) in (int, float) else type(value).__name__
        for value in values
        if value is not None
    )
    if not kinds:
        return pa.null()
    kind = min(kinds, key=lambda name: (-kinds[name], name))
    simple = {"str": pa.string(), "bool": pa.bool_()}
    if kind in simple:
        return simple[kind]
    same = [
        value for value in values if (type(value) in (int, float)) == (kind == "number") and value is not None
    ]
    if kind == "number":
        return pa.float64() if any(isinstance(value, float) for value in same) else pa.int64()
    cells = [value for value in same if type(value).__name__ == kind]
    while cells:
        try:
            return pa.array(cells).type
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeError, ValueError):
            cells = cells[: len(cells) // 2]
    return pa.null()


def _named(kind: pa.DataType) -> str:
    return {
        "string": "a text",
        "integer": "a whole number",
        "float": "a number",
        "boolean": "true or false",
    }.get(flavor_of(kind), str(kind))
