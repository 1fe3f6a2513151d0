"""The end of a sharded scoring: were there too many failures, one manifest for all shards, the folder in its place."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from scoring.data.shards import ShardedData
from scoring.errors import InputError
from scoring.files import write_atomic
from scoring.manifest import FORMAT, KEY, parquet_writer, parse_manifest
from scoring.merging import add_fingerprints, different
from scoring.plan import Column
from scoring.review import Tally, add_tallies, review
from scoring.sharded.claim import put_in_place
from scoring.sharded.costs import write_costs
from scoring.table_files import KIND

OWNER = "score"
LETTERS_FILE = "dead_letters.jsonl"
FAILED_SHARE = 0.001
FAILED_ROWS = 100


def _most_failures(max_failures: int | float | None, of: int) -> int:
    """How many of all rows may fail."""
    if max_failures is None:
        return max(FAILED_ROWS, math.floor(FAILED_SHARE * of))
    return max_failures if isinstance(max_failures, int) else math.floor(max_failures * of)


def check_finished(path: Path, max_failures: int | float | None) -> None:
    """Refuse a finished table in which more rows failed than may by now."""
    manifest = parse_manifest((path / "manifest.json").read_bytes(), OWNER, path)
    failed = manifest["info"]["dead_letters"]
    of = round(sum(shard["rows"] for shard in manifest["shards"]) / manifest["info"]["coverage"])
    if failed > (most := _most_failures(max_failures, of)):
        raise InputError(
            f"score: at most {most:,} of {of:,} rows may fail, and {failed:,} did when {str(path)!r} was made; "
            "mend the data, or raise max_failures."
        )


def check_failures(shards: Sequence[dict[str, Any]], max_failures: int | float | None) -> None:
    """Refuse to go on if too many rows failed, or none was scored."""
    rows, failed, held_out = (
        sum(each["summary"][key] for each in shards) for key in ("rows", "failed", "held_out")
    )
    of = rows + failed + held_out
    most = _most_failures(max_failures, of)
    if failed > most or not rows:
        letters = [letter for each in shards for letter in each["summary"]["first"]][:3]
        told = "; ".join(f"{each['shard']} row {each['row']:,}: {each['error']}" for each in letters)
        limit = (
            f"at most {most:,} of {of:,} rows may fail, and {failed:,} did"
            if failed > most
            else "no row was scored"
        )
        raise InputError(
            f"score: {limit}{f' ({told})' if told else ''}; mend the data, or raise max_failures."
        )


def make_manifest(
    data: ShardedData,
    shards: Sequence[dict[str, Any]],
    asked: Sequence[Column],
    request: str,
    tallies: Mapping[str, Tally],
) -> tuple[dict[str, Any], list[str]]:
    """The manifest of the whole table; and the columns that should have values and do not.

    What scorers say of the values stands in it, and their warnings are given. ``tallies`` are of columns that are not
    in those of the shards.
    """
    rows, failed, held_out = (
        sum(each["summary"][key] for each in shards) for key in ("rows", "failed", "held_out")
    )
    of = rows + failed + held_out
    scored = [each for each in shards if each["summary"]["rows"]]
    columns = scored[0]["columns"]
    for each in scored[1:]:
        for name in columns.keys() | each["columns"].keys():
            if odd := different(columns.get(name, {}), each["columns"].get(name, {})):
                raise InputError(
                    f"score: shards must describe {name!r} alike, and {each['info']['shard']!r} differs in "
                    f"{', '.join(odd)}; the checkpoints may have changed while the job ran."
                )
    info = {key: value for key, value in scored[0]["info"].items() if key != "shard"} | {
        "data": data.name,
        "fingerprint": add_fingerprints([each["info"]["fingerprint"] for each in scored]),
        "request": request,
        "held_out": held_out,
        "num_examples": of,
        "dead_letters": failed,
        "coverage": rows / of,
    }
    files = [{"file": each["summary"]["sidecar"], "rows": each["summary"]["rows"]} for each in shards]
    sizes = {shard.sidecar: {"shard": shard.name, "bytes": shard.bytes} for shard in data.shards}
    total = add_tallies([*(numbers(each["summary"]["tallies"]) for each in scored), tallies])
    empty = set.intersection(*(set(each["summary"]["unknown"]) for each in scored))
    manifest = {
        "columns": review(asked, total, columns),
        "info": info,
        "format": FORMAT,
        "kind": KIND,
        "shards": sorted(
            ({**each, **sizes[each["file"]]} for each in files), key=lambda each: str(each["file"])
        ),
    }
    return manifest, sorted(empty)


def numbers(tallies: dict[str, dict[str, Any]]) -> dict[str, Tally]:
    """As they were before they became JSON, which has no infinity."""
    return {name: {key: float(value) for key, value in each.items()} for name, each in tallies.items()}


def finish(out: Path, parts: Path, manifest: str, _: str) -> None:
    """Complete the folder of sidecars and put it in its place."""
    table = parts / "table"
    if not table.exists():
        return  # a process died between the rename and telling so
    found = json.loads(manifest)
    filled = next(each["file"] for each in found["shards"] if each["rows"])
    schema = pq.read_schema(table / filled)
    columns = parse_manifest(schema.metadata[KEY], OWNER, table)["columns"]
    for shard in found["shards"]:
        if not shard["rows"]:
            own = parse_manifest(pq.read_schema(table / shard["file"]).metadata[KEY], OWNER, table)
            with parquet_writer(table / shard["file"], schema, KIND, {**own, "columns": columns}) as writer:
                writer.write_table(schema.remove_metadata().empty_table())
    write_atomic(table / LETTERS_FILE, partial(_join, sorted((parts / "letters").glob("*.parquet"))))
    write_atomic(table / "manifest.json", manifest.encode() + b"\n")
    write_costs(out, parts / "costs", found["info"]["request"])
    put_in_place(table, out)


def _join(files: Sequence[Path], path: Path) -> None:
    """Write the files one after another into one."""
    with path.open("wb") as joined:
        for file in files:
            with file.open("rb") as part:
                shutil.copyfileobj(part, joined)
