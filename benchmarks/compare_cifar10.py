"""Claim: on CIFAR-10 four architectures tell one difficulty apart from noise, and it is that of C-scores and humans.

30,000 training images, a linear model, a small CNN, a small ResNet and a small ViT, four epochs, five runs each.
The full comparison of twelve scores, with the published C-scores of Jiang et al. 2021 (high = easy) beside them; then
the same of the 10,000 test images with scores of the last checkpoint, beside the entropy of about 51 human votes each
(CIFAR-10H). Last, EL2N from seed to seed: of ten runs of the CNN after one epoch at a constant learning rate, beside
what ten public seeds of another implementation give (``PUBLISHED_EL2N``), and of the five runs after every epoch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
from scipy.stats import entropy

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
from scoring.compare.reliability.run_curve import run_curve
from scoring.compare.run import Comparison, compare
from scoring.compare.run_scores import RunScores
from scoring.examples import Examples
from scoring.table import ScoreTable

CNN = {"channels": (16, 32, 64), "depth": 1}
ARCHITECTURES: tuple[Architecture, ...] = (
    Architecture("linear", "linear", 5, {}, {"lr": 1e-3}),
    Architecture("cnn", "cnn", 5, CNN),
    Architecture("resnet", "small-resnet", 5, {"widths": (16, 32, 64)}),
    Architecture("vit", "small-vit", 5, {"layers": 4, "width": 64, "patch": 8}),
)
EARLY = Architecture("cnn-early", "cnn", 10, CNN, {"epochs": 1, "schedule": "constant"})
RECIPE: dict[str, Any] = {
    "epochs": 4, "batch_size": 128, "clean_every": "1 epoch", "checkpoint_every": None, "evaluate_every": None,
    "device": "cpu",
}  # fmt: skip
SCORERS = (
    "el2n@epoch=1", "el2n@mean", "el2n@last", "loss@mean", "loss@last", "entropy@mean", "margin@mean", "aum",
    "mean_confidence", "forgetting", "first_learned", "correctness",
)  # fmt: skip
TEST_SCORERS = ("el2n", "loss", "entropy", "margin", "margin:logit", "max_confidence")
PROXIES = ("linear", "cnn", "resnet")
PUBLISHED_EL2N = {
    "source": "EL2N, epoch 1, ten public seeds of another implementation and network",
    "single": 0.485, "single_lowest": 0.07, "single_highest": 0.73, "five_against_five": 0.84, "overlap_at_30": 0.74,
}  # fmt: skip


def load(split: str) -> Examples:
    """Images with labels, ids by position in CIFAR-10."""
    return Examples.load(
        data_file(f"cifar10_30k/{split}.parquet"), image="image_jpeg", label="label", id="orig_index", name="cifar10"
    )  # fmt: skip


def column(split: str, name: str, examples: Examples) -> npt.NDArray[np.float64]:
    """A column of the file, in the order of the examples: (N,) or (N, K)."""
    table = pq.read_table(data_file(f"cifar10_30k/{split}.parquet"), columns=["orig_index", name])
    at = {index: row for row, index in enumerate(table["orig_index"].to_pylist())}
    values = table[name].to_pylist()
    return np.array([values[at[index]] for index in examples.ids.tolist()], dtype=np.float64)


def human_entropy(test_images: Examples) -> npt.NDArray[np.float64]:
    """Of the votes, in bits."""
    votes_NC = column("test", "cifar10h_counts", test_images)
    found: npt.NDArray[np.float64] = entropy(votes_NC, base=2, axis=1)
    return found


def seed_to_seed(scores: RunScores) -> dict[str, Any]:
    """Per score: Spearman of single runs (mean, lowest, highest pair), of half against half, overlap at 30 %."""
    found, (name,) = {}, scores.architectures
    for score in scores.scores:
        curve = run_curve(scores.values(score, name), keep=0.3)
        ranks_RN = scores.ranks(score, name)
        pairs = np.asarray(np.corrcoef(ranks_RN))[np.triu_indices(len(ranks_RN), 1)]
        found[score] = {
            "single": round(curve.single.rho.value, 4),
            "single_lowest": round(float(pairs.min()), 4),
            "single_highest": round(float(pairs.max()), 4),
            "single_overlap_at_30": round(curve.single.overlap.value, 4),
            "runs_against_runs": curve.largest.runs,
            "halves": round(curve.largest.rho.value, 4),
            "halves_overlap_at_30": round(curve.largest.overlap.value, 4),
        }
    return found


def main() -> None:
    """Train, score, compare."""
    arguments = parser(__doc__.splitlines()[0]).parse_args()
    train_images, test_images = load("train"), load("test")
    architectures, early = ARCHITECTURES, EARLY
    if arguments.quick:
        train_images, test_images = some(train_images, 600), some(test_images, 300)
        architectures = tuple(replace(each, runs=2) for each in architectures)
        early = replace(early, runs=2)
    with working_folder(arguments) as folder:
        all_runs = (*architectures, early)
        runs = train_cells(
            train_images, all_runs, folder, only=arguments.only, evaluate=test_images, **RECIPE
        )
        if arguments.train_only:
            return
        results = {"training": training_summary(all_runs, runs, folder), "recipe": RECIPE}
        results |= compare_all(train_images, test_images, architectures, folder)
        results["el2n_seed_to_seed"] = el2n(train_images, early, folder)
    if not arguments.quick:
        write_record("compare_cifar10", __doc__.splitlines()[0], results, seeds=range(early.runs))


def compare_all(
    train_images: Examples, test_images: Examples, architectures: tuple[Architecture, ...], folder: Path
) -> dict[str, Any]:
    """Two reports, ``folder/report-train`` and ``folder/report-test``."""
    places = folders(architectures, folder)
    predictions = predictions_of_runs(places, test_images, out=folder / "predictions", device="cpu")
    published = {"c_score": column("train", "c_score", train_images)}
    train_report = compare(
        score_cells(train_images, SCORERS, places, folder / "scores-train"),
        beside=ScoreTable.from_columns(train_images.ids, published, "easy"), examples=train_images,
        proxies=PROXIES, out=folder / "report-train", overwrite=True, show_progress=True,
    )  # fmt: skip
    human = {"human_entropy": human_entropy(test_images)}
    test_report = compare(
        score_cells(
            test_images, TEST_SCORERS, places, folder / "scores-test", signals="checkpoints", device="cpu"
        ),
        beside=ScoreTable.from_columns(test_images.ids, human, "hard"), examples=test_images,
        predictions=predictions, proxies=PROXIES, out=folder / "report-test", overwrite=True, show_progress=True,
    )  # fmt: skip
    return {
        "train": {**summary(train_report), "beside": beside_rows(train_report)},
        "test": {**summary(test_report), "beside": beside_rows(test_report)},
    }


def el2n(train_images: Examples, early: Architecture, folder: Path) -> dict[str, Any]:
    """EL2N from seed to seed: of the early runs, and of the others after every epoch."""
    epochs = [f"el2n@epoch={epoch}" for epoch in range(1, RECIPE["epochs"] + 1)]
    found: dict[str, Any] = {"published": PUBLISHED_EL2N}
    for name, scorers in ((early.name, epochs[:1]), ("cnn", epochs)):
        place = {name: folder / "runs" / name}
        found[name] = seed_to_seed(score_cells(train_images, scorers, place, folder / "scores-el2n"))
    return found


def beside_rows(report: Comparison) -> list[dict[str, Any]]:
    """Correlations with the column from elsewhere, score by score and architecture by architecture."""
    return [
        dict(zip(listing.header, [round(cell, 4) if isinstance(cell, float) else cell for cell in row]))
        for listing in report["beside"].listings
        for row in listing.rows
    ]


if __name__ == "__main__":
    main()
