"""The splits of a source, and the rows of the one that is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.data.columns import Columns, Rows
from scoring.data.schema import OWNER
from scoring.errors import InputError, unknown_name

_MOST_SPLITS = 32


@dataclass(frozen=True)
class Opened:
    """Columns of a source, and which rows belong to which split (empty when the source has no splits)."""

    columns: Columns
    name: str
    source: str
    splits: Mapping[str, Rows] = field(default_factory=dict)
    folder: Path | None = None


def with_split_column(columns: Columns, name: str, source: str, folder: Path | None) -> Opened:
    """A text column called "split" with a few different values divides the rows."""
    splits: dict[str, Rows] = {}
    if "split" in columns.names and len(columns) and columns.flavor("split") == "string":
        encoded = pc.dictionary_encode(columns.read("split"))
        whole = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        if isinstance(whole, pa.ChunkedArray):
            whole = whole.unify_dictionaries().chunk(0)
        names = whole.dictionary.to_pylist()
        if whole.null_count == 0 and len(names) <= _MOST_SPLITS:
            codes = whole.indices.to_numpy(zero_copy_only=False)
            splits = {str(each): np.flatnonzero(codes == code) for code, each in enumerate(names)}
    return Opened(columns, name, source, splits, folder)


def choose_split(opened: Opened, split: str | None) -> tuple[Rows, str | None]:
    """The rows of one split and its name.

    None means "train" if there is one, the only split, or everything if the source has no splits. "all" means every
    row. Slices such as "train[:100]" or "train+validation" follow the rules of ``datasets``.
    """
    everything = np.arange(len(opened.columns), dtype=np.int64)
    names = sorted(opened.splits)
    if split == "all" and "all" not in names:
        return everything, "all"
    if split is None:
        if not names:
            return everything, None
        if "train" in names or len(names) == 1:
            split = "train" if "train" in names else names[0]
        else:
            raise InputError(f"{OWNER}: split must be one of {', '.join(names)} or all, none was given.")
    splits = opened.splits or {"train": everything}
    if split in splits:
        return splits[split].astype(np.int64), split
    base = split.partition("[")[0].partition("+")[0]
    if base == split or base not in splits:
        raise unknown_name("split", f"{OWNER} of {opened.name}", split, [*splits, "all"])
    from datasets import ReadInstruction

    try:
        parts = ReadInstruction.from_spec(split).to_absolute(
            {name: len(rows) for name, rows in splits.items()}
        )
    except (ValueError, AssertionError, KeyError) as error:
        raise InputError(f"{OWNER}: split {split!r} cannot be read ({first_line(error)}).") from None
    return np.concatenate([splits[part.splitname][part.from_ : part.to] for part in parts]), split


def ranges(lengths: Mapping[str, int]) -> dict[str, Rows]:
    """Split name -> rows, for splits of these lengths that lie one after another."""
    splits, start = {}, 0
    for name, length in lengths.items():
        splits[name] = np.arange(start, start + length, dtype=np.int64)
        start += length
    return splits


def first_line(error: BaseException) -> str:
    """The first line of what another library says, without its full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__
