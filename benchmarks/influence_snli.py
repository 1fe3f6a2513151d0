"""Claim: the five scores of Anand et al. 2023 on SNLI in one command, and what pruning by each of them does.

"Influence Scores at Scale" (EMNLP 2023) in small. One call of ``score`` reads all five from the checkpoints of small
BERTs trained on the 9,842 pairs of SNLI's development set (the training set is not among the shared data), with VoG
normalised by class and over the dataset; the null models of PVI are trained beside them. Then the hardest or the
easiest 10, 30 and 45 % are pruned, a fresh model is trained on the rest with equal updates, and tested on 3,000 pairs
of SNLI's test set: mean +- standard deviation over seeds, beside random shares and all examples.

Also: Spearman's rho between PVI of the test pairs under these small models and the published PVI of four large ones.

Differs from the paper: sizes; scores are averaged over all seeds (theirs: VoG 1, forgetting 3, EL2N and PVI 10);
forgetting counts over the checkpoints, two an epoch; the model that is retrained is a linear one on words and word
pairs, unless ``--retrain small-bert``, since it learns more from so few pairs and a retraining takes seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.stats import rankdata, spearmanr

from benchmarks.record import data_file, write_record
from scoring.examples import Examples
from scoring.hashing import hash64
from scoring.run import score
from scoring.table import ScoreTable
from selection.run import select
from tamis.grid import console, grid
from training.null_model import train_null
from training.run import train
from training.studies.outcomes import outcomes
from training.studies.pruning import pruning_study

BY_CLASS, BY_DATASET = "vog:anand2023(norm=class)", "vog:anand2023(norm=dataset)"
SCORERS = [BY_CLASS, BY_DATASET, "el2n@epoch=2", "forgetting", "pvi", "tracin:anand2023"]
ENDS = {"easy": "hardest", "hard": "easiest"}
"""Which end is pruned -> which strategy keeps the rest."""

BERT: dict[str, Any] = {"width": 64, "layers": 2, "heads": 4, "vocabulary": 4096, "max_length": 32}
SCORED: dict[str, Any] = {"epochs": 5, "batch_size": 64, "lr": 1e-3, "warmup": 0.1, "model_options": BERT}
RETRAINED: dict[str, dict[str, Any]] = {
    "linear": {"epochs": 3, "batch_size": 64},
    "small-bert": SCORED,
}
CHECKPOINTS_PER_EPOCH = 2
PRUNED = (0.10, 0.30, 0.45)
TEST_ROWS = 3000
PUBLISHED = ("bert-base-cased", "distilbert-base-uncased", "bart-base", "gpt2")


def load(file: str) -> Examples:
    """One part of SNLI."""
    return Examples.load(
        data_file(f"snli_small/{file}"), text="premise", text_pair="hypothesis", label="label", name="snli"
    )


def part(examples: Examples, rows: int) -> Examples:
    """Some rows, chosen by hash of the id."""
    return examples.take(np.sort(np.argsort(hash64(0, examples.ids), kind="stable")[:rows]))


def steps_of(recipe: dict[str, Any], rows: int) -> int:
    """Updates of a recipe on all examples, which is what every retraining gets."""
    return int(recipe["epochs"] * np.ceil(rows / recipe["batch_size"]))


def score_all(
    examples: Examples, test: Examples, seeds: list[int], folder: Path
) -> tuple[ScoreTable, list[float]]:
    """The table of all scores, and the test accuracy of every scored model."""
    every = int(np.ceil(len(examples) / SCORED["batch_size"])) // CHECKPOINTS_PER_EPOCH
    common: dict[str, Any] = {**SCORED, "evaluate_every": None, "seeds": seeds, "progress": True}
    runs = train(
        examples,
        "small-bert",
        out=folder / "model",
        evaluate=test,
        checkpoint_every=f"{every} steps",
        **common,
    )
    train_null(examples, "small-bert", out=folder / "null", **common)
    accuracy = [run.summary()["metrics"]["evaluation/accuracy"] for run in runs]
    table = score(examples, SCORERS, folder / "model", null=folder / "null", view="clean", show_progress=True)
    return table, accuracy


def published_pvi(folder: Path, rows: int | None) -> dict[str, Any]:
    """Spearman's rho of our PVI of test pairs with that of large models, and of those among themselves."""
    test = load("test.parquet")
    frame = pd.read_parquet(data_file("snli_small/test.parquet"))
    chosen = np.arange(len(test))[:rows]
    theirs = {name: frame[f"pvi_{name}_ep2"].to_numpy()[chosen] for name in PUBLISHED}
    table = score(test.take(chosen), "pvi", folder / "model", null=folder / "null")
    ours, mean_rank = table.column("pvi"), np.mean([rankdata(values) for values in theirs.values()], axis=0)
    return {
        "rows": len(chosen),
        "ours, published": {name: rho(ours, values) for name, values in theirs.items()},
        "ours, mean rank of the published": rho(ours, mean_rank),
        "published, published": {f"{a}, {b}": rho(theirs[a], theirs[b]) for a, b in combinations(theirs, 2)},
    }


def rho(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """Spearman's correlation."""
    return round(float(spearmanr(a, b).statistic), 4)


def pruning_table(study: pa.Table, table: ScoreTable, examples: Examples) -> list[dict[str, Any]]:
    """One row per way of pruning and share: accuracy over seeds, against random, and how many of each class stay."""
    ends = {take: end for end, take in ENDS.items()}
    rows = []
    for found in outcomes(study):
        row: dict[str, Any] = {
            "score": found.by or found.way, "pruned end": ends.get(found.take), "pruned": round(1 - found.keep, 4),
            "accuracy": found.mean, "sd": found.sd,
        }  # fmt: skip
        if found.against_random is not None and found.by is not None:
            against = found.against_random
            row["minus random"] = against.mean
            row["interval_95"] = [against.low, against.high]
            row["verdict"] = found.verdict
            kept = np.isin(examples.ids, select(table, by=found.by, take=found.take, keep=found.rows).ids)
            row["kept of each class"] = np.bincount(
                examples.labels[kept], minlength=examples.num_classes
            ).tolist()
        rows.append(row)
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The table as the paper prints it: a line per score and pruned end, a column per share."""
    lines: dict[tuple[str, str], dict[float, str]] = {}
    for row in rows:
        values = lines.setdefault((row["score"], row["pruned end"] or ""), {})
        values[row["pruned"]] = f"{100 * row['accuracy']:.2f} ± {100 * row['sd']:.2f}"
    shares = sorted({row["pruned"] for row in rows} - {0.0})
    body = [
        [name, end, *(values.get(share, values.get(0.0, "-")) for share in shares)]
        for (name, end), values in lines.items()
    ]
    header = ["score", "pruned end", *(f"{100 * share:.0f} % pruned" for share in shares)]
    console().print(grid("Test accuracy, %", header, body, left=2))


def main() -> None:
    """Score, prune, retrain, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3, help="of the scored models, and of every retraining")
    parser.add_argument("--retrain", choices=sorted(RETRAINED), default="linear")
    parser.add_argument("--ends", default=",".join(ENDS), help="which ends are pruned: easy, hard")
    parser.add_argument("--quick", action="store_true", help="a smoke run: 600 pairs, 2 seeds")
    arguments = parser.parse_args()
    examples, test = load("train_is_snli_dev.parquet"), part(load("test.parquet"), TEST_ROWS)
    seeds = list(range(2 if arguments.quick else arguments.seeds))
    if arguments.quick:
        examples, test = part(examples, 600), part(test, 300)
    recipe = RETRAINED[arguments.retrain]
    settings = {name: value for name, value in recipe.items() if name != "epochs"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table, accuracy = score_all(examples, test, seeds, folder)
        print(f"scored models: test accuracy {accuracy}", flush=True)
        pvi = published_pvi(folder, 300 if arguments.quick else None)
        print(f"PVI of test pairs, Spearman: {pvi['ours, published']}", flush=True)
        study = pruning_study(
            examples, arguments.retrain, table, by=SCORERS, takes=[ENDS[end] for end in arguments.ends.split(",")],
            keeps=[1 - share for share in PRUNED], steps=steps_of(recipe, len(examples)), seeds=seeds,
            evaluate=test, out=folder / "pruned", **settings,
        )  # fmt: skip
    rows = pruning_table(study, table, examples)
    show(rows)
    results = {
        "rows": len(examples), "test_rows": len(test),
        "scored": {"model": "small-bert", **SCORED, "checkpoints_per_epoch": CHECKPOINTS_PER_EPOCH},
        "scored_test_accuracy": accuracy, "scorers": SCORERS,
        "retrained": {"model": arguments.retrain, **recipe, "steps": steps_of(recipe, len(examples))},
        "pruning": rows, "pvi_of_test_pairs": pvi,
    }  # fmt: skip
    if not arguments.quick:
        write_record("influence_snli", __doc__.splitlines()[0], results, seeds)


if __name__ == "__main__":
    main()
