"""Recorded dynamics: the files in which a training run keeps per-example signals, reader and writer.

    run/dynamics/presentations/epoch-00000.parquet     what the training forward pass said, before the update
    run/dynamics/evaluations/step-00000100.parquet     what a clean evaluation pass said at that step

| column | type | meaning |
|---|---|---|
| ``id`` | int64 or string | example id; an id comes at most once per file |
| ``step`` | int64 | optimizer updates made before the forward pass |
| ``epoch`` | float64 | epochs of training before the forward pass |
| ``logits`` | fixed_size_list<float32> | pre-softmax outputs; or, in their place, summaries: |
| ``losses``, ``logit_margins``, ``entropies`` | float64 | as in ``scoring.signals`` |
| ``predictions`` | int64 | as in ``scoring.signals`` |

The schema metadata ``tamis_content`` is the fingerprint of the (id, input) of its examples. The same content always
gives the same bytes, and a file appears whole or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.errors import InputError
from scoring.files import atomic_file
from scoring.ids import id_column
from scoring.needs import SUMMARIES
from scoring.signals import View

Array = npt.NDArray[Any]
Fields = dict[str, Array]

FOLDER = "dynamics"
PRESENTATIONS = "presentations"
EVALUATIONS = "evaluations"
FIELDS = ("logits", *SUMMARIES)
_FILE = re.compile(r"(epoch|step)-\d+\.parquet")
_ROW_GROUP = 65_536
_CONTENT = b"tamis_content"


def presentation_path(run: str | Path, index: int) -> Path:
    """Where the presentations of epoch ``index`` (counted from 0) are kept."""
    return Path(run) / FOLDER / PRESENTATIONS / f"epoch-{index:05d}.parquet"


def evaluation_path(run: str | Path, step: int) -> Path:
    """Where the clean evaluation pass after ``step`` updates is kept."""
    return Path(run) / FOLDER / EVALUATIONS / f"step-{step:08d}.parquet"


def write_recorded(
    path: str | Path,
    ids: Array | Sequence[str] | Sequence[int],
    step: int | Array,
    epoch: float | Array,
    fields: Mapping[str, Array],
    content: str | None = None,
) -> None:
    """Write one file of recorded signals; it replaces an older one in one move.

    ``step`` and ``epoch`` are one number for all rows or one per row; ``fields`` maps names of the table above to
    arrays with one row per id; ``content`` is ``Examples.content_fingerprint`` of the rows.
    """
    path, ids = Path(path), np.asarray(ids)
    columns: dict[str, Any] = {
        "id": id_column(ids, "dynamics"),
        "step": pa.array(np.broadcast_to(np.asarray(step, dtype=np.int64), ids.shape).copy()),
        "epoch": pa.array(np.broadcast_to(np.asarray(epoch, dtype=np.float64), ids.shape).copy()),
    }
    for name in FIELDS:
        if name in fields:
            assert len(fields[name]) == len(ids), f"{name} has {len(fields[name])} rows for {len(ids)} ids"
            columns[name] = _field_column(name, np.asarray(fields[name]))
    assert len(columns) > 3 and set(fields) <= set(columns), f"unknown or no fields: {sorted(fields)}"
    assert len(np.unique(ids)) == len(ids), f"{path.name}: an id comes twice"
    split = ["epoch", "logits.list.element", "losses", "logit_margins", "entropies"]
    table = pa.table(columns)
    if content is not None:
        table = table.replace_schema_metadata({_CONTENT: content})
    with atomic_file(path) as temporary:
        # Floats of like size share their high bytes: byte streams compress, dictionaries do not.
        pq.write_table(
            table,
            temporary,
            row_group_size=_ROW_GROUP,
            compression="zstd",
            use_dictionary=False,
            use_byte_stream_split=[name for name in split if name.split(".")[0] in columns],
        )


@dataclass(frozen=True)
class Recorded:
    """One file: presentations of (about) one epoch, or one clean evaluation pass.

    ``step`` and ``epoch`` are those of its first row in time: the state of training at which the pass began.
    """

    step: int
    epoch: float
    path: Path
    view: View

    @staticmethod
    def open(path: str | Path, view: View) -> Recorded:
        """Read the header of a file; a file of another format is an error."""
        path = Path(path)
        parquet = _parquet(path)
        names = parquet.schema_arrow.names
        if names[:3] != ["id", "step", "epoch"] or not set(names) & set(FIELDS):
            raise InputError(
                f"dynamics: {path} must have columns id, step, epoch and logits or summaries, got {', '.join(names)}."
            )
        groups = [parquet.metadata.row_group(i) for i in range(parquet.metadata.num_row_groups)]
        if sum(group.num_rows for group in groups) == 0:
            raise InputError(f"dynamics: {path} must hold at least one example, got 0 rows.")
        first = [min(group.column(place).statistics.min for group in groups) for place in (1, 2)]
        return Recorded(int(first[0]), float(first[1]), path, view)

    @cached_property
    def stored(self) -> frozenset[str]:
        """Which signals the file holds, names of ``scoring.signals.NEEDS``."""
        return frozenset(_parquet(self.path).schema_arrow.names) & set(FIELDS)

    @cached_property
    def content(self) -> str | None:
        """Fingerprint of the (id, input) of its examples, if it was written down."""
        found = (_parquet(self.path).schema_arrow.metadata or {}).get(_CONTENT)
        return None if found is None else found.decode()

    @cached_property
    def rows(self) -> int:
        """How many examples it holds."""
        return int(_parquet(self.path).metadata.num_rows)

    def read(self) -> tuple[Array, Fields]:
        """All ids, int64 or object (N,), and all fields: ``logits`` (N, C) float32 or summaries (N,)."""
        table = _parquet(self.path).read()
        return table["id"].to_numpy(), _read_fields(table)

    def read_ids(self) -> Array:
        """All ids, int64 or object (N,), in the order of ``read``."""
        ids: Array = _parquet(self.path).read(columns=["id"])["id"].to_numpy()
        return ids

    def read_lines(self, lines_B: npt.NDArray[np.int64]) -> Fields:
        """Fields of some lines, in the order asked; only the pieces of the file that hold them are read."""
        parquet = _parquet(self.path)
        sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.metadata.num_row_groups)]
        starts = np.cumsum([0, *sizes])
        group_B = np.searchsorted(starts, lines_B, side="right") - 1
        groups, place_B = np.unique(group_B, return_inverse=True)
        # Without any line the first piece still tells names and widths.
        table = parquet.read_row_groups(groups.tolist() or [0], columns=sorted(self.stored))
        first = np.cumsum([0, *(sizes[group] for group in groups)])
        found_B = first[place_B] + lines_B - starts[group_B]
        return {name: values[found_B] for name, values in _read_fields(table).items()}

    def read_times(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Step and epoch of every row, in the order of ``read``."""
        table = _parquet(self.path).read(columns=["step", "epoch"])
        return table["step"].to_numpy(), table["epoch"].to_numpy()


@dataclass(frozen=True)
class Dynamics:
    """What a run directory recorded; both lists are in the order of training, and empty if there is nothing."""

    run: Path

    def __init__(self, run: str | Path) -> None:
        object.__setattr__(self, "run", Path(run))

    def presentations(self) -> list[Recorded]:
        """One per epoch: train-mode outputs before the update."""
        return self._list(PRESENTATIONS, "presentation")

    def evaluations(self) -> list[Recorded]:
        """One per clean evaluation pass."""
        return self._list(EVALUATIONS, "clean")

    def _list(self, folder: str, view: View) -> list[Recorded]:
        place = self.run / FOLDER / folder
        paths = sorted(path for path in place.glob("*.parquet") if _FILE.fullmatch(path.name))
        return [Recorded.open(path, view) for path in paths]


def _parquet(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        raise InputError(
            f"dynamics: {path} must be a Parquet file written by a recorder, and is not."
        ) from None


def _field_column(name: str, values: Array) -> Any:
    if name == "logits":
        assert values.ndim == 2, f"logits must be (N, C), got {values.shape}"
        flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).reshape(-1))
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    return pa.array(values.astype(np.int64 if name == "predictions" else np.float64))


def _read_fields(table: Any) -> Fields:
    fields: Fields = {}
    for name in FIELDS:
        if name in table.column_names:
            column = table[name].combine_chunks()
            if name == "logits":
                fields[name] = column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), -1)
            else:
                fields[name] = column.to_numpy()
    return fields
