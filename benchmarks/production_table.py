"""Claim: VoG normalised over the dataset loses least accuracy when a voice assistant's training data are pruned; is it so?

The production table of Anand, Tan and Minakova 2023 (section 5) on public stand-ins: domains of HWU64 (18) and of the
imbalanced CLINC150 (10, without out-of-scope rows), classified by a linear model on TF-IDF and by an MLP on frozen
MiniLM embeddings. Told as there: the relative change of the error against training on all data, and sigma, that change
per share of data removed; and which domains gain or lose representation. Judged on the validation and test parts
together (nothing is tuned on either).

Every seed scores by three runs of its own, chooses and retrains, so a seed varies score, draw and training; the test
examples are the same throughout, and their sampling is in no interval. Differs from the paper: models and sizes; VoG of
the linear model is that of the weights of the terms, of the MLP that of the embedding's dimensions; scores are means
over 3 runs; forgetting counts presentations over all epochs; errors are one minus accuracy, not semantic errors.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.minilm import embed
from benchmarks.record import data_file
from scoring.examples import Examples
from training.studies.pruning import Pruning
from training.studies.running import run_study

KEEP = ("48%", "54%", "86%")
BY_CLASS, BY_DATASET = "vog:anand2023(norm=class)", "vog:anand2023(norm=dataset)"
EARLY, FORGETTING = "el2n@epoch=2", "forgetting"
SELECT: list[Any] = [
    {"take": "weighted", "by": [BY_CLASS, BY_DATASET]},
    {"take": "hardest", "by": [BY_CLASS, BY_DATASET, EARLY, FORGETTING]},
    {"take": "easiest", "by": [BY_CLASS, BY_DATASET, EARLY]},
    {"take": "softmax", "by": [FORGETTING]},
]
MODELS = {"linear": "linear(buckets=16384,ngrams=[1,1])", "minilm": "mlp(hidden=[64])"}
RECIPES: dict[str, dict[str, Any]] = {
    "linear": {"batch_size": 128, "optimizer": "sgd", "lr": 5.0},
    "minilm": {"batch_size": 128, "optimizer": "adamw", "lr": 1e-3},
}
EPOCHS = {"linear": 5, "minilm": 10}
REGIMES = {"linear": ["steps", "epochs"], "minilm": ["steps"]}
SCORED_EPOCHS = 10
SCORING_RUNS = 3


def frame_of(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Texts and domains to train on and to test on."""
    file = {"hwu64": "hwu64/hwu64.parquet", "clinc150": "clinc150/imbalanced.parquet"}[name]
    frame = pd.read_parquet(data_file(file))
    if "is_oos" in frame:
        frame = frame[~frame["is_oos"]]
    train = (frame["split"] == "train").to_numpy()
    columns = frame[["text", "domain"]]
    return columns[train].reset_index(drop=True), columns[~train].reset_index(drop=True)


def examples_of(name: str, representation: str, folder: Path) -> tuple[Examples, Examples]:
    """Both parts, as texts or as embeddings that are kept in ``folder``."""
    made = []
    for part, frame in zip(("train", "test"), frame_of(name), strict=True):
        if representation == "linear":
            made.append(Examples.load(frame, text="text", label="domain", name=name))
            continue
        path = folder / f"{name}-{part}.npy"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            np.save(path, embed(frame["text"].tolist(), 64))
        columns = {"features": np.load(path), "domain": frame["domain"].to_numpy()}
        made.append(Examples.load(columns, features="features", label="domain", name=name))
    return made[0], made[1]


def study_of(data: tuple[Examples, Examples], representation: str, seed: int) -> Pruning:
    """The study of one seed: scores of its own runs."""
    model, recipe = MODELS[representation], RECIPES[representation]
    first = 1000 + SCORING_RUNS * seed
    scores = {
        "scorers": [BY_CLASS, BY_DATASET, EARLY, FORGETTING], "model": model,
        "seeds": list(range(first, first + SCORING_RUNS)),
        "train": {**recipe, "epochs": SCORED_EPOCHS, "checkpoint_every": "1 epoch", "clean_every": "1 epoch"},
    }  # fmt: skip
    return Pruning(
        data=data[0], test=data[1], models=model, scores=scores, select=SELECT, keep=KEEP, seeds=[seed],
        epochs=EPOCHS[representation], regimes=REGIMES[representation], train_settings=recipe, leaked="drop", device="cpu",
    )  # fmt: skip


def table_of(name: str, representation: str, seeds: list[int], folder: Path) -> pa.Table:
    """The run table of all seeds."""
    data = examples_of(name, representation, folder)
    place = folder / f"{name}-{representation}"
    return pa.concat_tables(
        run_study(study_of(data, representation, seed), place / f"seed-{seed}", progress=True)
        for seed in seeds
    )


def main() -> None:
    """Train all, and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, default=Path("production-table"))
    parser.add_argument("--data", default="hwu64,clinc150")
    parser.add_argument("--representations", default="linear,minilm")
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    seeds = list(range(given.seeds))
    for representation in given.representations.split(","):
        for name in given.data.split(","):
            table_of(name, representation, seeds, given.folder)


if __name__ == "__main__":
    main()
