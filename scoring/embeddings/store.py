"""Embeddings on disk, read by id.

| path | content |
|---|---|
| folder of ``embed(format="parquet")`` | shards with the columns id, embedding, tokens, truncated, content |
| folder of ``embed(format="npy")`` | vectors.npy (N, D), and ids.parquet with the other columns |
| ``NAME.parquet`` of others | columns id and embedding, lists of equally many floats |
| ``NAME.npy`` of others | an array (N, D) of floats, its ids in ``NAME.ids.npy`` |
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.corpus.documents import Documents
from scoring.errors import InputError, bad_value, name_some
from scoring.hashing import Ids, UInt64Array, hash_ids
from scoring.ids import IdsLike, check_unique, id_column
from scoring.manifest import check_kind, parse_manifest

IntArray = npt.NDArray[np.int64]
KIND = "embeddings"
MANIFEST, VECTORS, IDS = "manifest.json", "vectors.npy", "ids.parquet"
BATCH = 4096


class EmbeddingStore:
    """N vectors of width D with their ids.

    Attributes:
        path: Where it lies.
        encoder: What the encoder said of itself; None in files of others.
        digest: Of the manifest, which tells encoder and data; of files of others, of all bytes.
        ids: (N,) int64 or object of str, in the order of the vectors.
    """

    def __init__(
        self, path: Path, owner: str, files: list[Path], about: list[Path], manifest: dict[str, Any] | None
    ) -> None:
        self.path, self.owner, self._files = path, owner, files
        self.manifest = manifest
        self.encoder: dict[str, Any] | None = None if manifest is None else manifest["encoder"]
        self._rows = self._read_rows(about)
        ids = id_column(self._rows.column("id"), owner)
        check_unique(ids, owner)
        self.ids: Ids = ids.to_numpy(zero_copy_only=False)

    @classmethod
    def open(cls, path: str | Path, owner: str = "embeddings") -> EmbeddingStore:
        """The store at a path.

        Raises:
            FileNotFoundError: Nothing there, or files that the manifest names are missing.
            InputError: No embeddings, damaged, or ids that are missing or double.
        """
        path = Path(path)
        if path.is_dir():
            head = path / MANIFEST
            if not head.is_file():
                raise InputError(f"{owner}: {str(path)!r} must hold embeddings, and has no {MANIFEST}.")
            manifest = parse_manifest(head.read_bytes(), owner, head)
            check_kind(manifest, KIND, owner, path)
            if manifest["storage"] == "npy":
                return cls(path, owner, [path / VECTORS], [path / IDS], manifest)
            shards = [path / Path(shard["file"]).name for shard in manifest["shards"]]
            return cls(path, owner, shards, shards, manifest)
        if not path.is_file():
            raise FileNotFoundError(f"{owner}: no embeddings at {str(path)!r}.")
        if path.suffix == ".parquet":
            return cls(path, owner, [path], [path], None)
        ids = path.with_suffix(".ids.npy")
        if path.suffix != ".npy" or not ids.is_file():
            raise InputError(
                f"{owner}: embeddings {str(path)!r} must be a folder of `tamis embed`, a Parquet file with the columns "
                f"'id' and 'embedding', or a .npy file with its ids in {ids.name!r} beside it."
            )
        return cls(path, owner, [path], [ids], None)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def width(self) -> int:
        """D."""
        return int(self.array.shape[1])

    @cached_property
    def digest(self) -> str:
        """What tells these vectors from others."""
        state = hashlib.blake2b(digest_size=16)
        for file in [self.path / MANIFEST] if self.manifest is not None else self._files:
            with file.open("rb") as content:
                state.update(hashlib.file_digest(content, "blake2b").digest())
        return state.hexdigest()

    @cached_property
    def array(self) -> npt.NDArray[Any]:
        """All vectors, (N, D), memory-mapped and read-only; Parquet is unpacked into a temporary file first."""
        if self._files[0].suffix == ".npy":
            array = self._load(self._files[0])
            if array.ndim != 2 or array.dtype.kind != "f" or len(array) != len(self):
                raise bad_value(
                    "embeddings",
                    self.owner,
                    f"{array.dtype} of shape {array.shape}",
                    f"floats ({len(self)}, D)",
                )
            return array
        folder = Path(tempfile.mkdtemp(prefix="tamis-embeddings-"))
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)  # what is mapped stays readable
        target = folder / VECTORS
        unpacked: np.memmap[Any, Any] | None = None
        start = 0
        for file in self._files:
            for batch in pq.ParquetFile(file).iter_batches(BATCH, columns=["embedding"]):
                part = self._dense(batch.column(0), file)
                if unpacked is None:
                    shape = (len(self), part.shape[1])
                    unpacked = np.lib.format.open_memmap(target, mode="w+", dtype=part.dtype, shape=shape)
                if part.shape[1] != unpacked.shape[1]:
                    raise self._not_dense(file)
                unpacked[start : start + len(part)] = part
                start += len(part)
        if unpacked is None:
            return np.empty((0, 0), dtype=np.float32)
        unpacked.flush()
        return self._load(target)

    def places_of(self, ids: IdsLike) -> IntArray:
        """The row of every id, (M,) int64; -1 where it is not there."""
        hashes_N, order_N = self._index
        wanted = np.asarray(ids)
        if not len(self):
            return np.full(len(wanted), -1, dtype=np.int64)
        found = np.searchsorted(hashes_N, hash_ids(wanted)).clip(max=len(self) - 1)
        places: IntArray = order_N[found]
        same = np.array([a == b for a, b in zip(self.ids[places].tolist(), wanted.tolist())], dtype=bool)
        return np.where(same, places, -1)

    def rows_of(self, documents: Documents) -> IntArray:
        """The row of every document, (B,) int64; -1 where its id is not there, or was that of another input."""
        places_B = self.places_of(documents.ids_B)
        if self._content is None:
            return places_B
        same_B = self._content[places_B] == documents.examples.content_hashes(documents.rows_B)
        return np.where(same_B, places_B, -1)

    def vectors_of(self, ids: IdsLike) -> npt.NDArray[np.float32]:
        """The vectors of some ids, (M, D) float32.

        Raises:
            InputError: Some are not there; it names a few.
        """
        vectors: npt.NDArray[np.float32] = self.array[self._all_places(ids)].astype(np.float32)
        return vectors

    def in_order_of(self, ids: IdsLike) -> npt.NDArray[Any]:
        """The vectors of some ids in their own type, (M, D); the memory-mapped array itself where that is these."""
        places = self._all_places(ids)
        if len(places) == len(self) and np.array_equal(places, np.arange(len(self))):
            return self.array
        return np.asarray(self.array[places])

    def _all_places(self, ids: IdsLike) -> IntArray:
        places = self.places_of(ids)
        missing = np.asarray(ids)[places < 0].tolist()
        if missing:
            raise InputError(
                f"{self.owner}: embeddings {str(self.path)!r} must have every id, and lack {len(missing):,} of "
                f"{len(places):,}: {name_some(missing)}."
            )
        return places

    @cached_property
    def _index(self) -> tuple[UInt64Array, IntArray]:
        """Hashes of ids in ascending order, and the row of each."""
        hashes_N = hash_ids(self.ids)
        order_N = np.argsort(hashes_N, kind="stable")
        return hashes_N[order_N], order_N

    @cached_property
    def _content(self) -> UInt64Array | None:
        """Hashes of the inputs that were embedded."""
        if "content" not in self._rows.column_names:
            return None
        return self._rows.column("content").to_numpy()  # type: ignore[no-any-return]

    def _read_rows(self, about: list[Path]) -> pa.Table:
        """Ids, and hashes of inputs where there are some."""
        for file in {*self._files, *about}:
            if not file.is_file():
                raise FileNotFoundError(f"{self.owner}: no file at {str(file)!r}.")
        if about[0].suffix == ".npy":
            return pa.table({"id": id_column(self._load(about[0]), self.owner)})
        tables = []
        for file in about:
            try:
                names = pq.read_schema(file).names
            except pa.ArrowInvalid as error:
                raise InputError(
                    f"{self.owner}: embeddings {str(file)!r} must be Parquet ({error})."
                ) from error
            needed = {"id", "embedding"} if file in self._files else {"id"}
            if not needed <= {*names}:
                raise InputError(
                    f"{self.owner}: embeddings {str(file)!r} must have the columns {' and '.join(sorted(needed))}, "
                    f"got {', '.join(names)}."
                )
            tables.append(pq.read_table(file, columns=[n for n in ("id", "content") if n in names]))
        return pa.concat_tables(tables)

    def _load(self, file: Path) -> npt.NDArray[Any]:
        try:
            array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise InputError(f"{self.owner}: {str(file)!r} must be a .npy file without objects.") from error
        return array

    def _dense(self, lists: pa.Array, file: Path) -> npt.NDArray[Any]:
        """Lists of equally many floats as (B, D)."""
        if not pa.types.is_nested(lists.type) or lists.null_count:
            raise self._not_dense(file)
        flat = lists.flatten().to_numpy(zero_copy_only=False)
        widths = np.unique(np.asarray(pc.list_value_length(lists).to_numpy(zero_copy_only=False)))
        if flat.dtype.kind != "f" or len(widths) != 1:
            raise self._not_dense(file)
        return flat.reshape(len(lists), -1)  # type: ignore[no-any-return]

    def _not_dense(self, file: Path) -> InputError:
        return bad_value("embeddings", self.owner, str(file), "lists of equally many floats, none missing")
