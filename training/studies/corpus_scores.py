"""Scores of the documents of a corpus study, each table made once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.files import write_json
from scoring.hashing import digest
from scoring.manifest import plain
from scoring.run import score
from scoring.table import ScoreTable
from training.cell_data import DataRequest
from training.studies.corpus_data import CorpusData
from training.studies.scores import SCORES, ScoreRequest

OWNER = "study"
TARGET = "target"
SIZES = ("tokens", "bytes")


def target_of(request: ScoreRequest) -> Examples | None:
    """The documents that scores compare with."""
    target = request.options.get(TARGET)
    if target is None or isinstance(target, Examples):
        return target
    if not isinstance(target, DataRequest):
        raise bad_value(f"{TARGET} of scores", OWNER, target, "Examples, or data as of the study")
    return target.load()


def document_scores(
    request: ScoreRequest, data: CorpusData, out: Path, device: str, progress: bool
) -> ScoreTable:
    """The table of a request for the pool, ``out/scores/<hash>.parquet``; interrupted scoring goes on.

    Raises:
        InputError: A request of a model that is trained, or a target with held-out texts in it.
    """
    if request.table is not None:
        return ScoreTable.read(request.table)
    if request.model is not None:
        raise InputError(f"{OWNER}: scores of a corpus are of the documents themselves; leave out model.")
    options: dict[str, Any] = dict(request.options)
    target = target_of(request)
    if target is not None:
        data.check_unseen(target, f"the target of {request.scorers}")
        options[TARGET] = target
    told = {name: each if name != TARGET else options[TARGET].fingerprint for name, each in options.items()}
    request_told = {"scorers": request.scorers, "options": told, "pool": data.pool.fingerprint}
    name = digest(json.dumps(plain(request_told), sort_keys=True).encode(), size=8).hex()
    path = out / SCORES / f"{name}.parquet"
    if path.is_file():
        return ScoreTable.read(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"device": device, **options}
    found = score(data.pool, request.scorers, out=path, show_progress=progress, **options)
    write_json(path.with_suffix(".json"), {"request": plain(request_told)})
    return found


def with_sizes(tables: list[ScoreTable], data: CorpusData) -> ScoreTable:
    """The columns of all tables for the documents of the pool, in their order, and ``tokens`` and ``bytes``."""
    ids = data.pool.ids
    found = ScoreTable(pa.table({"id": pa.array(ids)}), {}, {"fingerprint": data.pool.fingerprint})
    if tables:
        found = tables[0]
        for table in tables[1:]:
            found = found.join(table)
        found = found.take(ids)
    columns = {name: each for name, each in found.columns.items() if name not in SIZES}
    rows = found.table.select(["id", *columns])
    for name, values_P in zip(SIZES, (data.corpus.lengths_M, data.corpus.bytes_M)):
        rows = rows.append_column(name, pa.array(np.asarray(values_P)))
        columns[name] = {"meaning": "long", "role": "side", "parent": None}
    return ScoreTable(rows, columns, found.info)
