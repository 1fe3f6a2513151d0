"""Evaluation curves made ready for a chain, as the OLMo ladder does it (Bhagia et al. 2024): smooth, without start."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.form import Array
from training.laws.tasks.runs import ANCHOR, TaskRuns

MMLU_WEIGHTS = {"stem": 0.215, "humanities": 0.335, "social_sciences": 0.219, "other": 0.231}
"""The shares of the four categories in MMLU's questions, as the ladder averages them."""

LAST, WINDOW, SKIPPED = 5, 5, 0.1


def task_average(parts: Mapping[str, npt.ArrayLike], weights: Mapping[str, float]) -> Array:
    """The weighted mean of the parts of a task, over the names in ``weights``: (T,) from columns (T,)."""
    missing = [name for name in weights if name not in parts]
    if missing:
        raise InputError(f"task_average: the part {missing[0]!r} is missing.")
    columns = [np.asarray(parts[name], dtype=np.float64) for name in weights]
    return np.average(columns, axis=0, weights=list(weights.values()))


def final_value(values: npt.ArrayLike, last: int = LAST) -> float:
    """The mean of the last evaluations of a run, of all where there are fewer: one of them alone is noisy."""
    return float(np.asarray(values, dtype=np.float64)[-last:].mean())


def smoothed(values: npt.ArrayLike, skipped: float = SKIPPED, window: int = WINDOW) -> Array:
    """The curve of a run without its first evaluations, ceil(skipped * T) of T, then averaged over a moving window.

    Every value becomes the mean of the ``window`` values that end with it, the first ones of as many as there are.
    """
    if not 0 <= skipped < 1 or window < 1:
        raise bad_value("skipped", "smoothed", (skipped, window), "a share in [0, 1), and window at least 1")
    given = np.asarray(values, dtype=np.float64)
    given = given[int(np.ceil(skipped * len(given))) :]
    sums = np.cumsum(np.concatenate([[0.0], given]))
    ends = np.arange(1, len(given) + 1)
    starts = np.maximum(0, ends - window)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts))


def ladder_runs(
    run: npt.ArrayLike,
    inputs: Mapping[str, npt.ArrayLike],
    loss: npt.ArrayLike,
    task: npt.ArrayLike,
    *,
    last: int = LAST,
    skipped: float = SKIPPED,
    window: int = WINDOW,
    anchor: tuple[float, float] | None = (0.0, 1.0),
) -> TaskRuns:
    """Runs and points of a chain from evaluations, one row each: ``run`` (T,), ``inputs`` with N and D, loss and task.

    Rows of a run are taken by ascending D, the tokens seen so far. The first step gets the final loss of each run
    (mean of the ``last`` rows) at its largest D, the second step all smoothed points and the ``anchor``, a model
    without loss that makes no mistake. Inputs that change along a run (C) are those of its last row.
    """
    names = np.asarray(run).astype(str)
    columns = {name: np.asarray(column, dtype=np.float64) for name, column in inputs.items()}
    if "D" not in columns:
        raise InputError(
            "ladder_runs: D, the tokens seen at every evaluation, is needed to put them in order."
        )
    losses, tasks = np.asarray(loss, dtype=np.float64), np.asarray(task, dtype=np.float64)
    for name, column in {**columns, "loss": losses, "task": tasks}.items():
        if column.shape != names.shape or not np.isfinite(column).all():
            raise bad_value(name, "ladder_runs", column.shape, f"finite, one per evaluation, {names.shape}")
    labels = sorted(set(names.tolist()))
    rows = [np.flatnonzero(names == label) for label in labels]
    rows = [own[np.argsort(columns["D"][own], kind="stable")] for own in rows]
    curves = [(smoothed(losses[own], skipped, window), smoothed(tasks[own], skipped, window)) for own in rows]
    extra = [] if anchor is None else [anchor]
    counts = [len(curve) for curve, _ in curves]
    return TaskRuns(
        {name: column[[own[-1] for own in rows]] for name, column in columns.items()},
        np.array([final_value(losses[own], last) for own in rows]),
        np.array([final_value(tasks[own], last) for own in rows]),
        np.array(labels),
        np.concatenate([*(curve for curve, _ in curves), [x for x, _ in extra]]),
        np.concatenate([*(curve for _, curve in curves), [y for _, y in extra]]),
        np.concatenate([np.repeat(labels, counts), [ANCHOR for _ in extra]]),
    )
