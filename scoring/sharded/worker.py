"""What a worker does with one shard: score it piece by piece, keep finished pieces, and write its sidecar."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from scoring.data.batch import Batch
from scoring.data.shards import Shard
from scoring.errors import InputError
from scoring.files import write_atomic
from scoring.hashing import hash_ids
from scoring.manifest import KEY, parquet_writer, parse_manifest, to_json
from scoring.merging import add_fingerprints, different
from scoring.review import add_tallies
from scoring.sharded.finishing import numbers
from scoring.sharded.job import ShardJob
from scoring.sharded.layout import Letter
from scoring.sharded.piece_scores import PieceScores, score_piece
from scoring.sharded.readable import readable
from scoring.table_files import KIND

PIECE = "piece of scores"


def score_shard(job: ShardJob, task: dict[str, Any]) -> dict[str, str]:
    """Score one shard and write its sidecar; gives the JSON of what the sidecar says of itself."""
    shard = Shard(**task)
    sidecar = job.folder / "table" / shard.sidecar
    if not sidecar.exists():
        shard.check_unchanged()
        pieces = job.folder / "pieces" / shard.sidecar
        failed = sum(piece["failed"] for piece in _finished(pieces))
        start = max((piece["stop"] for piece in _finished(pieces)), default=0)
        for batch in job.batches(shard, start):
            failed += _score_piece(job, shard, batch, pieces / f"{batch.start:012}.parquet")
            if job.max_failed is not None and failed > job.max_failed:
                first = next(_letters_of(pieces))
                raise InputError(
                    f"score: at most {job.max_failed:,} rows may fail, and {failed:,} of shard {shard.name!r} did; "
                    f"the first is row {first['row']:,}: {first['error']}."
                )
        shard.check_unchanged()
        _assemble(job, shard, pieces, sidecar)
        for finished in (pieces, job.kept(shard)):
            shutil.rmtree(finished, ignore_errors=True)
    found = _manifest(sidecar)
    return {"summary": json.dumps({key: found[key] for key in ("columns", "info", "summary")})}


def _score_piece(job: ShardJob, shard: Shard, batch: Batch, path: Path) -> int:
    """Score a batch and write it with its letters; how many rows failed."""
    found: PieceScores | None = None
    try:
        examples, rows_B, letters = job.layout.examples(shard, batch, job.data)
        if examples is not None:
            found, broken = readable(examples, partial(score_piece, job, shard, batch.start))
            ids = examples.ids
            letters += [Letter(int(rows_B[k]), ids[[k]].tolist()[0], error) for k, error in broken.items()]
    except InputError as error:
        raise InputError(f"{str(error).removesuffix('.')} (shard {shard.name!r}).") from error
    found = PieceScores() if found is None else found
    letters = sorted(letters, key=lambda letter: letter.row)
    manifest = {
        "start": batch.start,
        "stop": batch.stop,
        "failed": len(letters),
        "held_out": found.held_out,
        "letters": [{"row": each.row, "id": each.id, "error": each.error} for each in letters],
        "columns": {} if found.table is None else found.table.columns,
        "info": {} if found.table is None else found.table.info,
        "tallies": found.tallies,
        "unknown": found.unknown,
    }
    content = pa.table({"id": pa.array([], pa.string())}) if found.table is None else found.table.table
    with parquet_writer(path, content.schema, PIECE, manifest) as writer:
        writer.write_table(content.combine_chunks())
    return len(letters)


# From pieces to the sidecar


def _assemble(job: ShardJob, shard: Shard, pieces: Path, sidecar: Path) -> None:
    """Write the sidecar, one row group per piece, with dead letters and hashes of ids beside it."""
    found = _finished(pieces)
    scored = [piece for piece in found if piece["info"]]
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
        "tallies": add_tallies([numbers(piece["tallies"]) for piece in scored]),
        "unknown": sorted(set.intersection(*(set(piece["unknown"]) for piece in scored))) if scored else [],
    }  # fmt: skip
    if failed:
        _write_letters(job.folder / "letters" / shard.sidecar, shard, pieces)
    if hashes:
        hashed = np.sort(np.concatenate(hashes))
        write_atomic(job.folder / "hashes" / f"{shard.sidecar}.npy", lambda file: _save(file, hashed))
    manifest = {"columns": columns, "info": info, "summary": summary}
    schema = next((pq.read_schema(path) for path, piece in zip(paths, found) if piece["info"]), None)
    with parquet_writer(sidecar, schema or pa.schema({"id": pa.string()}), KIND, manifest) as writer:
        for path, piece in zip(paths, found):
            if piece["info"]:
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
