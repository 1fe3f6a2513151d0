"""What every study is: cells to train, each with a content-hashed run, prepared once and trained anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from scoring.checkpoints import RUN, RunDirectory
from scoring.engines.engine import Engine
from scoring.hashing import digest

RUNS = "runs"


@dataclass(frozen=True)
class Cell:
    """One point of the grid.

    Attributes:
        columns: What the run table says of it, columns of ``table.CELL`` but for ``study``, and ``keep`` and ``rows``.
        request: All that the result depends on, as JSON: equal requests are one run.
        task: What a worker needs to train it, as plain values.
    """

    columns: Mapping[str, Any]
    request: Mapping[str, Any]
    task: Mapping[str, Any]

    @property
    def run(self) -> str:
        """The run directory in the study's folder: ``runs/`` and a hash of the request."""
        content = json.dumps(self.request, sort_keys=True, default=str).encode()
        return f"{RUNS}/{digest(content, size=8).hex()}"

    @property
    def name(self) -> str:
        """For people, as in progress and errors."""
        columns = self.columns
        words = [columns["way"], columns.get("budget"), columns.get("regime"), columns.get("model")]
        if columns.get("variant"):
            words.append(columns["variant"])
        return ", ".join(str(word) for word in (*words, f"seed {columns['seed']}") if word)


class Study(Protocol):
    """A kind of study; see ``training.studies.running.run_study``."""

    kind: ClassVar[str]

    def describe(self) -> dict[str, Any]:
        """What was asked for, as JSON: stored in study.json."""
        ...

    def prepare(self, out: Path, engine: Engine, progress: bool) -> None:
        """Make what the cells need (scores, embeddings) under ``out``; what is there already is not made again."""
        ...

    def cells(self, out: Path) -> list[Cell]:
        """The whole grid, after ``prepare``; every mistake that can be found before training shows here."""
        ...

    def train(self, out: Path, run: str, task: Mapping[str, Any], progress: bool) -> None:
        """Train one cell, in any process: leave a finished run directory and its evaluations at ``out / run``."""
        ...

    def rows(self, run: RunDirectory) -> Iterable[Mapping[str, Any]]:
        """Rows of the run table of one finished run, columns of ``table.RUN`` and ``table.VALUE``."""
        ...


def finished(place: Path) -> bool:
    """Whether a run is trained and evaluated."""
    return (
        (place / EVALUATIONS).is_file()
        and (place / RUN).is_file()
        and RunDirectory.open(place).status == "finished"
    )


EVALUATIONS = "evaluations.parquet"
"""In every run directory of a study: split, group, metric, value at the end; the last file that a run writes."""
