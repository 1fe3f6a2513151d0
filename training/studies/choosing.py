"""One choice of a study, made once: what a way keeps of some examples at a budget, as a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.errors import InputError, unknown_name
from scoring.examples import Examples
from scoring.hashing import digest
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
    vectors = embeddings if embeddings is None or isinstance(embeddings, str | Path) else _content(embeddings)
    told = [examples.fingerprint, repr((way, str(keep), seed, nan)), str(vectors)]
    values = b"" if way.by is None else np.ascontiguousarray(scores.column(way.by)).tobytes()
    path = f"{SUBSETS}/{digest(values, *(each.encode() for each in told), size=8).hex()}.parquet"
    if not (out / path).is_file():
        kept = select(
            scores, by=way.by, take=way.take, keep=keep, balance=way.balance or "none", seed=seed, nan=nan,
            groups=examples, embeddings=embeddings, texts=examples if examples.kind == "text" else None,
            **way.options,
        )  # fmt: skip
        kept.write(out / path)
    return path


def _content(embeddings: npt.ArrayLike) -> str:
    return digest(np.ascontiguousarray(embeddings).tobytes()).hex()


def _ids_only(examples: Examples) -> ScoreTable:
    """A table without scores, for strategies that read none."""
    table = pa.table({"id": pa.array(examples.ids), "label": pa.array(examples.labels)})
    return ScoreTable(table, {}, {"fingerprint": examples.fingerprint})
