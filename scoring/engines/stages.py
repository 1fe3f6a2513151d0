"""A stage of a job: a function over tasks whose results are files, so that work resumes and slices can share it.

A job is a folder, a stage a folder in it, and the result of a task one file ``00000.npz``: arrays, never pickled. Each
appears whole, by rename, written by the worker that computed it; one that is there is not computed again.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Generic

import numpy as np
import numpy.typing as npt

from scoring.engines.engine import Engine, Numbered, Task
from scoring.errors import InputError
from scoring.files import write_atomic
from scoring.hashing import digest
from scoring.manifest import to_json
from scoring.progress import progress

Arrays = dict[str, npt.NDArray[Any]]


def run_stage(
    engine: Engine,
    folder: Path,
    name: str,
    function: Callable[[Task], Mapping[str, Any] | None],
    tasks: Sequence[Task],
    *,
    what: str,
    show_progress: bool = True,
    unit: str = "shards",
    gpus: float = 0,
) -> list[Arrays]:
    """Results of all tasks, in their order, the same to the bit on every engine and after every interruption.

    Args:
        engine: What runs the tasks.
        folder: The folder of the job. It belongs to one job: whatever decides the results, such as inputs, seed and
            version, decides its name, since what lies there is taken as finished. All workers must see it.
        name: The name of the stage, unique in the job.
        function: Gives named arrays, numbers or strings; None for a task that only writes files.
        tasks: Plain values that JSON can hold.
        what: A few words for errors and the progress line.
        show_progress: Whether to show it.
        unit: What one task is, for the progress line.
        gpus: GPUs per task.

    Raises:
        InputError: The folder holds this stage for other tasks, or a damaged file.
    """
    stage = Stage(function, folder / name)
    stage.claim(tasks, what)
    results = {number: stage.read(number) for number in stage.finished()}
    todo = [Numbered(number, task) for number, task in enumerate(tasks) if number not in results]
    with progress(what, len(tasks), unit, show_progress, already=len(results)) as advance:
        for index, arrays in engine.map(stage, todo, what=what, gpus=gpus):
            results[todo[index].number] = arrays
            advance(1)
    return [results[number] for number in range(len(tasks))]


@dataclass(frozen=True)
class Stage(Generic[Task]):
    """The function of a stage as workers run it: on a numbered task, with the result put into the stage's folder."""

    function: Callable[[Task], Mapping[str, Any] | None]
    folder: Path

    def __call__(self, numbered: Numbered[Task]) -> Arrays:
        """Compute and write one result; read it if it is there."""
        path = self.path(numbered.number)
        if path.exists():
            return self.read(numbered.number)
        for left in self.folder.glob(f".{path.name}.*.tmp"):  # of a process that died at this task
            left.unlink(missing_ok=True)
        arrays = {key: np.asarray(value) for key, value in (self.function(numbered.task) or {}).items()}

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                _save(file, arrays)

        write_atomic(path, write)
        return arrays

    def finished(self) -> set[int]:
        """The numbers of the results that are there."""
        return {int(path.stem) for path in self.folder.glob("[0-9]*.npz")}

    def path(self, number: int) -> Path:
        """The file of a result."""
        return self.folder / f"{number:05d}.npz"

    def read(self, number: int) -> Arrays:
        """A result that is there."""
        path = self.path(number)
        try:
            with np.load(path, allow_pickle=False) as file:
                return {key: file[key] for key in file.files}
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{str(path)!r} is damaged ({error}); delete it and repeat the call.") from error

    def claim(self, tasks: Sequence[Task], what: str) -> None:
        """Write down which tasks the numbers stand for, or refuse a folder where they stand for others."""
        mark = f"tasks-{digest(to_json({'tasks': list(tasks)}), size=16).hex()}"
        self.folder.mkdir(parents=True, exist_ok=True)
        if any(path.name != mark for path in self.folder.glob("tasks-*")):
            raise InputError(
                f"{what}: {str(self.folder)!r} holds results of other tasks; "
                "remove that folder, or repeat the call that made it."
            )
        (self.folder / mark).touch()


def remove_job(folder: Path) -> None:
    """Delete the folder of a job, which goes whole or not at all: half of it could pass for the work of a next job."""
    aside = folder.with_name(f".{folder.name}.{os.getpid()}.old")
    try:
        folder.rename(aside)
    except FileNotFoundError:
        return  # another slice was faster
    shutil.rmtree(aside, ignore_errors=True)


def _save(file: BinaryIO, arrays: Arrays) -> None:
    np.savez(file, allow_pickle=False, **arrays)
