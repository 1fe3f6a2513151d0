"""What is wrong with a grid of cells shows before the first is trained; and which of its cells are finished."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from scoring.checkpoints import RUN, RunDirectory
from scoring.errors import InputError
from scoring.inference import evaluation_mode, pick_device
from scoring.models import Model
from training.architectures import Architecture
from training.identity import describe_request, open_run
from training.isolation import isolated, using_threads
from training.job import Job
from training.optim import make_optimizer, starting_lr
from training.run import settle
from training.settings import Settings

OWNER = "train"


@dataclass(frozen=True)
class Grid:
    """What all cells of a call share."""

    architectures: Mapping[str, Architecture]
    settings: Settings
    out: str
    device: str
    threads: int
    resume_seconds: float
    trust_remote_code: bool
    progress: bool

    def folder(self, name: str, seed: int) -> Path:
        """The run directory of a cell."""
        return Path(self.out) / name / f"seed-{seed}"


def check_folder(out: Path) -> None:
    """A folder with runs of its own is that of one model."""
    if (out / RUN).is_file() or any(out.glob(f"seed-*/{RUN}")):
        raise InputError(
            f"{OWNER}: out {str(out)!r} must be a folder for several models, and holds runs itself; choose another out."
        )


def check_models(grid: Grid, job: Job, seeds: Sequence[int]) -> set[tuple[str, int]]:
    """Try every model on the data, and its folders for runs of other calls; gives the cells that are finished."""
    finished: set[tuple[str, int]] = set()
    known: dict[tuple[str, str], str] = {}
    for name, each in grid.architectures.items():
        there = {seed: _status(grid.folder(name, seed)) for seed in seeds}
        # Where states are left, train_one has still to remove them.
        done = [s for s in seeds if there[s] == "finished" and not any(grid.folder(name, s).glob("resume-*"))]
        # The one seed whose initial weights are compared too: with them those of all would change.
        first = next((seed for seed in seeds if there[seed]), seeds[0])
        try:
            with using_threads(grid.threads):
                _, net, _ = settle(
                    job, each.model, grid.settings, first, model_options=each.options, device=grid.device,
                    trust_remote_code=grid.trust_remote_code,
                )  # fmt: skip
                lr = grid.settings.lr or starting_lr(grid.settings.optimizer, net.default_learning_rate)
                make_optimizer(
                    grid.settings.optimizer, net.module.parameters(), lr, grid.settings.weight_decay,
                    grid.settings.optimizer_options,
                )  # fmt: skip
                _try(net, job)
        except InputError as error:
            why = str(error).removeprefix(f"{OWNER}: ")
            raise InputError(f"{OWNER}: model {name!r} cannot be trained: {why}") from error
        for seed in seeds:
            folder = grid.folder(name, seed)
            request = describe_request(job, net, grid.settings, seed, None, None) if there[seed] else {}
            if there[seed] and seed != first:
                before = RunDirectory.open(folder).config.get("request") or {}
                request["initial_weights"] = before.get("initial_weights", "")
            open_run(folder, request, grid.settings.to_json())
        finished |= {(name, seed) for seed in done}
        if isinstance(each.model, str):
            key = (str(net.spec["name"]), str(net.spec["options"]))
            if key in known:
                raise InputError(
                    f"{OWNER}: models must differ, and {known[key]!r} and {name!r} are one model with the same "
                    "options, whose runs of one seed would be the same; give more seeds instead."
                )
            known[key] = name
    return finished


def _status(folder: Path) -> str | None:
    return RunDirectory.open(folder).status if (folder / RUN).is_file() else None


def _try(net: Model, job: Job) -> None:
    """One forward pass over two examples: shapes that do not fit show here."""
    rows = job.rows[:2]
    batch = net.inputs.prepare(job.examples, rows).batch(np.arange(len(rows)))
    with isolated(pick_device("cpu")), evaluation_mode(net.module):
        try:
            logits_BC = net.logits(batch)
        except Exception as error:  # of the user's own module: anything
            raise InputError(f"it fails on the examples ({type(error).__name__}: {error}).") from error
    shape = tuple(logits_BC.shape) if isinstance(logits_BC, Tensor) else type(logits_BC).__name__
    if shape != (len(rows), net.num_classes):
        wanted = (len(rows), net.num_classes)
        raise InputError(f"its logits must be of shape {wanted} for {len(rows)} examples, got {shape}.")


def check_sendable(architectures: Iterable[Architecture]) -> None:
    """Modules and functions go to workers by pickle, which knows functions by their place only."""
    for each in architectures:
        if isinstance(each.model, str):
            continue
        try:
            pickle.dumps(each.model)
        except Exception as error:
            raise InputError(
                f"{OWNER}: model {each.name!r} must be one that other processes can load, and is not ({error}); give "
                "it as 'module:function', or train in this process."
            ) from error
