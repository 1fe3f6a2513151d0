"""Claim: on text a linear model, a small BERT and MiniLM tell one difficulty apart from noise.

3,000 utterances of HWU64 with their 18 domains: softmax regression on TF-IDF, a 2-layer BERT trained from nothing, and
a fine-tuned MiniLM, five runs each. The full comparison of twelve scores on the utterances that were trained on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.compare_cells import (
    Architecture,
    folders,
    parser,
    some,
    summary,
    train_cells,
    training_summary,
    working_folder,
)
from benchmarks.record import data_file, write_record
from scoring.compare.cells import score_cells
from scoring.compare.predictions.predicting import predictions_of_runs
from scoring.compare.run import compare
from scoring.examples import Examples

ROWS = 3000
ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture("linear", "linear", 5, {}, {"epochs": 8, "clean_every": "2 epochs"}),
    Architecture("small-bert", "small-bert", 5, {}, {"epochs": 8, "clean_every": "2 epochs"}),
    Architecture("minilm", "minilm", 5, {}, {"epochs": 2, "clean_every": "47 steps"}),
)
"""Four clean passes each; 47 steps are half an epoch."""
RECIPE: dict[str, Any] = {
    "batch_size": 32, "checkpoint_every": None, "evaluate_every": None, "device": "cpu",
}  # fmt: skip
SCORERS = (
    "el2n@first", "el2n@mean", "el2n@last", "loss@mean", "loss@last", "entropy@mean", "margin@mean", "confidence@mean",
    "forgetting", "first_learned", "accuracy_over_time", "iteration_learned",
)  # fmt: skip


def main() -> None:
    """Train, score, compare."""
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    examples = Examples.load(data_file("hwu64/hwu64.parquet"), text="text", label="domain", split="train")
    test = examples.other_split("test")
    architectures = ARCHITECTURES
    if arguments.quick:
        test = some(test, 100)
        architectures = tuple(replace(each, runs=2) for each in architectures)
    examples = some(examples, 120 if arguments.quick else ROWS)
    with working_folder(arguments) as folder:
        runs = train_cells(examples, architectures, folder, only=arguments.only, evaluate=test, **RECIPE)
        if arguments.train_only:
            return
        results = {"training": training_summary(architectures, runs, folder), "recipe": RECIPE}
        results |= compare_all(examples, test, architectures, folder)
    if not arguments.quick:
        seeds = range(max(each.runs for each in architectures))
        write_record("compare_hwu64", __doc__.splitlines()[0], results, seeds=seeds)


def compare_all(
    examples: Examples, test: Examples, architectures: tuple[Architecture, ...], folder: Path
) -> dict[str, Any]:
    """The report in ``folder/report``. Clean views: presentations are eight of some models and two of another."""
    places = folders(architectures, folder)
    report = compare(
        score_cells(examples, SCORERS, places, folder / "scores", view="clean"),
        predictions=predictions_of_runs(places, test, out=folder / "predictions", device="cpu"),
        examples=examples, proxies=("linear", "small-bert", "minilm"), out=folder / "report", overwrite=True,
        show_progress=True,
    )  # fmt: skip
    return {"report": summary(report)}


if __name__ == "__main__":
    main()
