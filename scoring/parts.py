"""Finished pieces of a long job, kept beside its output until the whole is written."""

from __future__ import annotations

import glob
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.errors import InputError
from scoring.files import write_atomic

Arrays = dict[str, npt.NDArray[Any]]
HEAD = "request.json"


class Parts:
    """Named pieces, each a set of equally long arrays in one Parquet file under ``<out>.parts``.

    ``request`` identifies the job; pieces of another job are never reused: they are refused, or with ``overwrite``
    deleted. With ``out=None`` nothing is kept, and nothing is written before the first piece is there.
    """

    def __init__(self, out: Path | None, request: str, overwrite: bool = False) -> None:
        self.request = request
        self.folder = None if out is None else _folder(out)
        if self.folder is None:
            return
        head = self.folder / HEAD
        known = json.loads(head.read_bytes())["request"] if head.exists() else None
        if known not in (None, request) and any(self.folder.glob("*.parquet")) and not overwrite:
            raise InputError(
                f"score: {str(self.folder)!r} holds the unfinished work of a different call; "
                "repeat that call to finish it, choose another out, or overwrite."
            )
        if known != request:
            # Without its head a folder is what a killed deletion left: nobody knows whose pieces they are.
            shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The piece of that name: read if it is finished, else computed and written."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            piece = pa.table({key: pa.array(value) for key, value in compute().items()})
            head = self.folder / HEAD
            if not head.exists():
                write_atomic(head, json.dumps({"request": self.request}).encode())
            write_atomic(path, lambda temporary: pq.write_table(piece, temporary))
        table = pq.read_table(path, memory_map=False)
        return {key: np.asarray(table.column(key).to_numpy()) for key in table.column_names}


def remove_parts(out: Path) -> None:
    """Delete all pieces of ``out``, and what a killed process left half-written: the output is complete."""
    shutil.rmtree(_folder(out), ignore_errors=True)
    for left in out.parent.glob(f".{glob.escape(out.name)}.*.tmp"):
        left.unlink(missing_ok=True)


def _folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")
