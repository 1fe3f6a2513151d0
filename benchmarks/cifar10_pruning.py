"""Claim: on CIFAR-10 top-k pruning collapses at 10 % kept, coverage-centric selection mends it; noise decides the end.

30,000 images with clean labels, and with the people's labels of CIFAR-10N, ``aggregate`` (9 % wrong) and ``worst``
(40 %). Scores are means over three recorded runs on the same labels. Every run that is judged has the same number of
updates, on 75, 50, 25 or 10 % kept, and is tested on the 10,000 clean test images. A second study drops the hardest
tenth and the hardest 40 %; a third keeps 75 % of the clean images for three times as many updates.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.record import data_file, write_record
from scoring.engines.processes import Processes
from scoring.examples import Examples
from training.studies.outcomes import Outcome, outcomes
from training.studies.pruning import Pruning
from training.studies.running import run_study

MODEL = "cnn(channels=[16,32,64],depth=1)"
RECIPE: dict[str, Any] = {
    "batch_size": 128, "lr": 0.01, "schedule": "linear", "warmup": 0.1, "precision": "bfloat16"
}  # fmt: skip
VARIANTS = {
    "clean": [],
    "aggregate": [{"labels_from": "cifar10n_aggre_label"}],
    "worst": [{"labels_from": "cifar10n_worse_label"}],
}
SCORES = {
    "scorers": ["el2n@mean", "aum", "forgetting"],
    "model": MODEL,
    "seeds": [1000, 1001, 1002],
    "train": {**RECIPE, "epochs": 6, "clean_every": "1 epoch"},
}
HARDEST = ["el2n@mean", "aum", "forgetting"]
GRIDS: dict[str, dict[str, Any]] = {
    "pruning": {
        "select": [
            {"take": "hardest", "by": HARDEST},
            {"take": "stratified", "by": "aum", "drop_hardest": 0.2},
        ],
        "keep": ["75%", "50%", "25%", "10%"],
        "variants": VARIANTS,
    },
    "dropping": {
        "select": [{"take": "easiest", "by": "el2n@mean"}],
        "keep": ["90%", "60%"],
        "variants": {name: VARIANTS[name] for name in ("aggregate", "worst")},
    },
    "longer": {
        "select": [
            {"take": "hardest", "by": HARDEST},
            {"take": "stratified", "by": "aum", "drop_hardest": 0.2},
        ],
        "keep": ["75%"],
        "variants": {"clean": []},
    },
}
TIMES = {"longer": 3}
"""Grids that train for so many times the updates of the others."""


def images(part: str) -> Examples:
    """Decoded once, with all label columns."""
    frame = pd.read_parquet(data_file(f"cifar10_30k/{part}.parquet"))
    pixels = np.stack(
        [np.asarray(Image.open(io.BytesIO(each)).convert("RGB")) for each in frame["image_jpeg"]]
    )
    labels = {
        name: frame[name].to_numpy() for name in frame if name == "label" or name.startswith("cifar10n")
    }
    ids = frame["orig_index"].to_numpy()
    return Examples.load(
        {"image": pixels, "id": ids, **labels}, image="image", label="label", id="id", name="cifar10"
    )


def study(grid: str, seeds: list[int], steps: int) -> Pruning:
    """One of the grids."""
    return Pruning(
        data=images("train"), test=images("test"), models=MODEL, scores=SCORES, seeds=seeds, steps=steps,
        regimes=["steps"], train_settings=RECIPE, leaked="keep", **GRIDS[grid],
    )  # fmt: skip


def told(outcome: Outcome) -> dict[str, Any]:
    """One row of the record."""
    differences = {
        name: each
        and {"mean": each.mean, "interval_95": [each.low, each.high], "verdict": outcome.called(each)}
        for name, each in (
            ("minus_random", outcome.against_random),
            ("minus_stratified", outcome.against_stratified),
            ("minus_all", outcome.against_all),
        )
    }
    return {
        "labels": outcome.variant, "way": outcome.way, "kept": outcome.budget, "rows": outcome.rows,
        "accuracy": outcome.mean, "sd": outcome.sd, "values": list(outcome.values.values()), **differences,
    }  # fmt: skip


def main() -> None:
    """The grids, and the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("cifar10-pruning"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--grids", default=",".join(GRIDS))
    given = parser.parse_args()
    seeds, results = list(range(given.seeds)), {}
    for grid in given.grids.split(","):
        asked = study(grid, seeds, given.steps * TIMES.get(grid, 1))
        table = run_study(asked, given.folder / grid, engine=Processes(given.workers), progress=True)
        realised = {name: list(each.realised) for name, each in asked.material().variants.items()}
        rows = [told(each) for each in outcomes(table)]
        results[grid] = {"variants": realised, "runs": len(set(table["run"].to_pylist())), "outcomes": rows}
    results["recipe"] = {**RECIPE, "model": MODEL, "steps": given.steps, "times": TIMES, "scores": SCORES}
    write_record("cifar10_pruning", str(__doc__), results, seeds)


if __name__ == "__main__":
    main()
