"""Claim: with wrong labels, training on the highest losses trains on them; does the reducible loss avoid them?

Digits with 0, 10 and 20 % of the labels wrong, an MLP, a tenth of every draw trained on (320 examples for 32), five
seeds. Random and class-stratified parts of the draws and ordinary training on all stand beside the rules, at equal
updates and at equal compute, forward passes over candidates included. Irreducible losses come from two models that
each saw one half of the noisy data; their cost is told apart. Differences are paired over seeds.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.record import write_record
from training.cell_data import DataRequest
from training.studies.online import Online
from training.studies.outcomes import Outcome, outcomes
from training.studies.paired import Difference
from training.studies.running import run_study
from training.studies.scores import scoring_cost

RULES = ["highest_loss", "reducible_loss by loss", "selective_backprop", "gradient_norm", "entropy"]
RECIPE: dict[str, Any] = {"optimizer": "sgd", "lr": 0.1, "batch_size": 32}
NOISE = {"clean": 0.0, "10 % wrong": 0.1, "20 % wrong": 0.2}


def told(outcome: Outcome, difference: Difference | None) -> dict[str, Any] | None:
    """A difference and its 95 % interval, with a verdict where more is better or worse."""
    if difference is None:
        return None
    found: dict[str, Any] = {"mean": difference.mean, "interval_95": [difference.low, difference.high]}
    return found if outcome.metric == "planted" else {**found, "verdict": outcome.called(difference)}


def main() -> None:
    """One study."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--keep", default="10%")
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    variants = {name: [{"uniform_noise": rate}] if rate else [] for name, rate in NOISE.items()}
    study = Online(
        data=DataRequest("digits"), models="mlp", select=RULES, keep=[arguments.keep], steps=arguments.steps,
        seeds=seeds, train_settings=RECIPE, variants=variants, device="cpu",
        scores={"scorers": "loss", "model": "mlp", "folds": 2, "seeds": [1000], "train": {**RECIPE, "epochs": 10}},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        table = run_study(study, folder)
        costs = [scoring_cost(path) for path in Path(folder).glob("scores/*.parquet")]
    updates = {(row["regime"], row["way"]): (row["steps"], row["C"]) for row in table.to_pylist()}
    rows = []
    planted = {
        (each.variant, each.regime, each.way): each for each in outcomes(table, "planted", split="train")
    }
    for each in outcomes(table, "accuracy"):
        chosen = planted[each.variant, each.regime, each.way]
        reducible = next(
            other for other in outcomes(table, "accuracy")
            if (other.variant, other.regime, other.way) == (each.variant, each.regime, RULES[1])
        )  # fmt: skip
        steps, flops = updates[each.regime, each.way]
        rows.append(
            {
                "variant": each.variant, "regime": each.regime, "way": each.way, "updates": steps, "flops": flops,
                "accuracy": each.mean, "sd": each.sd, "values": list(each.values.values()),
                "minus_random": told(each, each.against_random),
                "minus_stratified": told(each, each.against_stratified),
                "minus_all": told(each, each.against_all),
                "reducible_minus_this": None if each is reducible else told(reducible, reducible.minus(each)),
                "planted": chosen.mean, "planted_minus_random": told(chosen, chosen.against_random),
            }
        )  # fmt: skip
        print(
            each.variant, each.regime, each.way, steps, f"{each.mean:.4f}", each.verdict, f"{chosen.mean:.3f}"
        )
    results = {
        "recipe": RECIPE, "keep": arguments.keep, "steps": arguments.steps, "rows": rows,
        "reference_runs": [cost for cost in costs if cost],
    }  # fmt: skip
    write_record("online_selection", __doc__.splitlines()[0], results, seeds)


if __name__ == "__main__":
    main()
