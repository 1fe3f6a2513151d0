"""The data of cells, as every process that trains some of them gets it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import digest
from training.job import Job, make_job

if TYPE_CHECKING:
    from selection.subset import Subset


@dataclass(frozen=True)
class DataRequest:
    """Examples that every process loads by itself: ``source`` and ``options`` are those of ``Examples.load``."""

    source: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def load(self) -> Examples:
        """The examples."""
        return Examples.load(self.source, **self.options)


@dataclass(frozen=True)
class JobRequest:
    """A job for another process: a ``DataRequest`` is loaded there again, ``Examples`` travel with the function.

    Attributes:
        data, evaluate, subset, allow_changed_data: as for ``train_cells``.
        identity: ``identity_of`` the job where it was asked for; another process must come to the same.
        folder: where relative paths start.
    """

    data: Examples | DataRequest
    evaluate: Examples | str | float | bool | None
    subset: Subset | str | Path | None
    allow_changed_data: bool
    identity: str
    folder: str

    def job(self) -> Job:
        """The job, made once in a process of workers, which belongs to the engine and may change its folder."""
        if self.identity not in _jobs:
            if Path(self.folder).is_dir():
                os.chdir(self.folder)
            examples = self.data.load() if isinstance(self.data, DataRequest) else self.data
            job = make_job(examples, self.evaluate, self.subset, self.allow_changed_data)
            if identity_of(job) != self.identity:
                raise InputError(
                    f"train: data {examples.name} must be the same for all workers, and one of them read other rows or "
                    "labels than the process that started it; do not change files while models train on them."
                )
            _jobs.clear()
            _jobs[self.identity] = job
        return _jobs[self.identity]


_jobs: dict[str, Job] = {}
"""The job that this worker has."""


def identity_of(job: Job) -> str:
    """Digest of everything that a job trains and evaluates on."""
    content = [
        job.examples.fingerprint,
        job.rows.tolist(),
        None if job.evaluation is None else job.evaluation.fingerprint,
        None if job.subset is None else job.subset["hash"],
    ]
    return digest(json.dumps(content).encode(), size=16).hex()
