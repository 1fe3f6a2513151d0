"""One choice of a study, made once: what a way keeps of some examples at a budget, as a file."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.errors import InputError, unknown_name
from scoring.examples import Examples
from scoring.hashing import combine, digest, fingerprint, hash_ids
from scoring.table import ScoreTable
from selection.budget import Budget
from selection.run import select
from training.studies.classification import SUBSETS
from training.studies.ways import Way

OWNER = "study"


def choose(
    out: Path,
    examples: Examples,
    table: ScoreTable | None,
    way: Way,
    keep: Budget,
    seed: int,
    *,
    nan: str = "error",
    embeddings: npt.ArrayLike | str | Path | None = None,
) -> str:
    """The file, below ``out``, of what a way keeps; chosen once. See ``selection.run.select`` for ``nan``."""
    if way.by is not None and (table is None or way.by not in table.columns):
        known = [] if table is None else table.scores
        if known:
            raise unknown_name("by", OWNER, way.by, known)
        raise InputError(f"{OWNER}: select by {way.by!r} needs scores, and the study names none.")
    scores = _ids_only(examples) if table is None else table
    told = [
        examples.fingerprint,
        repr((way, str(keep), seed, nan)),
        _content(embeddings),
        *_read_of(scores, way),
    ]
    path = f"{SUBSETS}/{digest(*(each.encode() for each in told), size=8).hex()}.parquet"
    if not (out / path).is_file():
        kept = select(
            scores, by=way.by, take=way.take, keep=keep, balance=way.balance or "none", seed=seed, nan=nan,
            groups=examples, embeddings=embeddings, texts=examples if examples.kind == "text" else None,
            **way.options,
        )  # fmt: skip
        kept.write(out / path)
    return path


def _read_of(scores: ScoreTable, way: Way) -> list[str]:
    """All that a way reads of a score: which id has which value, and which end is the hard one."""
    if way.by is None:
        return []
    values = np.ascontiguousarray(scores.column(way.by), dtype=np.float64)
    return [fingerprint(combine(hash_ids(scores.ids), values.view(np.uint64))), scores.meaning(way.by)]


def _content(embeddings: npt.ArrayLike | str | Path | None) -> str:
    """What the embeddings hold: of a folder the bytes of its files, so that other vectors in its place are noticed."""
    if embeddings is None:
        return ""
    if not isinstance(embeddings, str | Path):
        return digest(np.ascontiguousarray(embeddings).tobytes()).hex()
    place = Path(embeddings)
    files = sorted(each for each in place.rglob("*") if each.is_file()) if place.is_dir() else [place]
    told = [_bytes(each, each.stat().st_mtime_ns) for each in files if each.is_file()]
    return digest(*(each.encode() for each in told)).hex()


@cache
def _bytes(path: Path, changed: int) -> str:
    """The digest of a file; a study asks for it once per choice."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _ids_only(examples: Examples) -> ScoreTable:
    """A table without scores, for strategies that read none."""
    table = pa.table({"id": pa.array(examples.ids), "label": pa.array(examples.labels)})
    return ScoreTable(table, {}, {"fingerprint": examples.fingerprint})
