"""Claim: a bootstrap of the Chinchilla law is at least 20 times faster than the loop of SciPy fits it replaces.

The 240 runs that Besiroglu et al. 2024 fit, 1,000 resamples, one thread. The loop calls SciPy's L-BFGS-B once per
resample and start, with the same resamples and the same starts, an analytic gradient, logarithms taken once, and the
objective multiplied by 1e4 (its own size, 1e-3, is near the tolerances at which SciPy stops). ``warm``: from the
optimum of all runs, as ``bootstrap`` does. ``cold``: 100 resamples from all 32 points of the grid, as ``fit`` does.
Both must reach equal objectives: the worst of either side is in the record.

The PyPI package ``chinchilla`` (pip install chinchilla; not among the dependencies) fits all runs once, from 32 points
of the grid of Hoffmann et al., with its Huber loss of logarithms at the same delta, in this process, in the extended
precision that it sets; beside ``fit`` from 32 starts.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from benchmarks.record import data_file, write_record
from training.laws.catalog import form_named
from training.laws.fit import Fit, Outliers, fit
from training.laws.fitting.objective import Objective
from training.laws.fitting.solve import solve
from training.laws.form import Array
from training.laws.run_table import read_run_table
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.delta_method import natural_samples

DELTA, SCALE = 1e-3, 1e4
GRID = {
    "e": [0.0, 1.0],
    "a": [5.0, 10.0],
    "b": [5.0, 10.0],
    "alpha": [0.3, 0.6],
    "beta": [0.3, 0.6],
}
"""For the package: part of the grid of Hoffmann et al. 2022, 32 starts."""


def timed(call: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """The result with wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, {"seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}


def loop_of_scipy(fitted: Fit, starts_SP: Array, weights_BN: Array) -> Array:
    """The best objective of every resample, (B,): one L-BFGS-B per resample and start (a, b, e, alpha, beta)."""
    from scipy.optimize import minimize

    ln_N, ln_D, ln_y = np.log(fitted.inputs["N"]), np.log(fitted.inputs["D"]), np.log(fitted.y_N)

    def objective(theta: Array, weights: Array) -> tuple[float, Array]:
        a, b, e, alpha, beta = theta
        terms = np.stack([a - alpha * ln_N, b - beta * ln_D, np.full(len(ln_y), e)])
        top = terms.max(0)
        total = top + np.log(np.exp(terms - top).sum(0))
        residual = total - ln_y
        bent = np.clip(residual, -DELTA, DELTA)
        pull = np.exp(terms - total) * (weights * bent)
        gradient = np.array([*pull.sum(1), -pull[0] @ ln_N, -pull[1] @ ln_D])
        return SCALE * float((weights * bent * (residual - bent / 2)).sum()), SCALE * gradient

    options = {"ftol": 1e-14, "gtol": 1e-10, "maxiter": 5_000, "maxfun": 20_000}
    found = np.full(len(weights_BN), np.inf)
    with np.errstate(all="ignore"):
        for row, weights in enumerate(weights_BN):
            for start in starts_SP:
                run = minimize(objective, start, (weights,), method="L-BFGS-B", jac=True, options=options)
                if np.isfinite(run.fun):
                    found[row] = min(found[row], run.fun / SCALE)
    return found


def resampling(fitted: Fit, starts_SP: Array, resamples: int, repeats: int, warm: bool) -> dict[str, Any]:
    """Both ways in turn, ``repeats`` times, from starts in reduced units."""
    natural = natural_samples(fitted, starts_SP)
    logs = [np.log(natural[name]) for name in ("A", "B", "E")]
    begin_SP = np.stack([*logs, natural["alpha"], natural["beta"]], 1)
    runs = len(fitted.y_N)
    weights = (
        np.random.default_rng(0).multinomial(runs, np.full(runs, 1 / runs), size=resamples).astype(np.float64)
    )
    ours, theirs = [], []
    for _ in range(repeats):
        solved, spent = timed(
            lambda: solve(fitted.problem, starts_SP, weights, warm=len(starts_SP) if warm else 0)
        )
        ours.append(spent)
        objectives, spent = timed(lambda: loop_of_scipy(fitted, begin_SP, weights))
        theirs.append(spent)
        print(f"{len(starts_SP)} starts: {ours[-1]} against {theirs[-1]}", flush=True)
    difference = solved.values_B / objectives - 1
    ratios = [them["cpu_seconds"] / us["cpu_seconds"] for us, them in zip(ours, theirs)]
    return {
        "starts": len(starts_SP),
        "resamples": resamples,
        "tamis": ours,
        "scipy": theirs,
        "times_faster_cpu": float(np.median(ratios)),
        "times_faster_wall": float(np.median([b["seconds"] / a["seconds"] for a, b in zip(ours, theirs)])),
        "objective_over_scipy_minus_1": {
            "largest": float(difference.max()),
            "median": float(np.median(difference)),
            "smallest": float(difference.min()),
        },
        "resamples_equal_within_1e-6": float((np.abs(difference) < 1e-6).mean()),
        "resamples_where_scipy_is_worse": float((difference < -1e-6).mean()),
        "resamples_where_tamis_is_worse": float((difference > 1e-6).mean()),
    }


def package(fitted: Fit) -> dict[str, Any]:
    """One fit of all runs by the package, and by ``fit``."""
    columns = {"N": fitted.inputs["N"], "D": fitted.inputs["D"]}
    again, ours = timed(lambda: fit(form_named("chinchilla"), columns, fitted.y_N))
    found: dict[str, Any] = {
        "tamis": {**ours, "objective": again.objective, "parameters": dict(again.parameters)}
    }
    try:
        found["version"] = version("chinchilla")
    except PackageNotFoundError:
        return {**found, "chinchilla": "not installed"}
    import matplotlib

    matplotlib.use("Agg")
    from chinchilla import Chinchilla
    from chinchilla._metrics import log_huber

    with tempfile.TemporaryDirectory() as folder:
        model = Chinchilla(
            folder, param_grid=GRID, loss_fn=lambda y, f: SCALE * log_huber(y, f, delta=DELTA), log_level=40
        )
        for N, D, loss in zip(columns["N"], columns["D"], fitted.y_N):
            model.database.df.loc[len(model.database.df)] = {"C": 6 * N * D, "N": N, "D": D, "loss": loss}
        _, theirs = timed(lambda: model.fit(parallel=False))
        parameters = {name: float(getattr(model, name)) for name in ("A", "B", "E", "alpha", "beta")}
    predicted = form_named("chinchilla").ln_prediction(parameters, columns)
    objective = Objective("huber", DELTA).total(predicted - np.log(fitted.y_N), np.ones(len(fitted.y_N)))
    found["chinchilla"] = {**theirs, "objective": objective, "parameters": parameters}
    found["times_faster_cpu"] = theirs["cpu_seconds"] / ours["cpu_seconds"]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamples", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-record", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = data_file("scaling/epoch_chinchilla/svg_extracted_data.csv")
    table = read_run_table(path, {"N": "Model Size", "C": "Training FLOP", "value": "loss"})
    fitted = fit(form_named("chinchilla"), table.inputs, table["value"], outliers=Outliers(highest=5))
    bootstrap(fitted, 10)
    grid = fitted.form.start_points(32, 0)
    results = {
        "runs": len(fitted.y_N),
        "warm": resampling(fitted, fitted.solutions_SP, arguments.resamples, arguments.repeats, True),
        "cold": resampling(fitted, grid, arguments.resamples // 10, arguments.repeats, False),
        "package": package(fitted),
    }
    claim = "1,000 resamples of the 240-run Chinchilla fit at least 20 times faster than SciPy at equal objectives"
    if arguments.no_record:
        print(results)
    else:
        write_record("chinchilla_fit", claim, results, seeds=[0])


if __name__ == "__main__":
    main()
