"""Finished pieces of a long job, kept beside its output until the whole is written."""

from __future__ import annotations

import glob
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.errors import OutputTakenError
from scoring.files import write_atomic
from scoring.signal_store import DONE

Arrays = dict[str, npt.NDArray[Any]]
HEAD = "request.json"
CHUNKS = "chunks"
"""Folder of dear signals of a corpus, see ``scoring.corpus.chunks``."""


class Parts:
    """Named pieces, each a set of equally long arrays in one Parquet file under ``<out>.parts``.

    Beside them lie the signals that collective scorers read (``scoring.signal_store``), until the job is finished.
    ``request`` identifies the job; pieces of another job are never reused: they are refused, or with ``overwrite``
    deleted. With ``out=None`` nothing is kept, and nothing is written before the first piece is there.
    """

    def __init__(self, out: Path | None, request: str, overwrite: bool = False, owner: str = "score") -> None:
        self.request = request
        self.folder = None if out is None else _folder(out)
        self.resumed = False
        """Whether an earlier call of the job has left something."""
        if self.folder is None:
            return
        head = self.folder / HEAD
        known = json.loads(head.read_bytes())["request"] if head.exists() else None
        if known not in (None, request) and self._finished() and not overwrite:
            raise OutputTakenError(
                f"{owner}: {str(self.folder)!r} holds the unfinished work of a different call; "
                "repeat that call to finish it, choose another out, or overwrite."
            )
        self.resumed = known == request
        if not self.resumed:
            # Without its head a folder is what a killed deletion left: nobody knows whose pieces they are.
            shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, name: str, compute: Callable[[], Arrays]) -> Arrays:
        """The piece of that name: read if it is finished, else computed and written."""
        if self.folder is None:
            return compute()
        path = self.folder / f"{name}.parquet"
        if not path.exists():
            piece = pa.table({key: pa.array(value) for key, value in compute().items()})
            self._claim(self.folder)
            write_atomic(path, lambda temporary: pq.write_table(piece, temporary))
        table = pq.read_table(path, memory_map=False)
        return {key: np.asarray(table.column(key).to_numpy()) for key in table.column_names}

    @contextmanager
    def signals(self) -> Iterator[Path]:
        """The folder for the signals that pieces are made of; a temporary one where nothing is kept.

        If the block fails before anything is finished, nothing is left.
        """
        if self.folder is None:
            with tempfile.TemporaryDirectory(prefix="tamis-") as temporary:
                yield Path(temporary)
            return
        self._claim(self.folder)
        try:
            yield self.folder
        except BaseException:
            if not self._finished():
                shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _claim(self, folder: Path) -> None:
        """Say whose pieces these are."""
        if not (folder / HEAD).exists():
            write_atomic(folder / HEAD, json.dumps({"request": self.request}).encode())

    def _finished(self) -> bool:
        """Whether there is any finished work."""
        assert self.folder is not None
        patterns = ("*.parquet", f"*/{DONE}", f"{CHUNKS}/*/*.npz", f"{CHUNKS}/*/*.jsonl")
        return any(any(self.folder.glob(pattern)) for pattern in patterns)


def remove_parts(out: Path) -> None:
    """Delete all pieces of ``out``, and what a killed process left half-written: the output is complete."""
    shutil.rmtree(_folder(out), ignore_errors=True)
    for left in out.parent.glob(f".{glob.escape(out.name)}.*.tmp"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def _folder(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")
