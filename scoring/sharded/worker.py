"""What a worker does with one shard: score it piece by piece, keep finished pieces, and write its sidecar."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from scoring.data.batch import Batch
from scoring.data.shard_batches import BATCH_BYTES, read_batches
from scoring.data.shards import Shard
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.files import write_atomic
from scoring.hashing import hash_ids
from scoring.manifest import KEY, parquet_writer, parse_manifest, to_json
from scoring.merging import add_fingerprints, different
from scoring.run import score
from scoring.scorer import Scorer
from scoring.sharded.layout import Layout, Letter
from scoring.sharded.token_counts import TokenCounter
from scoring.sources.loaded_models import LoadedModels
from scoring.sources.runs import OTHERS, RunSource
from scoring.table import ScoreTable
from scoring.table_files import KIND

PIECE = "piece of scores"
SIDE = {"role": "side", "meaning": "arbitrary"}

_models = LoadedModels()
"""One per process: the checkpoints stay loaded from shard to shard."""


@dataclass(frozen=True)
class ShardJob:
    """What all workers of one call must know."""

    scorers: tuple[str | Scorer, ...]
    source: str
    layout: Layout
    data: str
    folder: Path
    """Where work is kept: ``pieces``, ``table``, ``letters``, ``hashes``."""
    piece_rows: int
    max_failed: int | None
    """A number of failed rows of one shard at which the job cannot go on, if there is one."""
    options: dict[str, Any] = field(default_factory=dict)
    source_options: dict[str, Any] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    """Kinds that runs of another model give -> digest of those runs."""
    tokens: TokenCounter | None = None


def score_shard(job: ShardJob, task: dict[str, Any]) -> dict[str, str]:
    """Score one shard and write its sidecar; gives the JSON of what the sidecar says of itself."""
    shard = Shard(**task)
    sidecar = job.folder / "table" / shard.sidecar
    if not sidecar.exists():
        shard.check_unchanged()
        pieces = job.folder / "pieces" / shard.sidecar
        failed = sum(piece["failed"] for piece in _finished(pieces))
        start = max((piece["stop"] for piece in _finished(pieces)), default=0)
        types = dict(job.layout.types)
        for batch in read_batches(shard, types, start, job.piece_rows, BATCH_BYTES):
            failed += _score_piece(job, shard, batch, pieces / f"{batch.start:012}.parquet")
            if job.max_failed is not None and failed > job.max_failed:
                first = next(_letters_of(pieces))
                raise InputError(
                    f"score: at most {job.max_failed:,} rows may fail, and {failed:,} of shard {shard.name!r} did; "
                    f"the first is row {first['row']:,}: {first['error']}."
                )
        shard.check_unchanged()
        _assemble(job, shard, pieces, sidecar)
        shutil.rmtree(pieces, ignore_errors=True)
    found = _manifest(sidecar)
    return {"summary": json.dumps({key: found[key] for key in ("columns", "info", "summary")})}


def _score_piece(job: ShardJob, shard: Shard, batch: Batch, path: Path) -> int:
    """Score a batch and write it with its letters; how many rows failed."""
    try:
        examples, rows_B, letters = job.layout.examples(shard, batch, job.data)
        table, held_out, more = (None, 0, []) if examples is None else _scored(job, examples, rows_B)
    except InputError as error:
        raise InputError(f"{str(error).removesuffix('.')} (shard {shard.name!r}).") from error
    letters = sorted([*letters, *more], key=lambda letter: letter.row)
    manifest = {
        "start": batch.start,
        "stop": batch.stop,
        "failed": len(letters),
        "held_out": held_out,
        "letters": [{"row": each.row, "id": each.id, "error": each.error} for each in letters],
        "columns": {} if table is None else table.columns,
        "info": {} if table is None else table.info,
    }
    content = pa.table({"id": pa.array([], pa.string())}) if table is None else table.table
    with parquet_writer(path, content.schema, PIECE, manifest) as writer:
        writer.write_table(content.combine_chunks())
    return len(letters)


def _scored(
    job: ShardJob, examples: Examples, rows_B: npt.NDArray[np.int64]
) -> tuple[ScoreTable | None, int, list[Letter]]:
    """Scores of all examples that some run may score and that can be read to the end."""
    letters: list[Letter] = []
    try:
        table, held_out = _table(job, examples)
    except InputError:
        broken = _undecodable(examples)
        if not broken:
            raise
        ids = examples.ids
        letters = [Letter(int(rows_B[k]), ids[[k]].tolist()[0], error) for k, error in broken.items()]
        good = np.setdiff1d(np.arange(len(examples)), list(broken))
        table, held_out = _table(job, examples.take(good)) if len(good) else (None, 0)
    return table, held_out, letters


def _table(job: ShardJob, examples: Examples) -> tuple[ScoreTable | None, int]:
    source = RunSource(job.source, examples, signals="checkpoints", models=_models, **job.source_options)
    covered = np.stack([source.covers(run) for run in range(len(source.runs))]).any(axis=0)
    held_out = int((~covered).sum())
    if not covered.any():
        return None, held_out
    scored = score(examples, list(job.scorers), source, view="clean", **job.options)
    columns = {name: _described(meta, job.others) for name, meta in scored.columns.items()}
    content = scored.table
    if examples.kind == "text":
        rows = np.flatnonzero(covered)
        sizes = {"bytes": text_bytes(examples, rows)}
        if job.tokens is not None:
            sizes["tokens"] = job.tokens.count(examples.texts(rows))
        for name, values in sizes.items():
            if name not in columns:
                content, columns[name] = content.append_column(name, pa.array(values)), SIDE
    return ScoreTable(
        content, columns, {**scored.info, "fingerprint": examples.take(np.flatnonzero(covered)).fingerprint}
    ), held_out


def text_bytes(examples: Examples, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """UTF-8 bytes of the text, or of both texts of a pair, (len(rows),)."""
    total = np.zeros(len(rows), dtype=np.int64)
    for name in examples.schema.inputs:
        column = examples.table.read(name, examples.table_rows(rows))
        total += np.asarray(pc.binary_length(column.cast(pa.large_binary()))).astype(np.int64)
    return total


def _described(meta: Mapping[str, Any], others: Mapping[str, str]) -> dict[str, Any]:
    """The description of a column as it is for every piece: other models by their weights, not by the piece."""
    if not others or "checkpoints" not in meta:
        return dict(meta)
    return {**meta, "checkpoints": [{**each, **{kind: others[kind] for kind in OTHERS if kind in each}}
                                    for each in meta["checkpoints"]]}  # fmt: skip


def _undecodable(examples: Examples) -> dict[int, str]:
    """Position and error of every image that cannot be decoded."""
    broken: dict[int, str] = {}
    if examples.kind == "image":
        for position in range(len(examples)):
            try:
                examples.images([position])
            except (InputError, OSError) as error:
                broken[position] = str(error).removesuffix(".")
    return broken


# From pieces to the sidecar


def _assemble(job: ShardJob, shard: Shard, pieces: Path, sidecar: Path) -> None:
    """Write the sidecar, one row group per piece, with dead letters and hashes of ids beside it."""
    found = _finished(pieces)
    scored = [piece for piece in found if piece["columns"]]
    for piece in scored[1:]:
        for name in scored[0]["columns"]:
            if odd := different(scored[0]["columns"][name], piece["columns"].get(name, {})):
                raise InputError(
                    f"score: column {name!r} must be described alike in all of shard {shard.name!r}, and differs in "
                    f"{', '.join(odd)}; the checkpoints may have changed while the job ran."
                )
    paths = sorted(pieces.glob("*.parquet"))
    rows = 0
    hashes: list[npt.NDArray[np.uint64]] = []
    for path in paths:
        ids = pq.ParquetFile(path).read(["id"]).column("id")
        rows += len(ids)
        if job.layout.id is not None and len(ids):
            hashes.append(hash_ids(ids.to_numpy()))
    failed, held_out = (sum(piece[key] for piece in found) for key in ("failed", "held_out"))
    prints = [piece["info"]["fingerprint"] for piece in scored]
    info = dict(scored[0]["info"]) if scored else {}
    info.pop("request", None)
    info |= {
        "fingerprint": add_fingerprints(prints) if prints else None,
        "shard": shard.name,
        "held_out": held_out,
        "num_examples": rows + failed + held_out,
        "dead_letters": failed,
        "coverage": rows / max(rows + failed + held_out, 1),
    }
    columns = scored[0]["columns"] if scored else {}
    summary = {
        "sidecar": shard.sidecar, "rows": rows, "failed": failed, "held_out": held_out,
        "first": [{"shard": shard.name, **letter} for letter, _ in zip(_letters_of(pieces), range(3))],
    }  # fmt: skip
    if failed:
        _write_letters(job.folder / "letters" / shard.sidecar, shard, pieces)
    if hashes:
        hashed = np.sort(np.concatenate(hashes))
        write_atomic(job.folder / "hashes" / f"{shard.sidecar}.npy", lambda file: _save(file, hashed))
    manifest = {"columns": columns, "info": info, "summary": summary}
    schema = next((pq.read_schema(path) for path, piece in zip(paths, found) if piece["columns"]), None)
    with parquet_writer(sidecar, schema or pa.schema({"id": pa.string()}), KIND, manifest) as writer:
        for path, piece in zip(paths, found):
            if piece["columns"]:
                writer.write_table(pq.ParquetFile(path).read().replace_schema_metadata(None))


def _save(file: Path, values: npt.NDArray[Any]) -> None:
    with file.open("wb") as stream:
        np.save(stream, values, allow_pickle=False)


def _write_letters(path: Path, shard: Shard, pieces: Path) -> None:
    def write(file: Path) -> None:
        with file.open("wb") as lines:
            for letter in _letters_of(pieces):
                lines.write(to_json({"shard": shard.name, **letter}) + b"\n")

    write_atomic(path, write)


def _finished(pieces: Path) -> list[dict[str, Any]]:
    """The manifests of the pieces that are there, in the order of their rows."""
    return [_manifest(path) for path in sorted(pieces.glob("*.parquet"))]


def _letters_of(pieces: Path) -> Iterator[dict[str, Any]]:
    for piece in _finished(pieces):
        yield from piece["letters"]


def _manifest(path: Path) -> dict[str, Any]:
    return parse_manifest(pq.read_schema(path).metadata[KEY], "score", path)
