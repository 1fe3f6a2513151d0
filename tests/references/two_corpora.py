"""A planted world of loss to loss: a law on one corpus, its image as the law of another, and a task of the first."""

import numpy as np
from references.law_worlds import PLANTED, world_inputs

from training.laws.catalog import form_named
from training.laws.run_table import make_run_table

MAP = {"K": 0.63, "kappa": 1.09, "E0": PLANTED["kaplan_offset"]["E"], "E1": 0.85}
"""From the loss of web to that of code."""
TASK = {"K": 1.5, "kappa": 0.8, "E0": PLANTED["kaplan_offset"]["E"], "E1": 1.2}
"""From the loss of web to the task of the same models."""


def image(x, p):
    return p["K"] * (x - p["E0"]) ** p["kappa"] + p["E1"]


def web_loss(inputs):
    """The law of web without noise."""
    return np.exp(form_named("kaplan_offset").ln_prediction(PLANTED["kaplan_offset"], inputs))


def two_corpora(noise=0.0005, runs=60, seed=0, large=0):
    """Runs of web (loss, task) and code (loss) at the same (N, D), noise in ln loss; ``large`` more at 3e10, 1e12."""
    inputs = world_inputs("kaplan_offset", runs, seed)
    inputs = {k: np.concatenate([v, np.full(large, {"N": 3e10, "D": 1e12}[k])]) for k, v in inputs.items()}
    runs += large
    first = web_loss(inputs)
    rng = np.random.default_rng([seed, 5])
    web, code, task = (
        y * np.exp(noise * rng.normal(size=runs)) for y in (first, image(first, MAP), image(first, TASK))
    )
    return make_run_table(
        {
            "run": [f"web{i}" for i in range(runs)] + [f"code{i}" for i in range(runs)],
            "corpus": ["web"] * runs + ["code"] * runs,
            "N": np.tile(inputs["N"], 2),
            "D": np.tile(inputs["D"], 2),
        },
        {"loss": np.concatenate([web, code]), "task": np.concatenate([task, np.full(runs, np.nan)])},
    )
