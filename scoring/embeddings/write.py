"""``embed``: the vectors of all examples, written to a folder as they come."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.corpus.documents import Documents
from scoring.corpus.ledger import Ledger
from scoring.embeddings.encoder import Encoder, Running, check_one_of
from scoring.embeddings.opening import open_encoder
from scoring.embeddings.store import IDS, KIND, MANIFEST, VECTORS, EmbeddingStore
from scoring.errors import InputError, OutputTakenError, name_some
from scoring.examples import Examples, require_examples
from scoring.files import atomic_folder, read_json
from scoring.hashing import digest, hash_ids
from scoring.ids import id_column
from scoring.manifest import FORMAT, parquet_options, to_json
from scoring.parts import Parts, remove_parts
from scoring.progress import progress
from scoring.signal_store import ArrayStore

OWNER = "embed"
CHUNK_ROWS = 1024
"""Examples between two moments at which the job can resume."""
SHARD_ROWS = 32_768
DTYPES = ("float16", "float32")
FORMATS = ("parquet", "npy")


def embed(
    examples: Examples,
    encoder: str | Encoder,
    out: str | Path,
    *,
    dtype: str = "float16",
    format: str = "parquet",
    device: str = "auto",
    precision: str = "float32",
    batch_tokens: int = 8192,
    trust_remote_code: bool = False,
    overwrite: bool = False,
    show_progress: bool = False,
) -> EmbeddingStore:
    """Write one vector per example, keyed by id, and open what was written.

    The same call after an interruption goes on at the last chunk of 1,024 examples, to the same bytes; a finished
    folder of the same call is opened as it is. Memory holds one chunk; disk holds the vectors once more until the end.

    Args:
        examples: Texts, images or features, whatever the encoder reads.
        encoder: A name of ``open_encoder``, or an encoder.
        out: A folder. What the work cost stands in ``<out>.costs.json``.
        dtype: ``float16`` (about three digits) or ``float32``.
        format: ``parquet``, shards that other programs read, or ``npy``, one array that can be memory-mapped.
        device, precision, batch_tokens, trust_remote_code: Of the forward passes.
        overwrite: Replace embeddings of another call.
        show_progress: A bar on standard error.

    Raises:
        OutputTakenError: ``out`` holds something else, or the unfinished work of another call.
        InputError: An encoder that cannot be opened or does not read such examples; vectors that are not finite.
    """
    require_examples(examples, OWNER)
    check_one_of("dtype", OWNER, dtype, DTYPES)
    check_one_of("format", OWNER, format, FORMATS)
    path = Path(out)
    if isinstance(encoder, str):
        encoder = open_encoder(encoder, Running(device, precision, batch_tokens, trust_remote_code))
    about: dict[str, Any] = {
        "encoder": encoder.describe(),
        "data": examples.content_fingerprint(np.arange(len(examples))),
        "order": digest(hash_ids(examples.ids).tobytes(), size=16).hex(),
        "dtype": dtype,
        "storage": format,
    }
    request = digest(to_json(about), size=16).hex()
    if _finished(path, request, overwrite):
        return EmbeddingStore.open(path, OWNER)
    ledger = Ledger()
    parts = Parts(path, request, overwrite, OWNER)
    with parts.signals() as work:
        work_store = ArrayStore(work / "vectors", len(examples))
        try:
            _compute(examples, encoder, work_store, np.dtype(dtype), ledger, show_progress)
        finally:
            ledger.write(path, request, parts.resumed)
        with atomic_folder(path) as folder:
            _write(folder, examples, work_store, {**about, "request": request})
    remove_parts(path)
    return EmbeddingStore.open(path, OWNER)


def _finished(path: Path, request: str, overwrite: bool) -> bool:
    """Whether the folder is there; what stands in its way is refused."""
    if not path.exists():
        return False
    head = path / MANIFEST
    known: dict[str, Any] = {}
    if head.is_file():
        try:
            known = read_json(head)
        except json.JSONDecodeError:
            known = {}
    if known.get("kind") != KIND:
        raise OutputTakenError(
            f"{OWNER}: out {str(path)!r} is there and holds no embeddings; choose another name."
        )
    if known.get("request") == request and not overwrite:
        return True
    if not overwrite:
        raise OutputTakenError(
            f"{OWNER}: out {str(path)!r} holds embeddings of another call; choose another name or overwrite them."
        )
    return False


def _compute(
    examples: Examples,
    encoder: Encoder,
    store: ArrayStore,
    dtype: np.dtype[Any],
    ledger: Ledger,
    show_progress: bool,
) -> None:
    """All chunks that are not yet in the store: vectors, tokens, whether truncated."""
    already = min(store.pieces * CHUNK_ROWS, len(examples))
    with progress("embedding", len(examples), "rows", show_progress, already) as advance:
        for start in range(already, len(examples), CHUNK_ROWS):
            started = perf_counter()
            rows = np.arange(start, min(start + CHUNK_ROWS, len(examples)))
            encoded = encoder.encode(Documents(examples, rows))
            with np.errstate(over="ignore"):  # what overflows float16 is infinite, and refused
                vectors = encoded.vectors_BD.numpy().astype(dtype)
            _check_finite(vectors, examples, rows)
            store.write(rows, [vectors, encoded.tokens_B, encoded.truncated_B])
            store.finish(start // CHUNK_ROWS + 1)
            ledger.signal(KIND).add(
                documents=len(rows),
                tokens=int(encoded.tokens_B.sum()),
                seconds=perf_counter() - started,
                flops=encoded.flops or 0.0,
            )
            advance(len(rows))


def _check_finite(vectors: npt.NDArray[Any], examples: Examples, rows: npt.NDArray[np.int64]) -> None:
    bad = ~np.isfinite(vectors).all(axis=1)
    if bad.any():
        ids = examples.ids[rows[bad]].tolist()
        wider = ", or too large for float16 (dtype='float32')" if vectors.dtype == np.float16 else ""
        raise InputError(
            f"{OWNER}: vectors must be finite, got NaN or infinity{wider} for ids {name_some(ids)}."
        )


def _write(folder: Path, examples: Examples, store: ArrayStore, about: dict[str, Any]) -> None:
    """The folder as readers find it."""
    vectors, tokens, truncated = store.open()
    rows = len(examples)
    columns = {
        "id": id_column(examples.ids, OWNER),
        "tokens": pa.array(np.asarray(tokens)),
        "truncated": pa.array(np.asarray(truncated)),
        "content": pa.array(examples.content_hashes(np.arange(rows))),
    }
    manifest = {
        **about,
        "kind": KIND,
        "format": FORMAT,
        "rows": rows,
        "width": vectors.shape[1],
        "tokens": int(tokens.sum()),
        "truncated": int(truncated.sum()),
    }
    if about["storage"] == "npy":
        _link(store.folder / "layer-000.npy", folder / VECTORS)
        _write_table(folder / IDS, pa.table(columns))
    else:
        manifest["shards"] = []
        for file, table in _shards(columns, vectors):
            _write_table(folder / file, table)
            manifest["shards"].append({"file": file, "rows": len(table)})
    (folder / MANIFEST).write_bytes(to_json(manifest, indent=2) + b"\n")


def _shards(columns: dict[str, pa.Array], vectors: npt.NDArray[Any]) -> Iterator[tuple[str, pa.Table]]:
    for number, start in enumerate(range(0, len(vectors), SHARD_ROWS)):
        part = np.ascontiguousarray(vectors[start : start + SHARD_ROWS])
        lists = pa.FixedSizeListArray.from_arrays(pa.array(part.ravel()), part.shape[1])
        sliced = {name: column.slice(start, SHARD_ROWS) for name, column in columns.items()}
        yield f"shard-{number:05}.parquet", pa.table({"id": sliced.pop("id"), "embedding": lists, **sliced})


def _write_table(file: Path, table: pa.Table) -> None:
    pq.write_table(table, file, row_group_size=SHARD_ROWS, **parquet_options(table.schema))


def _link(source: Path, target: Path) -> None:
    """A second name for a file that goes soon; a copy where the disk has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
