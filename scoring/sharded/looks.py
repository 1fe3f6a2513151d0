"""Looks at all shards, which some scorers take before they score: sums per shard, then of all, then fitted scorers.

A look is two stages: ``look-001`` writes the sums of every shard, ``merge-001`` adds them up in the order of the
shards, in one task that holds two sets of sums at a time. Files are arrays; whoever needs the fitted scorers makes them
from the sums.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scoring.data.shards import Shard
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.files import write_atomic
from scoring.plan import RunPlan
from scoring.scorer import Scorer
from scoring.sharded.costs import add_costs
from scoring.sharded.job import FitKey, ShardJob
from scoring.sharded.readable import readable
from scoring.sources.source import Pass
from scoring.sweep import fit_sums

Sums = dict[FitKey, dict[str, Tensor]]

_fitted: dict[tuple[Path, str], list[dict[FitKey, Scorer]]] = {}
"""One per process: the scorers of the last job, after no look, after the first, and so on."""


def fit_keys(plans: Sequence[RunPlan]) -> tuple[FitKey, ...]:
    """The scorers that look first."""
    return tuple(
        (plan.run, column.name, place)
        for plan in plans
        for place, (_, columns) in enumerate(plan.blockwise)
        for column in columns
        if column.scorer.fits
    )


def fitted_scorers(job: ShardJob, looks: int) -> dict[FitKey, Scorer]:
    """The scorers that look first, after so many looks."""
    key = (job.folder, job.request)
    if key not in _fitted:
        _fitted.clear()
        named = {column.name: column.scorer for column in job.columns}
        _fitted[key] = [{each: named[each[1]] for each in job.fit_keys}]
    known = _fitted[key]
    while len(known) <= looks:
        scorers = dict(known[-1])
        sums = _read(job, _merged(job, len(known)))
        for each in _looking(scorers):
            if each in sums:
                scorers[each] = scorers[each].fitted(sums[each])
            else:
                del scorers[each]  # its run scores no row at all
        known.append(scorers)
    return known[looks]


def fits_of(job: ShardJob, plan: RunPlan) -> dict[tuple[str, Pass], Scorer]:
    """The fitted scorers of one run, as its sweep asks for them."""
    return {
        (name, plan.blockwise[place][0]): scorer
        for (run, name, place), scorer in fitted_scorers(job, job.looks).items()
        if run == plan.run
    }


def still_looking(job: ShardJob, looks: int) -> bool:
    """Whether some scorer needs another look."""
    return bool(_looking(fitted_scorers(job, looks)))


def look(job: ShardJob, number: int, task: dict[str, Any]) -> None:
    """Look ``number``, from 1, at one shard."""
    shard = Shard(**task)
    path = _of_shard(job, number, shard.sidecar)
    if path.exists():
        return
    shard.check_unchanged()
    scorers = fitted_scorers(job, number - 1)
    total: Sums = {}
    for batch in job.batches(shard):
        try:
            examples, _, _ = job.layout.examples(shard, batch, job.data)
            found = (
                None
                if examples is None
                else readable(examples, lambda good: _sums(job, shard, good, scorers))
            )
        except InputError as error:
            raise InputError(f"{str(error).removesuffix('.')} (shard {shard.name!r}).") from error
        if found is not None and found[0] is not None:
            total = _added(scorers, total, found[0])
    shard.check_unchanged()
    _write(job, path, total)


def merge_look(job: ShardJob, number: int, task: dict[str, Any]) -> None:
    """Add up what a look has summed in every shard; the task names their files in order."""
    path, scorers = _merged(job, number), fitted_scorers(job, number - 1)
    if not path.exists():
        total: Sums = {}
        for sidecar in task["sidecars"]:
            total = _added(scorers, total, _read(job, _of_shard(job, number, sidecar)))
        _write(job, path, total)
    shutil.rmtree(_of_shard(job, number, "").parent, ignore_errors=True)


def _sums(job: ShardJob, shard: Shard, examples: Examples, scorers: Mapping[FitKey, Scorer]) -> Sums:
    """Sums over a piece."""
    source = job.origin.open(examples, job.kept(shard))
    total: Sums = {}
    for plan in job.plans(source):
        rows = np.flatnonzero(source.covers(plan.run))
        for place, (sweep, _) in enumerate(plan.blockwise):
            fitting = {
                (name, sweep): scorers[run, name, at]
                for run, name, at in _looking(scorers)
                if (run, at) == (plan.run, place)
            }
            if fitting and len(rows):
                found = fit_sums(source, sweep, rows, fitting, lambda _: None)
                total |= {(plan.run, name, place): sums for (name, _), sums in found.items()}
    add_costs(job.costs(shard), source)
    return total


def _looking(scorers: Mapping[FitKey, Scorer]) -> list[FitKey]:
    return [key for key, scorer in scorers.items() if scorer.fits]


def _added(scorers: Mapping[FitKey, Scorer], total: Sums, more: Sums) -> Sums:
    return total | {
        key: scorers[key].merge(total[key], sums) if key in total else sums for key, sums in more.items()
    }


def _of_shard(job: ShardJob, number: int, sidecar: str) -> Path:
    return job.folder / "looks" / f"{number:03}" / f"{sidecar}.npz"


def _merged(job: ShardJob, number: int) -> Path:
    return job.folder / "looks" / f"{number:03}.npz"


def _write(job: ShardJob, path: Path, total: Sums) -> None:
    arrays = {
        f"{place}:{name}": values.numpy()
        for place, key in enumerate(job.fit_keys)
        for name, values in total.get(key, {}).items()
    }

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    write_atomic(path, write)


def _read(job: ShardJob, path: Path) -> Sums:
    found: Sums = {}
    with np.load(path, allow_pickle=False) as file:
        for each in file.files:
            place, _, name = each.partition(":")
            found.setdefault(job.fit_keys[int(place)], {})[name] = torch.from_numpy(file[each])
    return found
