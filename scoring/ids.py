"""Ids as arrow columns, and how rows are found by id."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scoring.errors import InputError, bad_value, name_some
from scoring.hashing import Ids

IdsLike = Ids | Sequence[str] | Sequence[int]


def id_column(ids: Any, owner: str) -> pa.Array:
    """Ids (array, sequence or arrow column) as int64 or string, the two kinds there are."""
    array = ids if isinstance(ids, (pa.Array, pa.ChunkedArray)) else pa.array(np.asarray(ids))
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if len(array) == 0 and not pa.types.is_string(array.type):
        return pa.array([], pa.int64())
    if pa.types.is_integer(array.type):
        return array.cast(pa.int64())
    if (
        pa.types.is_string(array.type)
        or pa.types.is_large_string(array.type)
        or array.type == pa.string_view()
    ):
        return array.cast(pa.string())
    raise bad_value("ids", owner, str(array.type), "integers or strings")


def check_unique(ids: pa.Array, owner: str) -> None:
    """Refuse null and duplicate ids; the error names some."""
    if ids.null_count:
        raise InputError(f"{owner}: ids must not be null, got {ids.null_count:,} nulls.")
    if pc.count_distinct(ids).as_py() < len(ids):
        counts = pc.value_counts(ids)
        twice = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).to_pylist()
        raise InputError(
            f"{owner}: ids must be unique, got {len(twice):,} more than once: {name_some(twice)}."
        )


def find_rows(known: IdsLike, wanted: IdsLike, owner: str, place: str) -> npt.NDArray[np.int64]:
    """Positions in ``known`` (unique ids) of every wanted id, (len(wanted),) int64.

    Raises:
        InputError: some wanted ids are not there, or one side has integers and the other strings; ``place`` says
            where they were looked for.
    """
    there, asked = id_column(known, owner), id_column(wanted, owner)
    if len(asked) == 0:
        return np.empty(0, dtype=np.int64)
    if there.type != asked.type and len(there):
        raise InputError(f"{owner}: ids must be {_kind(there)} as in {place}, got {_kind(asked)}.")
    positions = pc.index_in(asked, value_set=there.cast(asked.type))
    if positions.null_count:
        missing = asked.filter(positions.is_null()).to_pylist()
        raise InputError(
            f"{owner}: ids must be in {place}, got {len(missing):,} that are not there: {name_some(missing)}."
        )
    return np.asarray(positions.to_numpy(), dtype=np.int64)


def _kind(ids: pa.Array) -> str:
    return "integers" if pa.types.is_integer(ids.type) else "strings"
