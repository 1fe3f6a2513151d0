"""Claim: near-duplicate removal removes the known duplicates of SST-2, and training is unharmed.

SST-2 has the phrases of sentences beside the sentences: 12 % of the training phrases repeat another one but for case,
punctuation and white space. A linear model on hashed 1-2-grams is trained with equal updates on all training phrases,
on what each strategy leaves, and on a random share of the same size, and tested on phrases and sentences whose
normalised text is not among the training phrases. Differences are paired over seeds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.minilm import embed
from benchmarks.record import data_file, write_record
from scoring.duplicates.shingles import normalized
from scoring.examples import Examples
from scoring.table import ScoreTable
from selection.run import select
from selection.strategies.exact_dedup import ExactDedup
from selection.strategies.minhash_dedup import MinhashDedup
from selection.strategies.semantic_dedup import SemanticDedup
from selection.strategy import Strategy
from selection.subset import Subset
from training.run import train
from training.studies.paired import paired_difference

WAYS: dict[str, Strategy] = {
    "exact_dedup": ExactDedup(),
    "minhash_dedup": MinhashDedup(),
    "semantic_dedup": SemanticDedup(),
    "semantic_dedup, eps 0.1": SemanticDedup(eps=0.1),
    "semantic_dedup, 4 clusters": SemanticDedup(clusters=4),
    "semantic_dedup of normalised phrases": SemanticDedup(eps=1e-6),
}
RECIPE: dict[str, Any] = {
    "batch_size": 64, "optimizer": "sgd", "lr": 5.0, "device": "cpu", "checkpoint_every": None, "evaluate_every": None,
    "model_options": {"buckets": 2**16, "ngrams": [1, 2]},
}  # fmt: skip


def phrases() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training phrases, and what of the rest has a normalised text of its own."""
    frame = pd.read_parquet(data_file("sst2/sst2_phrases.parquet"))
    frame["normal"] = frame["text"].map(normalized)
    frame["id"] = np.arange(len(frame))
    known = frame[frame.split == "train"]
    rest = frame[(frame.split != "train") & ~frame.normal.isin(set(known.normal))]
    return known.reset_index(drop=True), rest.drop_duplicates("normal").reset_index(drop=True)


def examples_of(frame: pd.DataFrame) -> Examples:
    """Texts and labels."""
    return Examples.load(frame[["id", "text", "label"]], text="text", label="label", id="id", name="sst2")


def accuracies(
    examples: Examples, test: Examples, subset: Subset | None, steps: int, seeds: list[int]
) -> list[float]:
    """On the test phrases, one number per seed."""
    with tempfile.TemporaryDirectory() as folder:
        runs = train(
            examples,
            "linear",
            out=Path(folder),
            evaluate=test,
            subset=subset,
            seeds=seeds,
            steps=steps,
            **RECIPE,
        )
        return [run.summary()["metrics"]["evaluation/accuracy"] for run in runs]


def main() -> None:
    """Remove, count, train."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument(
        "--embeddings", help="a .npy file of the embeddings; computed and written if it is not there"
    )
    arguments = parser.parse_args()
    seeds = list(range(arguments.seeds))
    frame, rest = phrases()
    examples, test = examples_of(frame), examples_of(rest)
    group = pd.factorize(frame.normal)[0]
    texts = sorted({*frame.text, *frame.normal})
    place = {text: row for row, text in enumerate(texts)}
    if arguments.embeddings and Path(arguments.embeddings).exists():
        vectors = np.load(arguments.embeddings, allow_pickle=False)
    else:
        vectors = embed(texts)
        if arguments.embeddings:
            np.save(arguments.embeddings, vectors)
    table = ScoreTable.from_columns(frame.id.to_numpy(), {"none": np.zeros(len(frame))}, "arbitrary")
    full = accuracies(examples, test, None, arguments.steps, seeds)
    results: dict[str, Any] = {
        "rows": len(frame), "test_rows": len(rest), "known_duplicates": int(len(group) - group.max() - 1),
        "recipe": {**RECIPE, "steps": arguments.steps}, "accuracy_of_all": full, "ways": {},
    }  # fmt: skip
    for name, strategy in WAYS.items():
        read = frame.normal if "normalised" in name else frame.text
        started = time.perf_counter()
        subset = select(table, take=strategy, texts=frame.text.tolist(), embeddings=vectors[read.map(place)])
        seconds = time.perf_counter() - started
        kept = group[np.searchsorted(frame.id, subset.ids)]
        by_random = select(table, take="random", keep=len(subset))
        own = accuracies(examples, test, Subset.from_ids(subset.ids), arguments.steps, seeds)
        drawn = accuracies(examples, test, Subset.from_ids(by_random.ids), arguments.steps, seeds)
        results["ways"][name] = {
            "kept": len(subset),
            "known_duplicates_left": int(len(kept) - len(np.unique(kept))),
            "known_texts_lost": int(group.max() + 1 - len(np.unique(kept))),
            "seconds": seconds,
            "accuracy": own,
            "minus_all": told(own, full),
            "random_accuracy": drawn,
            "minus_random": told(own, drawn),
        }
        print(name, results["ways"][name], flush=True)
    write_record("sst2_dedup", __doc__.splitlines()[0], results, seeds)


def told(values: list[float], baseline: list[float]) -> dict[str, Any]:
    """The paired difference and its verdict."""
    found = paired_difference(values, baseline)
    return {"mean": found.mean, "interval_95": [found.low, found.high], "verdict": found.verdict()}


if __name__ == "__main__":
    main()
