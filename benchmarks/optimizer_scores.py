"""Claim: EL2N, AUM and forgetting do not depend on the optimizer; do seven optimizers rank the examples alike?

Digits and an MLP of 64. Every one of seven optimizers has its learning rate searched on a held-out fifth (lowest loss
after the whole schedule, one seed), then trains on all with five seeds of its own. Spearman correlations are between
a run of one optimizer and a run of another, corrected by the reliabilities of both (runs of one optimizer against each
other). Beside it: updates of SOAP and AdamW until the training loss of full batches is at a target, each at the
learning rate that reached it first with a seed of its own.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import write_record
from scoring.compare.agreement.cell_agreement import across_agreement
from scoring.compare.run_scores import RunScores
from scoring.examples import Examples
from scoring.run import score
from training.loop import TrainingDiverged
from training.run import train
from training.studies.paired import paired_difference

GRIDS: dict[str, tuple[float, ...]] = {
    "adamw": (1e-3, 3e-3, 1e-2, 3e-2, 0.1), "sgd": (0.03, 0.1, 0.3, 1.0, 3.0),
    "adafactor": (0.01, 0.03, 0.1, 0.3, 1.0), "lion": (1e-3, 3e-3, 0.01, 0.03, 0.1),
    "signum": (1e-3, 3e-3, 0.01, 0.03, 0.1), "shampoo": (0.1, 0.3, 1.0, 3.0, 10.0),
    "soap": (3e-3, 1e-2, 3e-2, 0.1, 0.3),
}  # fmt: skip
SCORERS = ("el2n@mean", "aum", "forgetting")
SEARCH_SEED = 1000
COMMON: dict[str, Any] = {"batch_size": 64, "checkpoint_every": None, "evaluate_every": None, "device": "cpu"}
FULL: dict[str, Any] = {
    "batch_size": 1200, "schedule": "constant", "evaluate": False, "checkpoint_every": None, "device": "cpu",
    "evaluate_every": "1 step",
}  # fmt: skip


def searched(examples: Examples, optimizer: str, epochs: int, out: Path) -> dict[float, float]:
    """Held-out loss of every learning rate; infinite where training diverged."""
    found = {}
    for lr in GRIDS[optimizer]:
        try:
            [run] = train(
                examples, "mlp", out=out / f"{optimizer}-{lr}", evaluate=0.2, seeds=[SEARCH_SEED], epochs=epochs,
                optimizer=optimizer, lr=lr, **COMMON,
            )  # fmt: skip
            found[lr] = next(
                row["value"] for row in run.metrics().to_pylist()
                if row["split"] == "held_out" and row["name"] == "loss"
            )  # fmt: skip
        except TrainingDiverged:
            found[lr] = float("inf")
    return found


def scored(examples: Examples, optimizer: str, lr: float, epochs: int, seeds: list[int], out: Path) -> Any:
    """Scores of every run, name -> (S, N), and the test accuracies."""
    runs = train(
        examples, "mlp", out=out / optimizer, seeds=seeds, epochs=epochs, optimizer=optimizer, lr=lr, record=True,
        clean_every=None, evaluate="test", **COMMON,
    )  # fmt: skip
    tables = [score(examples, list(SCORERS), run.path) for run in runs]
    values = {name: np.stack([table.column(name) for table in tables]) for name in SCORERS}
    accuracy = [
        row["value"] for run in runs for row in run.metrics().to_pylist() if row["name"] == "accuracy"
    ]
    return values, accuracy


def agreement(values: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Between optimizers, single runs, raw and corrected with intervals; reliabilities on the diagonal."""
    scores = RunScores.of_arrays(values)
    found: dict[str, Any] = {}
    for name in SCORERS:
        single = across_agreement(scores, name).single
        names = list(scores.architectures)
        pairs = [(a, b) for a in range(len(names)) for b in range(a)]
        corrected = [float(single.corrected.values[pair]) for pair in pairs]
        found[name] = {
            "reliability": dict(zip(names, np.diagonal(single.between.values).round(4).tolist())),
            "pairs": [
                {
                    "optimizers": [names[b], names[a]], "between": float(single.between.values[a, b]),
                    "between_95": [float(single.between.low[a, b]), float(single.between.high[a, b])],
                    "corrected": float(single.corrected.values[a, b]),
                    "corrected_95": [float(single.corrected.low[a, b]), float(single.corrected.high[a, b])],
                }
                for a, b in pairs
            ],
            "corrected_range": [float(np.nanmin(corrected)), float(np.nanmax(corrected))],
            "corrected_median": float(np.nanmedian(corrected)),
        }  # fmt: skip
    return found


def updates_to(
    examples: Examples, optimizer: str, lr: float, seed: int, target: float, steps: int, out: Path
) -> float:
    """Updates until the loss over all examples is at most the target; infinite if it never is."""
    try:
        [run] = train(
            examples, "mlp", out=out / f"full-{optimizer}-{lr}-{seed}", seeds=[seed], steps=steps, lr=lr,
            optimizer=optimizer, **FULL,
        )  # fmt: skip
    except TrainingDiverged:
        return float("inf")
    # The value at step t is the loss before that update.
    reached = [row["step"] - 1 for row in run.metrics().to_pylist() if row["value"] <= target]
    return float(min(reached, default=float("inf")))


def race(examples: Examples, target: float, steps: int, seeds: list[int], out: Path) -> dict[str, Any]:
    """SOAP against AdamW at full batches."""
    found: dict[str, Any] = {"batch": len(examples), "target_loss": target, "most_updates": steps}
    for name in ("adamw", "soap"):
        search = {
            lr: updates_to(examples, name, lr, SEARCH_SEED, target, steps, out) for lr in (*GRIDS[name], 0.1)
        }
        lr = min(search, key=lambda each: search[each])
        updates = [updates_to(examples, name, lr, seed, target, steps, out) for seed in seeds]
        found[name] = {"search": {str(k): v for k, v in search.items()}, "lr": lr, "updates": updates}
    difference = paired_difference(np.log(found["soap"]["updates"]), np.log(found["adamw"]["updates"]))
    found["soap_over_adamw"] = {
        "ratio": float(np.exp(difference.mean)),
        "interval_95": [float(np.exp(difference.low)), float(np.exp(difference.high))],
        "verdict": difference.verdict(higher_is_better=False),
    }
    return found


def finite(value: Any) -> Any:
    """The same with None for what JSON has no number for: a target that was not reached, an undefined correction."""
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def main() -> None:
    """Search, train, compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--target", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=150, help="most updates of full batches")
    arguments = parser.parse_args()
    seeds, examples = list(range(arguments.seeds)), Examples.load("digits")
    values: dict[str, dict[str, Any]] = {name: {} for name in SCORERS}
    trained: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for number, optimizer in enumerate(GRIDS):
            search = searched(examples, optimizer, arguments.epochs, out / "search")
            lr = min(search, key=lambda each: search[each])
            # No two optimizers share initial weights or an order, which would make their runs alike.
            own = [10 * number + seed for seed in seeds]
            found, accuracy = scored(examples, optimizer, lr, arguments.epochs, own, out)
            for name in SCORERS:
                values[name][optimizer] = found[name]
            trained[optimizer] = {
                "search": {str(k): v for k, v in search.items()}, "lr": lr, "accuracy": float(np.mean(accuracy)),
                "sd": float(np.std(accuracy, ddof=1)),
            }  # fmt: skip
            print(optimizer, trained[optimizer], flush=True)
        results = {
            "epochs": arguments.epochs, "common": COMMON, "optimizers": trained, "agreement": agreement(values),
            "large_batch": race(examples, arguments.target, arguments.steps, seeds, out),
        }  # fmt: skip
    write_record("optimizer_scores", __doc__.splitlines()[0], finite(results), seeds)


if __name__ == "__main__":
    main()
