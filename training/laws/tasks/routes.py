"""Ways to predict a task result of a larger run, side by side: in two steps, from compute, in one step, not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.cautions import Caution
from training.laws.fit import fit
from training.laws.form import Array, Form
from training.laws.forms.compute_power import compute_power
from training.laws.forms.downstream import single_step
from training.laws.inputs import complete
from training.laws.tasks.chain import bootstrap_chain, fit_chain
from training.laws.tasks.runs import TaskRuns
from training.laws.uncertainty.bootstrap import bootstrap

ROUTES = ("two_steps", "compute", "one_step", "largest_run")


@dataclass(frozen=True)
class TaskRoute:
    """One way and what it predicts for T runs, with intervals for new runs (NaN for a way that has none)."""

    name: str
    predicted_T: Array
    low_T: Array
    high_T: Array
    cautions: tuple[Caution, ...]

    def errors(self, actual: npt.ArrayLike) -> Array:
        """Relative errors, (predicted - actual) / actual, (T,)."""
        truth = np.asarray(actual, dtype=np.float64)
        if truth.shape != self.predicted_T.shape:
            raise bad_value(
                "actual", "errors", truth.shape, f"one per predicted run, {self.predicted_T.shape}"
            )
        return (self.predicted_T - truth) / truth


def predict_task(
    runs: TaskRuns,
    inputs: Mapping[str, npt.ArrayLike],
    routes: Sequence[str] = ROUTES,
    *,
    step1: Form | None = None,
    step2: Form | None = None,
    direct: Form | None = None,
    resamples: int = 500,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, TaskRoute]:
    """Predict T runs with ``inputs`` in each of the ways that Bhagia et al. 2024 compare, and by the obvious baseline:

    - ``two_steps``: loss from N and D (``step1``), task from loss (``step2``);
    - ``compute``: loss from compute C alone, E + A / C^alpha, then the same ``step2``;
    - ``one_step``: the task straight from N and D (``direct``, by default ``single_step``), of final results only;
    - ``largest_run``: the result of the run with the most compute, as it is.

    Intervals are 95 % of a bootstrap over runs. They hold what the runs tell about the law's parameters and how far
    runs stray from it, not whether the law still holds out there: look at how the ways differ.
    """
    wanted = ("N", "D", "C")
    columns = dict(zip(wanted, np.broadcast_arrays(*complete(inputs, wanted).values())))
    if columns["C"].ndim != 1:
        raise bad_value("inputs", "predict_task", columns["C"].shape, "one number per run to predict")
    found = {}
    for name in routes:
        if name in ("two_steps", "compute"):
            chain = fit_chain(runs, step1 if name == "two_steps" else compute_power(), step2, seed=seed)
            predicted = bootstrap_chain(chain, resamples, seed=seed).predict(columns, level)
            cautions = chain.cautions
        elif name == "one_step":
            known = np.isfinite(runs.task_R)
            rows = {key: column[known] for key, column in runs.inputs.items()}
            law = fit(direct or single_step(), rows, runs.task_R[known], seed=seed)
            grouped = bootstrap(law, resamples, groups=runs.run_R[known], seed=seed)
            predicted, cautions = grouped.predict(columns, level), law.cautions
        elif name == "largest_run":
            known = np.flatnonzero(np.isfinite(runs.task_R))
            if len(known) == 0:
                raise InputError("predict_task: no run has a final task result.")
            largest = known[np.argmax(complete(runs.inputs, ("C",))["C"][known])]
            same, unknown = (
                np.full(columns["C"].shape, runs.task_R[largest]),
                np.full(columns["C"].shape, np.nan),
            )
            predicted, cautions = (same, unknown, unknown), ()
        else:
            raise unknown_name("route", "predict_task", name, ROUTES)
        found[name] = TaskRoute(name, *predicted, cautions)
    return found
