"""From size to task in two steps: a law of the loss over N and D, and a law of the task result over that loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import InputError, bad_value
from training.laws.cautions import SPARE_RUNS, Caution
from training.laws.fit import Fit, fit, predictions
from training.laws.fitting.objective import Name
from training.laws.form import Array, Form
from training.laws.forms.chinchilla import chinchilla
from training.laws.forms.downstream import sigmoid
from training.laws.inputs import complete
from training.laws.tasks.runs import ANCHOR, TaskRuns
from training.laws.uncertainty.bootstrap import Bootstrap, refit
from training.laws.uncertainty.delta_method import UNKNOWN, standard_error
from training.laws.uncertainty.interval import level_checked


@dataclass(frozen=True)
class Chain:
    """Two fitted laws, the second with the outcome of the first as its only input."""

    runs: TaskRuns = field(repr=False)
    step1: Fit
    step2: Fit

    def predict(self, inputs: Mapping[str, npt.ArrayLike]) -> Array:
        """The task result, for inputs of the first law that broadcast; NaN where the second has no prediction."""
        return self.step2.predict({self.step2.form.inputs[0]: self.step1.predict(inputs)})

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What speaks against either step; points of one run are one run."""
        found = [
            Caution(caution.code, f"{step}: {caution.text}", caution.parameter)
            for step, fitted in (("loss", self.step1), ("task", self.step2))
            for caution in fitted.cautions
        ]
        runs, size = len(set(self.runs.run_P.tolist()) - {ANCHOR}), len(self.step2.form.free)
        if runs <= size + SPARE_RUNS and "few_runs" not in {c.code for c in self.step2.cautions}:
            found.append(Caution("few_runs", f"task: points of {runs} runs for {size} free parameters."))
        return tuple(found)


def fit_chain(
    runs: TaskRuns,
    step1: Form | None = None,
    step2: Form | None = None,
    *,
    objective1: Name = "huber",
    objective2: Name = "square",
    seed: int = 0,
) -> Chain:
    """Fit both steps: by default Chinchilla, Huber on logarithms, and a sigmoid, least squares (Bhagia et al. 2024)."""
    first, second = step1 or chinchilla(), step2 or sigmoid()
    if len(second.inputs) != 1:
        raise bad_value("step2", "fit_chain", second.name, "a form with one input, the loss")
    law = fit(first, runs.inputs, runs.loss_R, objective=objective1, seed=seed)
    task = fit(second, {second.inputs[0]: runs.loss_P}, runs.task_P, objective=objective2, seed=seed)
    return Chain(runs, law, task)


@dataclass(frozen=True)
class ChainBootstrap:
    """B refits of a chain: both steps of one resample saw the same runs, so their errors go together as they do."""

    chain: Chain
    step1: Bootstrap
    step2: Bootstrap
    seed: int = 0

    def predict(
        self, inputs: Mapping[str, npt.ArrayLike], level: float = 0.95, noise: bool = True
    ) -> tuple[Array, Array, Array]:
        """Prediction and the ends of its interval, each of the shape of the inputs.

        With ``noise`` for a new run: its loss strays from the first law, and its task result from the second, as those
        fitted did. Resamples without a prediction count as beyond both ends, which are then infinite where they are
        more than (1 - level) / 2 of all.
        """
        level_checked(level)
        first, second = self.chain.step1, self.chain.step2
        names = first.form.inputs
        columns = np.broadcast_arrays(*complete(inputs, names).values())
        shape = columns[0].shape
        flat = {name: np.ravel(column)[None] for name, column in zip(names, columns)}
        rng = np.random.default_rng([self.seed, 1])
        loss_BT = _drawn(first, self.step1.theta_BP, flat, rng if noise else None)
        at = {second.form.inputs[0]: loss_BT}
        task_BT = _drawn(second, self.step2.theta_BP, at, rng if noise else None)
        bad = ~np.isfinite(task_BT)
        tails = (1 - level) / 2
        low = np.quantile(np.where(bad, -np.inf, task_BT), tails, axis=0, method="inverted_cdf")
        high = np.quantile(np.where(bad, np.inf, task_BT), 1 - tails, axis=0, method="inverted_cdf")
        points = {name: column[0] for name, column in flat.items()}
        known = _known(first, points) & _known(second, {second.form.inputs[0]: first.predict(points)})
        low, high = np.where(known, low, -np.inf), np.where(known, high, np.inf)
        return self.chain.predict(inputs), low.reshape(shape), high.reshape(shape)


def bootstrap_chain(
    chain: Chain, resamples: int = 1_000, *, starts: int = 2, seed: int = 0
) -> ChainBootstrap:
    """Resample runs, each with its final loss and all of its points, and fit both steps again.

    Every refit starts from the different minima of its step, at most ``starts``. Anchors stay in every resample. A
    resample without any run of one of the steps is drawn again.
    """
    if resamples < 1:
        raise bad_value("resamples", "bootstrap_chain", resamples, "at least 1")
    names = sorted((set(chain.runs.run_R.tolist()) | set(chain.runs.run_P.tolist())) - {ANCHOR})
    place = {name: number for number, name in enumerate(names)}
    if len(names) < 2:
        raise InputError("bootstrap_chain: at least 2 different runs are needed.")
    of_R = np.array([place[name] for name in chain.runs.run_R.tolist()])
    own = chain.runs.run_P != ANCHOR
    of_P = np.array([place.get(name, 0) for name in chain.runs.run_P.tolist()])
    rng = np.random.default_rng(seed)
    drawn = np.zeros((0, len(names)), dtype=np.int64)
    while len(drawn) < resamples:
        more = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
        whole = more[:, of_R].any(1) & more[:, of_P[own]].any(1)
        drawn = np.concatenate([drawn, more[whole]])
    copies = drawn[:resamples].astype(np.float64)
    copies_P = np.where(own, copies[:, of_P], 1.0)
    first = refit(chain.step1, copies[:, of_R][:, chain.step1.rows_N], starts=starts, seed=seed)
    second = refit(chain.step2, copies_P[:, chain.step2.rows_N], starts=starts, seed=seed)
    return ChainBootstrap(chain, first, second, seed)


def _known(fitted: Fit, inputs: Mapping[str, Array]) -> npt.NDArray[np.bool_]:
    """Whether the runs of a step say anything of its outcome at inputs (T,), see ``Bootstrap``."""
    return np.asarray(standard_error(fitted, lambda theta: predictions(fitted, theta, inputs)) <= UNKNOWN)


def _drawn(
    fitted: Fit, theta_BP: Array, inputs: Mapping[str, Array], rng: np.random.Generator | None
) -> Array:
    """Predictions (B, T) of B parameter points, each at inputs (B, T) or (1, T) of its own, with noise if asked."""
    with torch.no_grad():
        p = fitted.form.reduced(torch.from_numpy(np.ascontiguousarray(theta_BP)), fitted.scales.ln)
        ln = fitted.form.formula(p, fitted.scales.inputs(fitted.form, inputs)) + fitted.scales.outcome
    of_logs = fitted.minimised.of_logs
    found: Array = (ln if of_logs else ln.exp()).numpy()
    if rng is not None:
        runs, size = len(fitted.y_N), len(fitted.form.free)
        widened = fitted.residuals_N * np.sqrt(runs / max(1, runs - size))
        # one residual per resample for all points, as in Bootstrap.predict; residuals are prediction - actual
        found = found - rng.choice(widened, (len(theta_BP), 1), p=fitted.weights_N / fitted.weights_N.sum())
    return np.asarray(np.exp(found) if of_logs else found)
