"""Claim: VoG finds no planted label errors, TracIn and EL2N do; for pruning it needs class z-scores, easy ones first.

On scikit-learn's digits, the findings of Anand et al. 2023 on language data, once with the SGD of ``tamis demo`` and
once with AdamW, the default of ``train``; one scored run of 30 epochs per seed, a checkpoint each.

* 10 % of the labels flipped: AUROC of every score for the flips.
* Clean labels, 45 % pruned by VoG: kept examples of the largest class over those of the smallest, with z-scores by
  class and over the dataset; test accuracy after retraining with equal updates, minus that of a random share.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import write_record
from scoring.compare.of_table import table_detection
from scoring.examples import Examples
from scoring.run import score
from scoring.table import ScoreTable
from selection.run import select
from training.interventions.noisy_labels import flip_labels
from training.run import train
from training.studies.outcomes import outcomes
from training.studies.paired import paired_difference
from training.studies.pruning import pruning_study

BY_CLASS, BY_DATASET = "vog(norm=class)", "vog(norm=dataset)"
FLIP_SCORERS = ["vog", BY_CLASS, "vog:kwok2024", "vog:kwok2024-loss", "el2n", "tracin"]
SETTINGS: dict[str, Any] = {"batch_size": 32, "device": "cpu", "evaluate_every": None}
RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {**SETTINGS, "optimizer": "sgd", "lr": 0.015, "schedule": "cosine"},
    "adamw": SETTINGS,
}
EPOCHS, STEPS, KEEP, FLIP = 30, 1100, 0.55, 0.1
TAKES = {"easy pruned": "hardest", "hard pruned": "easiest"}


def scored(
    examples: Examples, scorers: list[str], recipe: dict[str, Any], seed: int, out: Path
) -> ScoreTable:
    """Scores of one run with a checkpoint per epoch."""
    run = {"epochs": EPOCHS, "checkpoint_every": "1 epoch", "seeds": [seed], "evaluate": False}
    train(examples, "mlp", out=out, **{**recipe, **run})
    return score(examples, scorers, out)


def flips_found(recipe: dict[str, Any], seed: int, out: Path) -> dict[str, float]:
    """AUROC of every score for 10 % flipped labels."""
    noisy = flip_labels(Examples.load("digits"), FLIP, seed=seed)
    table = scored(noisy.examples, FLIP_SCORERS, recipe, seed, out)
    return {found.name: found.auroc for found in table_detection(table, noisy.flipped, FLIP_SCORERS)}


def class_counts(table: ScoreTable) -> dict[str, tuple[int, int]]:
    """Way of pruning -> examples kept of the smallest and of the largest class."""
    found = {}
    for by in (BY_CLASS, BY_DATASET):
        for name, take in TAKES.items():
            kept = np.isin(table.ids, select(table, by=by, take=take, keep=KEEP).ids)
            counts = np.bincount(table.column("label")[kept].astype(int), minlength=10)
            found[f"{by}, {name}"] = (int(counts.min()), int(counts.max()))
    return found


def retrained(
    table: ScoreTable, recipe: dict[str, Any], retrain_seeds: Sequence[int], out: Path
) -> dict[str, float]:
    """Way of pruning -> test accuracy, mean over seeds."""
    study = pruning_study(
        Examples.load("digits"), "mlp", table, by=[BY_CLASS, BY_DATASET], keeps=[KEEP], steps=STEPS,
        seeds=retrain_seeds, evaluate=Examples.load("digits", split="test"), out=out, **recipe,
    )  # fmt: skip
    return {
        name_of(each.by, each.way if each.by is None else each.take): each.mean for each in outcomes(study)
    }


def name_of(by: str | None, take: str) -> str:
    """``vog(norm=class), easy pruned``, or the baseline's name."""
    return take if by is None else f"{by}, {next(name for name, each in TAKES.items() if each == take)}"


def main() -> None:
    """Every recipe over seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=10, help="scored runs per recipe")
    parser.add_argument(
        "--retrain", type=int, default=5, help="retrainings per scored run and way of pruning"
    )
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    results: dict[str, Any] = {
        "seeds": len(seeds),
        "retrained": arguments.retrain,
        "kept": KEEP,
        "flipped": FLIP,
    }
    for name, recipe in RECIPES.items():
        flips, counts, accuracies = [], [], []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as text:
                folder = Path(text)
                flips.append(flips_found(recipe, seed, folder / "noisy"))
                table = scored(
                    Examples.load("digits"), [BY_CLASS, BY_DATASET], recipe, seed, folder / "clean"
                )
                counts.append(class_counts(table))
                retrain_seeds = [1000 + arguments.retrain * seed + n for n in range(arguments.retrain)]
                accuracies.append(retrained(table, recipe, retrain_seeds, folder / "pruned"))
            print(f"{name}, seed {seed}: {flips[-1]}, {counts[-1]}, {accuracies[-1]}", flush=True)
        results[name] = {
            "auroc_of_flips": {
                scorer: {"mean": float(np.mean(values)), "min": min(values), "max": max(values)}
                for scorer in FLIP_SCORERS
                for values in [[each[scorer] for each in flips]]
            },
            "smallest_and_largest_class": {way: [each[way] for each in counts] for way in counts[0]},
            "accuracy": {way: against_random(way, accuracies) for way in accuracies[0]},
        }
    write_record("vog_digits", __doc__.splitlines()[0], results, seeds)


def against_random(way: str, accuracies: list[dict[str, float]]) -> dict[str, Any]:
    """Mean over scored runs, and the difference from random shares with its 95 % interval."""
    own, random = ([each[name] for each in accuracies] for name in (way, "random"))
    if way in ("all", "random", "stratified random"):
        return {"mean": float(np.mean(own))}
    against = paired_difference(own, random)
    difference = {"mean": against.mean, "interval_95": [against.low, against.high]}
    return {"mean": float(np.mean(own)), "minus_random": difference, "verdict": against.verdict()}


if __name__ == "__main__":
    main()
