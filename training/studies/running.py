"""run_study(): the whole grid on any engine, resumable, with the run table at the end."""

from __future__ import annotations

import json
import os
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from scoring.checkpoints import RunDirectory
from scoring.engines.engine import Engine
from scoring.engines.local import Local
from scoring.engines.slices import Slice
from scoring.errors import InputError
from scoring.files import write_json
from scoring.hashing import digest
from scoring.inference import pick_device
from scoring.manifest import plain
from scoring.progress import progress as show
from scoring.versions import library_version
from training.cells import CellsFailed, map_all, reason_for
from training.isolation import using_threads
from training.studies.study import Cell, Study, finished
from training.studies.table import CELL, TABLE, write_table

OWNER = "study"
STUDY = "study.json"
READY = "prepared-"
"""And a hash of what was asked for: scores of an earlier request in the same folder are not those of this one."""
PATIENCE = 3600.0
"""Seconds that a slice waits for slice 0 to prepare without a sign of life."""


@dataclass(frozen=True)
class Worker:
    """What a process needs to train cells of a study."""

    study: Study
    out: str
    threads: int
    progress: bool
    folder: str
    """Where relative paths start."""


def run_study(
    study: Study,
    out: str | Path,
    *,
    engine: Engine | None = None,
    threads: int = 1,
    device: str = "auto",
    progress: bool = False,
) -> pa.Table:
    """Train every cell of a study and give its run table, also written to ``out/study.parquet``.

    Runs lie in ``out/runs/<hash>``, the hash being of all that the result depends on: a finished one is not repeated,
    an interrupted one continues, two cells that come to the same training share one, and a study grows by calling it
    again with more seeds, budgets or ways. A cell that fails does not stop the others; the table of all that are
    finished is written either way.

    Args:
        out: Folder of the study; for Ray and slices one that all machines see.
        engine: Where cells run; by default in this process, one after another. Of a ``Slice`` this process trains its
            share; slice 0 prepares scores, which the others wait for. The table is of all cells that are finished, so
            the last slice to end, or one more call, writes the whole.
        threads: Of each cell on the CPU; how a sum is split over threads decides its last bit.
        device: For GPUs of workers; where a cell trains is the study's own setting.

    Raises:
        InputError: What is wrong with the study, before the first run. CellsFailed: Some cells failed.
    """
    runner: Engine = Local() if engine is None else engine
    folder = Path(out).absolute()
    if folder.is_file():
        raise InputError(f"{OWNER}: out {str(out)!r} must be a folder, and is a file.")
    slice_ = runner if isinstance(runner, Slice) else None
    inner = runner.inner if isinstance(runner, Slice) else runner
    folder.mkdir(parents=True, exist_ok=True)
    if slice_ is None or slice_.i == 0:
        study.prepare(folder, inner, progress)
        _ready(study, folder).touch()
    else:
        _wait_for(_ready(study, folder))
    cells = study.cells(folder)
    _write_description(study, folder, cells)
    runs = {cell.run: cell for cell in cells}
    mine = list(runs)
    if slice_ is not None:
        mine = mine[slice_.i :: slice_.n]
    todo = [run for run in mine if not finished(folder / run)]
    here = isinstance(inner, Local)
    gpus = 0.0 if here else float(pick_device(device).type == "cuda")
    worker = Worker(study, str(folder), threads, progress and here, str(Path.cwd()))
    tasks = [{"run": run, "task": dict(runs[run].task)} for run in todo]
    failed: dict[str, str] = {}
    traces: list[str] = []
    with show(f"{study.kind} study", len(mine), "runs", progress, len(mine) - len(todo)) as advance:
        for index, result in map_all(inner, partial(train_run, worker), tasks, gpus, OWNER):
            if result:
                failed[runs[todo[index]].name] = result["why"]
                traces.append(result["trace"])
            advance(1)
    table = collect(study, folder, cells)
    if failed:
        error = CellsFailed(failed, len(mine), OWNER)
        error.add_note("\n".join(traces))
        raise error
    return table


def train_run(worker: Worker, task: Mapping[str, Any]) -> dict[str, str]:
    """Train one run; gives nothing, or why it failed."""
    try:
        if Path(worker.folder).is_dir() and Path.cwd() != Path(worker.folder):
            os.chdir(worker.folder)
        with using_threads(worker.threads):
            worker.study.train(Path(worker.out), task["run"], task["task"], worker.progress)
    except Exception as error:  # whatever it is, the other cells are still wanted
        return {"why": reason_for(error), "trace": traceback.format_exc()}
    return {}


def collect(study: Study, folder: Path, cells: Sequence[Cell]) -> pa.Table:
    """The run table of all cells whose runs are finished, in the order of the grid."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    rows: list[Mapping[str, Any]] = []
    for cell in cells:
        if cell.run not in found:
            done = finished(folder / cell.run)
            found[cell.run] = list(study.rows(RunDirectory.open(folder / cell.run))) if done else []
        columns = {name: cell.columns.get(name) for name in (*CELL.names, "keep", "rows")}
        rows += [{**row, **columns, "study": study.kind, "run": cell.run} for row in found[cell.run]]
    return write_table(folder / TABLE, rows)


def _write_description(study: Study, folder: Path, cells: Sequence[Cell]) -> None:
    """study.json: what was asked for, and how many cells and runs that is."""
    about = {
        "kind": study.kind, "study": study.describe(), "cells": len(cells), "runs": len({cell.run for cell in cells}),
        "version": library_version(),
    }  # fmt: skip
    write_json(folder / STUDY, plain(about))


def _ready(study: Study, folder: Path) -> Path:
    """The empty file that says that slice 0 has prepared this very study."""
    asked = json.dumps(plain(study.describe()), sort_keys=True, default=str).encode()
    return folder / f"{READY}{digest(asked, size=8).hex()}"


def _wait_for(mark: Path) -> None:
    started = time.monotonic()
    while not mark.exists():
        if time.monotonic() - started > PATIENCE:
            raise TimeoutError(
                f"{OWNER}: slice 0 has not prepared {mark.parent}; start it with the same options."
            )
        time.sleep(1.0)
