"""``tamis score --by-shard``: shard by shard, for data of any size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.errors import InputError, bad_value
from tamis.options import emit

if TYPE_CHECKING:
    from scoring.engines.engine import Engine


def check_by_shard(refused: Mapping[str, object], out: Path | None) -> Path:
    """The folder to write; refused is what does not go with shards."""
    if also := [name for name, value in refused.items() if value is not None]:
        raise InputError(f"tamis score: --{also[0]} is not for scoring shard by shard.")
    if out is None or out.suffix == ".parquet":
        raise bad_value("--out", "tamis score", out and str(out), "a folder to score shard by shard")
    return out


def failures(text: str | None) -> int | float | None:
    """``5`` is rows, ``0.01`` a share."""
    try:
        return None if text is None else float(text) if "." in text else int(text)
    except ValueError:
        raise bad_value(
            "--max-failures", "tamis score", text, "a number of rows or a share such as 0.001"
        ) from None


def score_by_shard(
    data: str,
    scorers: str,
    source: Path | None,
    out: Path,
    engine: Engine,
    settings: dict[str, Any],
    as_json: bool,
) -> None:
    """Score and tell how many rows there are, and how many failed."""
    from scoring.corpus.ledger import ledger_path
    from scoring.files import read_json
    from scoring.score_shards import score_shards
    from tamis.grid import console

    features = settings.pop("features")
    settings["features"] = features.split(",") if features and "," in features else features
    score_shards(data, scorers, source, out=out, engine=engine, **settings)
    manifest = read_json(out / "manifest.json")
    info = manifest["info"]
    rows, failed = sum(shard["rows"] for shard in manifest["shards"]), info.get("dead_letters") or 0
    document = {"out": str(out), "rows": rows, "shards": len(manifest["shards"]), **info}

    def print_it() -> None:
        console().print(f"{rows:,} examples in {len(manifest['shards']):,} shards, written to {out}")
        if failed:
            console().print(f"{failed:,} rows failed; they are listed in {out}/dead_letters.jsonl")
        if ledger_path(out).exists():
            console().print(f"`tamis costs {out}` tells what it cost")

    emit(document, as_json, print_it)
