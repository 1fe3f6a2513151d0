"""Claim: cross-fitted scores find human-verified label errors where the noise is findable, and say so where it is not.

* ``cifar10n``: CIFAR-10N ``worse`` labels (40 % wrong) on 30,000 images, 3-fold, small CNN; truth: the clean labels.
* ``news20``: 20 Newsgroups, 5-fold, linear model on hashed TF-IDF; truth: the 82 crowd-verified errors of its test
  part. Only candidates that another tool flagged were verified, so this AUROC is optimistic.
* ``hausa``: rule-made labels of news titles (50 % wrong, systematic), 5-fold, linear model on character n-grams.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.record import data_file, write_record
from scoring.compare.detection import detections
from scoring.examples import Examples
from scoring.run import score
from training.crossfit import train_folds

SCORERS = ["el2n", "loss", "margin", "entropy", "self_confidence", "confidence_weighted_entropy"]


def cifar10n() -> tuple[Examples, np.ndarray, dict[str, Any]]:
    """Noisy images, which labels are wrong, and the training."""
    file = data_file("cifar10_30k/train.parquet")
    columns = {"image": "image_jpeg", "id": "orig_index", "name": "cifar10n-worse"}
    noisy = Examples.load(file, label="cifar10n_worse_label", **columns)
    clean = pd.read_parquet(file, columns=["orig_index", "label"]).set_index("orig_index").label
    wrong = noisy.labels != clean.loc[noisy.ids].to_numpy()
    recipe = {"model": "cnn", "folds": 3, "steps": 900, "batch_size": 128, "seeds": [0]}
    return noisy, wrong, recipe


def news20() -> tuple[Examples, np.ndarray, dict[str, Any]]:
    """Both parts of 20 Newsgroups; errors are known for rows of the test part only, the others count as right."""
    frames = [pd.read_parquet(data_file(f"news20/{part}.parquet")) for part in ("train", "test")]
    frame = pd.concat(frames, ignore_index=True)
    examples = Examples.load(frame[["text", "label_name"]], text="text", label="label_name", name="news20")
    wrong = frame["mturk_error"].fillna(False).to_numpy(dtype=bool)
    return examples, wrong, {
        "model": "linear", "folds": 5, "epochs": 4, "seeds": [0, 1], "model_options": {"ngrams": [1, 1]}
    }  # fmt: skip


def hausa() -> tuple[Examples, np.ndarray, dict[str, Any]]:
    """Titles with the labels that rules gave them."""
    frame = pd.read_parquet(data_file("hausa_newsclass/train_clean_and_noisy.parquet"))
    examples = Examples.load(frame[["text", "noisy_label"]], text="text", label="noisy_label", name="hausa")
    options = {"analyzer": "char_wb", "ngrams": [2, 4]}
    return (
        examples,
        frame["is_noisy"].to_numpy(),
        {"model": "linear", "folds": 5, "epochs": 20, "seeds": [0], "model_options": options},
    )


CASES = {"cifar10n": (cifar10n, "all"), "news20": (news20, "test part"), "hausa": (hausa, "all")}


def main() -> None:
    """Cross-fit, score and compare with the truth."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", default=",".join(CASES))
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for case in arguments.cases.split(","):
        make, judged = CASES[case]
        examples, wrong, recipe = make()
        settings = dict(recipe)
        model = settings.pop("model")
        with tempfile.TemporaryDirectory() as folder:
            runs = train_folds(examples, model, out=folder, progress=True, **settings)
            table = score(examples, SCORERS, Path(folder))
            left_out = [run.summary()["metrics"]["left_out/accuracy"] for run in runs]
        rows = np.arange(len(examples)) if judged == "all" else np.arange(len(examples) - 7532, len(examples))
        columns = {name: table.column(name)[rows] for name in SCORERS}
        found = detections(columns, {name: table.meaning(name) for name in SCORERS}, wrong[rows])
        results[case] = {
            "rows": len(rows),
            "wrong": int(wrong[rows].sum()),
            "recipe": recipe,
            "left_out_accuracy": float(np.mean(left_out)),
            "scores": {
                d.name: {
                    "auroc": d.auroc, "interval_95": d.interval, "average_precision": d.average_precision,
                    "precision_at_errors": d.precision_at_k, "verdict": d.verdict,
                }
                for d in found
            },
        }  # fmt: skip
        for d in found:
            print(f"{case}: {d.verdict}", flush=True)
    write_record("label_errors", __doc__.splitlines()[0], results)


if __name__ == "__main__":
    main()
