"""A score table on disk, read one column at a time: for tables of many runs, which memory need not hold at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.errors import InputError, unknown_name
from scoring.hashing import Ids
from scoring.ids import check_unique, id_column
from scoring.manifest import KEY, check_kind, parse_manifest
from scoring.table_files import KIND, foreign_refusal

FloatArray = npt.NDArray[np.float64]


class StoredTable:
    """Ids, descriptions of columns, and any one column of a score table (a file, or a folder of shards).

    It has the ``columns``, ``info``, ``ids``, ``column`` and ``meaning`` of a ``ScoreTable``; only ids are kept.

    Raises:
        FileNotFoundError: nothing there.
        InputError: not a score table, damaged, shards missing, duplicate ids.
    """

    def __init__(self, path: str | Path, owner: str = "StoredTable") -> None:
        self.path, self.owner = Path(path), owner
        head = self.path / "manifest.json"
        if self.path.is_dir():
            if not head.is_file():
                raise InputError(
                    f"{owner}: {str(path)!r} must be a score table, and is a folder without a manifest.json."
                )
            manifest = parse_manifest(head.read_bytes(), owner, head)
            check_kind(manifest, KIND, owner, self.path)
            shards = [(self.path / Path(shard["file"]).name, shard["rows"]) for shard in manifest["shards"]]
            self._files = [self._open(file) for file, _ in shards]
            for file, (name, rows) in zip(self._files, shards):
                if file.metadata.num_rows != rows:
                    raise InputError(
                        f"{owner}: shard {name.name!r} must have {rows:,} rows as the manifest says, "
                        f"got {file.metadata.num_rows:,}."
                    )
        else:
            if not self.path.is_file():
                raise FileNotFoundError(f"{owner}: no file at {str(path)!r}.")
            self._files = [self._open(self.path)]
            content = (self._files[0].schema_arrow.metadata or {}).get(KEY)
            if content is None:
                raise foreign_refusal(path)
            manifest = parse_manifest(content, owner, self.path)
            check_kind(manifest, KIND, owner, self.path)
        self.columns: dict[str, dict[str, Any]] = manifest["columns"]
        self.info: dict[str, Any] = manifest["info"]

    def __len__(self) -> int:
        return sum(file.metadata.num_rows for file in self._files)

    @cached_property
    def ids(self) -> Ids:
        """Ids in row order."""
        ids = id_column(
            pa.chunked_array(
                [chunk for file in self._files for chunk in file.read(columns=["id"]).column("id").chunks],
                type=self._files[0].schema_arrow.field("id").type,
            ),
            self.owner,
        )
        check_unique(ids, self.owner)
        found: Ids = ids.to_numpy(zero_copy_only=False)
        found.flags.writeable = False
        return found

    def column(self, name: str) -> FloatArray:
        """Values of a column, float64; NaN where there is none."""
        values: FloatArray = self.rows_of([name])[0]
        return values

    def rows_of(self, names: Sequence[str]) -> FloatArray:
        """Values of several columns as rows, (len(names), N) float64; read together, which is much faster."""
        for name in names:
            if name not in self.columns:
                raise unknown_name("column", self.owner, name, self.columns)
        values = np.empty((len(names), len(self)), dtype=np.float64)
        start = 0
        for file in self._files:
            part = file.read(columns=list(names))
            for row, name in enumerate(names):
                values[row, start : start + len(part)] = part.column(name).cast(pa.float64()).to_numpy()
            start += len(part)
        return values

    def meaning(self, name: str) -> str:
        """What a high value of the column means."""
        if name not in self.columns:
            raise unknown_name("column", self.owner, name, self.columns)
        return str(self.columns[name].get("meaning", "arbitrary"))

    def _open(self, file: Path) -> pq.ParquetFile:
        if not file.is_file():
            raise FileNotFoundError(f"{self.owner}: no file at {str(file)!r}.")
        try:
            return pq.ParquetFile(file)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{self.owner}: {str(file)!r} is not a complete Parquet file ({error})."
            ) from error
