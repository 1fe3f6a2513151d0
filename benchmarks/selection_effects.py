"""Claim: at 10 % kept, stratified and group-balanced selections beat the plain hardest; is it so, and against random?

CLINC150 with imbalanced intents (150 classes of 25 to 100 examples) and 20 Newsgroups (20 classes of nearly equal
size). Every seed trains a linear model on all examples, scores them by EL2N (mean over the epochs) and by the area
under the margin from its recorded presentations, chooses by either in every way, and retrains with equal updates. So a
seed varies score, draw and training, and differences are paired over seeds. The recipe was chosen on random shares.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from benchmarks.record import data_file, write_record
from scoring.examples import Examples
from scoring.run import score
from training.run import train
from training.studies.outcomes import Outcome, outcomes
from training.studies.paired import Difference
from training.studies.pruning import pruning_study
from training.studies.ways import Way

SCORES = ["el2n@mean", "aum"]
DROP = 0.3
"""What Zheng et al. drop from the hard end at 10 % kept."""
WAYS = [
    Way("hardest"),
    Way("easiest"),
    Way("hardest", balance="equal"),
    Way("hardest", balance="sqrt"),
    Way("hardest", balance="floor"),
    Way("stratified", {"drop_hardest": DROP}),
    Way("stratified", {"drop_hardest": DROP}, balance="equal"),
    Way("stratified", {"drop_hardest": DROP, "equal": "mass"}),
    Way("stratified"),
    Way("random", balance="equal"),
]
RECIPE: dict[str, Any] = {
    "batch_size": 64, "optimizer": "sgd", "lr": 5.0, "device": "cpu",
    "model_options": {"buckets": 2**14, "ngrams": [1, 1]},
}  # fmt: skip


def clinc150() -> tuple[Examples, Examples]:
    """Train and test parts, 150 intents without the out-of-scope rows."""
    frame = pd.read_parquet(data_file("clinc150/imbalanced.parquet"))
    frame = frame[~frame.is_oos].reset_index(drop=True)
    parts = {split: frame[frame.split == split][["text", "intent"]] for split in ("train", "test")}
    examples, test = (
        Examples.load(part.reset_index(drop=True), text="text", label="intent", name="clinc150")
        for part in parts.values()
    )
    return examples, test


def news20() -> tuple[Examples, Examples]:
    """Train and test parts, by date."""
    train_part, test_part = (
        Examples.load(
            data_file(f"news20/{part}.parquet"), text="text", label="label_name", id="index", name="news20"
        )
        for part in ("train", "test")
    )
    return train_part, test_part


DATA = {"clinc150": clinc150, "news20": news20}


def study_of(
    examples: Examples, test: Examples, seed: int, keep: str, steps: int, epochs: int, out: Path,
    ways: Sequence[Way] = WAYS, scores: Sequence[str] = SCORES,
) -> pa.Table:  # fmt: skip
    """Score with one run and retrain on every way's share."""
    run = {"epochs": epochs, "seeds": [seed], "record": True, "evaluate": False, "clean_every": None}
    train(examples, "linear", out=out / "scored", **RECIPE, **run)
    table = score(examples, scores, out / "scored")
    return pruning_study(
        examples, "linear", table, by=table.scores, takes=ways, keeps=[keep], steps=steps, seeds=[1000 + seed],
        evaluate=test, out=out / "pruned", **RECIPE,
    )  # fmt: skip


def told(difference: Difference | None) -> dict[str, Any] | None:
    """A difference and its verdict."""
    if difference is None:
        return None
    interval = [difference.low, difference.high]
    return {"mean": difference.mean, "interval_95": interval, "verdict": difference.verdict()}


def rows_of(cells: list[Outcome]) -> list[dict[str, Any]]:
    """One row per way: the values, and the differences to the plain hardest of the same score and to random."""
    rows = []
    for cell in cells:
        plain = [
            other for other in cells
            if (other.by, other.take, other.balance, other.options) == (cell.by, "hardest", "none", None)
        ]  # fmt: skip
        rows.append(
            {
                "by": cell.by, "take": cell.take, "options": cell.options, "balance": cell.balance, "rows": cell.rows,
                "mean": cell.mean, "sd": cell.sd, "values": list(cell.values.values()),
                "minus_hardest": told(cell.minus(plain[0])) if plain and plain[0] is not cell else None,
                "minus_random": told(cell.against_random),
            }
        )  # fmt: skip
    return rows


def main() -> None:
    """Every data set over seeds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=",".join(DATA))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--keep", default="10%")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=10, help="of the scored runs")
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    results: dict[str, Any] = {
        "recipe": RECIPE, "keep": arguments.keep, "steps": arguments.steps, "scored_epochs": arguments.epochs
    }  # fmt: skip
    for name in arguments.data.split(","):
        examples, test = DATA[name]()
        studies = []
        for seed in seeds:
            with tempfile.TemporaryDirectory() as folder:
                studies.append(
                    study_of(
                        examples, test, seed, arguments.keep, arguments.steps, arguments.epochs, Path(folder)
                    )
                )
        study = pa.concat_tables(studies)
        results[name] = {
            "rows": len(examples), "test_rows": len(test), "classes": examples.num_classes,
            **{metric: rows_of(outcomes(study, metric)) for metric in ("accuracy", "macro_f1")},
        }  # fmt: skip
        for row in results[name]["accuracy"]:
            against = row["minus_hardest"] and row["minus_hardest"]["verdict"]
            print(name, row["by"], row["take"], row["options"], row["balance"], f"{row['mean']:.3f}", against,
                  row["minus_random"] and row["minus_random"]["verdict"], flush=True)  # fmt: skip
    write_record("selection_effects", __doc__.splitlines()[0], results, seeds)


if __name__ == "__main__":
    main()
