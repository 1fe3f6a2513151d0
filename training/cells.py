"""train_cells(): runs of several models with several seeds, cell by cell, one after another or on an engine."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.checkpoints import RunDirectory
from scoring.engines.engine import Engine
from scoring.engines.local import Local
from scoring.engines.slices import Slice
from scoring.engines.task_errors import WorkerDied
from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.inference import pick_device
from scoring.progress import progress as show
from training.architectures import read_architectures
from training.cell_checks import Grid, check_folder, check_models, check_sendable
from training.cell_data import DataRequest, JobRequest, identity_of
from training.isolation import using_threads
from training.job import Job, make_job
from training.run import RESUME_SECONDS, train_one
from training.settings import Settings, read_seeds

if TYPE_CHECKING:
    from selection.subset import Subset

OWNER = "train"
SHOWN = 3
"""Failed cells of which an error tells why."""
REFUSED = {
    "model_options": "apply to none of several models; write them in brackets, as in 'mlp(hidden=[64,64])'",
    "start": "is a run of one model; train the models from it one by one, with train()",
    "folds": "are of one model; train the models one by one, with train_folds()",
}
"""Options of other trainings, and what to do instead."""


class CellsFailed(InputError):
    """Some cells failed and all others are finished; ``failed`` says why, by ``architecture/seed-k``."""

    def __init__(self, failed: Mapping[str, str], total: int, owner: str = OWNER) -> None:
        self.failed = dict(failed)
        told = [
            f"{cell} ({_clause(why, owner)})" if at < SHOWN else cell
            for at, (cell, why) in enumerate(failed.items())
        ]
        some = ", ".join(told[: 2 * SHOWN]) + (
            f" and {len(told) - 2 * SHOWN} more" if len(told) > 2 * SHOWN else ""
        )
        rest = "the others are finished" if len(failed) < total else "none is finished"
        super().__init__(
            f"{owner}: {len(failed)} of {total} cells failed and {rest}: {some}. The same call tries these again."
        )


def train_cells(
    examples: Examples | DataRequest,
    models: str | Iterable[str] | Mapping[str, Any],
    *,
    out: str | Path,
    seeds: Iterable[int] = (0,),
    engine: Engine | None = None,
    evaluate: Examples | str | float | bool | None = None,
    subset: Subset | str | Path | None = None,
    device: str = "auto",
    threads: int = 1,
    resume_seconds: float = RESUME_SECONDS,
    allow_changed_data: bool = False,
    trust_remote_code: bool = False,
    progress: bool = False,
    **settings: Any,
) -> dict[str, list[RunDirectory]]:
    """Train every model with every seed and give the run directories ``out/<architecture>/seed-<k>``, by architecture.

    All models are tried on the data before the first cell is trained. Cells go seed by seed through the models, so that
    an interrupted grid has about equally many of each. A cell that is finished is not repeated, and one that was
    interrupted continues. One that fails (its loss diverged, it ran out of memory) does not stop the others.

    The weights are the same to the bit on every engine and with any number of workers, on machines of one kind (CPU,
    versions): every cell is trained with ``threads`` threads wherever it runs, since how a sum is split over threads
    decides its last bit. On a GPU they are as reproducible as the GPU is.

    Args:
        examples: What to train on; or a ``DataRequest``, which every worker loads for itself. ``Examples`` go to other
            processes once per worker, as the engine sends functions (a pipe, the object store of Ray), never as a file.
        models: ``"linear,deep=mlp(hidden=[64,64])"`` or ``{"deep": module}``; see
            ``training.architectures.read_architectures``.
        out: Folder of the grid, for Ray and slices one that all machines see.
        engine: Where cells run; by default in this process, one after another. Of a ``Slice``, this process trains
            its share of the cells; slices need not run at the same time, and none waits for another.
        threads: Of each cell on the CPU. Small models use one whatever is given; large ones are as fast with more cells
            at once as with more threads, and with a single worker on many cores more threads help.
        device: As for ``train``; other processes get a GPU each.
        evaluate, subset, resume_seconds, allow_changed_data, settings: As for ``train``. The default learning rate is
            that of each model. Workers of Ray that are interrupted continue from the last state that was written.
        progress: Show the cells that are done, and where cells run in this process, the one that runs.

    Raises:
        InputError: What ``train`` refuses; models of one name, or that are the same.
        CellsFailed: Some cells failed; all others are finished.
    """
    for name, why in REFUSED.items():
        if name in settings:
            raise InputError(f"{OWNER}: {name} {why}.")
    architectures = read_architectures(models)
    checked = Settings.read("train_cells", settings)
    if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
        raise bad_value("threads", OWNER, threads, "a whole number of at least 1")
    numbers = read_seeds(seeds, OWNER)
    cells = [(each.name, seed) for seed in numbers for each in architectures]
    runner: Engine = Local() if engine is None else engine
    if isinstance(runner, Slice):
        first, last = (k * len(cells) // runner.n for k in (runner.i, runner.i + 1))
        cells, runner = cells[first:last], runner.inner
    here = isinstance(runner, Local)
    cuda = pick_device(device).type == "cuda"
    if not here and ":" in device:
        raise InputError(
            f"{OWNER}: device must not name one GPU where every worker has its own, got {device!r}; give 'cuda', and "
            "choose GPUs with CUDA_VISIBLE_DEVICES."
        )
    loaded = examples.load() if isinstance(examples, DataRequest) else examples
    job = make_job(loaded, evaluate, subset, allow_changed_data)
    folder = Path(out)
    check_folder(folder)
    grid = Grid(
        {each.name: each for each in architectures}, checked, str(folder if here else folder.absolute()), device,
        threads, resume_seconds, trust_remote_code, progress and here,
    )  # fmt: skip
    finished = check_models(grid, job, numbers)
    todo = [{"architecture": name, "seed": seed} for name, seed in cells if (name, seed) not in finished]
    data: Job | JobRequest = job
    if not here:
        check_sendable(architectures)
        data = JobRequest(examples, evaluate, subset, allow_changed_data, identity_of(job), str(Path.cwd()))
    failed: dict[str, str] = {}
    traces: list[str] = []
    function = partial(train_cell, grid, data)
    gpus = 0.0 if here else float(cuda)
    with show("training", len(cells), "cells", progress, len(cells) - len(todo)) as advance:
        for index, result in map_all(runner, function, todo, gpus):
            if result:
                failed["{architecture}/seed-{seed}".format(**todo[index])] = result["why"]
                traces.append(result["trace"])
            advance(1)
    if failed:
        error = CellsFailed(failed, len(cells))
        error.add_note("\n".join(traces))
        raise error
    return {
        each.name: [RunDirectory.open(grid.folder(*cell)) for cell in sorted(cells) if cell[0] == each.name]
        for each in architectures
    }


def train_cell(grid: Grid, data: Job | JobRequest, task: Mapping[str, Any]) -> dict[str, str]:
    """Train one cell; gives nothing, or why it failed. What is wrong with the data fails all, and is raised."""
    job = data if isinstance(data, Job) else data.job()
    architecture = grid.architectures[task["architecture"]]
    try:
        with using_threads(grid.threads):
            train_one(
                job, architecture.model, grid.settings, grid.folder(architecture.name, task["seed"]), task["seed"],
                model_options=architecture.options, device=grid.device, resume_seconds=grid.resume_seconds,
                trust_remote_code=grid.trust_remote_code, show_progress=grid.progress,
                label=f"{architecture.name}/seed-{task['seed']}",
            )  # fmt: skip
    except Exception as error:  # whatever it is, the other cells are still wanted
        return {"why": reason_for(error), "trace": traceback.format_exc()}
    return {}


def map_all(
    engine: Engine,
    function: partial[dict[str, str]],
    tasks: Sequence[dict[str, Any]],
    gpus: float,
    what: str = OWNER,
) -> Iterator[tuple[int, dict[str, str]]]:
    """``engine.map`` that goes on without a task which takes its process down; what ran beside it continues."""
    todo = list(range(len(tasks)))
    while todo:
        asked = list(todo)
        try:
            with closing(engine.map(function, [tasks[k] for k in asked], what=what, gpus=gpus)) as results:  # type: ignore[type-var]
                for position, result in results:
                    todo.remove(asked[position])
                    yield asked[position], result
        except WorkerDied as error:
            todo.remove(asked[error.index])
            times = "once" if error.times == 1 else f"{error.times} times"
            why = f"its process died {times}; if it ran out of memory, use fewer workers or a smaller model"
            yield asked[error.index], {"why": why, "trace": ""}


def reason_for(error: Exception) -> str:
    """What made a cell fail, in one clause."""
    text = " ".join(str(error).split())
    memory = re.search(r"allocate memory|out of memory", text)
    if isinstance(error, MemoryError) or memory:
        return "not enough memory; give a smaller batch size, a smaller model, or fewer workers"
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


def _clause(sentence: str, owner: str) -> str:
    return sentence.removeprefix(f"{owner}: ").rstrip(".")
