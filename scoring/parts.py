"""Finished pieces of a long job, kept beside its output until the whole is written."""

from __future__ import annotations

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


class Parts:
    """Named pieces, each a set of equally long arrays in one Parquet file under ``<out>.parts``.

    ``request`` identifies the job; pieces of another job are refused, not reused. With ``out=None`` nothing is kept.
    """

    def __init__(self, out: Path | None, request: str, restart: bool = False) -> None:
        self.folder = None if out is None else out.with_name(f"{out.name}.parts")
        if self.folder is None:
            return
        if restart:
            shutil.rmtree(self.folder, ignore_errors=True)
        head = self.folder / "request.json"
        if head.exists() and json.loads(head.read_bytes())["request"] != request:
            raise InputError(
                f"score: {str(self.folder)!r} holds the unfinished work of a different call; "
                "repeat that call to finish it, choose another out, or overwrite."
            )
        write_atomic(head, json.dumps({"request": request}).encode())

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The piece of that name: read if it is finished, else computed and written."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            piece = pa.table({key: pa.array(value) for key, value in compute().items()})
            write_atomic(path, lambda temporary: pq.write_table(piece, temporary))
        table = pq.read_table(path, memory_map=False)
        return {key: np.asarray(table.column(key).to_numpy()) for key in table.column_names}

    def remove(self) -> None:
        """Delete all pieces: the output is complete."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
