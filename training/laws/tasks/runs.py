"""Runs with a loss and a task result, as the two steps from size to task read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.form import Array
from training.laws.run_table import RunTable

ANCHOR = ""
"""The run of a point that is known without one, as (loss 0, accuracy 1); it is in every resample."""


@dataclass(frozen=True)
class TaskRuns:
    """R runs with their final loss and task result, and P points (loss, task) of these or other runs.

    ``inputs`` (N, D, C ...) and ``loss_R`` serve the step from size to loss, the points that from loss to task:
    final results, or whole evaluation curves. ``task_R`` is NaN where it is not known. ``run_R`` and ``run_P`` name
    what is resampled as a whole: a run with its curve, or all runs of a size if they share more than the law says.
    """

    inputs: Mapping[str, Array]
    loss_R: Array
    task_R: Array
    run_R: npt.NDArray[np.str_]
    loss_P: Array
    task_P: Array
    run_P: npt.NDArray[np.str_]

    def __post_init__(self) -> None:
        for name, column in {**self.inputs, "task": self.task_R, "run": self.run_R}.items():
            if column.shape != self.loss_R.shape or column.ndim != 1:
                raise bad_value(name, "TaskRuns", column.shape, f"one per run, {self.loss_R.shape}")
        if not self.loss_P.shape == self.task_P.shape == self.run_P.shape:
            raise InputError("TaskRuns: every point needs a loss, a task result and a run.")
        if (self.run_R == ANCHOR).any():
            raise InputError("TaskRuns: a run has no name.")


def make_task_runs(
    inputs: Mapping[str, npt.ArrayLike],
    loss: npt.ArrayLike,
    task: npt.ArrayLike,
    run: npt.ArrayLike | None = None,
    sized: npt.ArrayLike | None = None,
) -> TaskRuns:
    """One loss and one task result per run, both final: every run with a task result is a point of the second step.

    ``sized`` says which runs serve the first step, (R,) bool, by default all. (Gadre et al. 2024 fit the loss to five
    small runs and the error to these and one larger.) ``run`` names them, by default each is by itself.
    """
    losses, tasks = np.asarray(loss, dtype=np.float64), np.asarray(task, dtype=np.float64)
    if losses.shape != tasks.shape or losses.ndim != 1:
        raise bad_value("task", "make_task_runs", tasks.shape, f"one result per run, {losses.shape}")
    names = np.arange(len(losses)).astype(str) if run is None else np.asarray(run).astype(str)
    first = np.ones(len(losses), dtype=bool) if sized is None else np.asarray(sized, dtype=bool)
    known = np.isfinite(tasks)
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in inputs.items()}
    for name, column in {**columns, "run": names, "sized": first}.items():
        if column.shape != losses.shape:
            raise bad_value(name, "make_task_runs", column.shape, f"one per run, {losses.shape}")
    return TaskRuns(
        {name: column[first] for name, column in columns.items()},
        losses[first],
        tasks[first],
        names[first],
        losses[known],
        tasks[known],
        names[known],
    )


def task_runs(table: RunTable, loss: str, task: str) -> TaskRuns:
    """The runs of a table with both metrics, by name, at the last step of each."""
    last = table.last()
    losses, tasks = (last.where(metric=metric) for metric in (loss, task))
    for metric, rows in ((loss, losses), (task, tasks)):
        names = rows["run"].tolist()
        if len(set(names)) < len(names):
            raise InputError(f"task_runs: a run has several values of {metric}; choose a split and a corpus.")
    result = dict(zip(tasks["run"].tolist(), tasks["value"].tolist()))
    joined = [result.get(name, np.nan) for name in losses["run"].tolist()]
    if not np.isfinite(joined).any():
        raise InputError(f"task_runs: no run has both {loss} and {task}.")
    known = {name: column for name, column in losses.inputs.items() if np.isfinite(column).all()}
    return make_task_runs(known, losses["value"], joined, losses["run"])
