"""Claim: entropy- or EL2N-selected rows of a weakly labelled pool help a low-resource classifier more than random ones.

Hausa news titles (Hedderich et al. 2020): every draw takes 400 rows with clean labels as the labelled data; the pool is
all others, 1,645 of the same file and 3,031 different titles with labels of rules alone, about half of which are wrong.
A linear model on character n-grams (the recipe of ``label_errors``) trains on the labelled rows, labels the pool
(pseudo) or is compared with the labels that came with it (given), scores it, and part of it is added: both ends of
entropy and of EL2N against random and class-stratified random parts of the same size, with and without a gate, at equal
steps. The test set (582 titles) is fixed; the intervals are over draws of the labelled rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.augmentation_redundant import told as outcome_told
from benchmarks.record import data_file, write_record
from scoring.examples import Examples
from scoring.hashing import hash64
from training.studies.augmentation import Augmentation
from training.studies.outcomes import outcomes
from training.studies.running import run_study

LABELLED = 400
NOT_KNOWN = "not known"
SIZES = (250, 1000)
MODEL = 'linear(analyzer="char_wb",ngrams=[2,4])'
STEPS = 140
"""20 epochs of the labelled rows, in batches of 64."""
SELECT = ["highest by entropy", "lowest by entropy", "hardest by el2n", "easiest by el2n"]
POOLS = {
    "pseudo": {"labels": "pseudo"},
    "pseudo, most confident half": {"labels": "pseudo", "most": "50%"},
    "given": {"labels": "given"},
    "given, agreeing": {"labels": "given", "confidence": 0},
}


def draw(seed: int) -> Augmentation:
    """The study of one draw of the labelled rows, with that one seed."""
    clean = pd.read_parquet(data_file("hausa_newsclass/train_clean_and_noisy.parquet"))
    extra = pd.read_parquet(data_file("hausa_newsclass/train_extra_noisy_only.parquet"))
    heldout = pd.read_parquet(data_file("hausa_newsclass/eval.parquet"))
    # A title that is in a file twice says nothing new the second time.
    extra = extra.drop_duplicates("text").assign(clean_label=NOT_KNOWN)
    rank = np.argsort(hash64(seed, clean.text.tolist()))
    labelled, rest = clean.iloc[np.sort(rank[:LABELLED])], clean.iloc[np.sort(rank[LABELLED:])]
    classes = sorted(clean.clean_label.unique())

    def read(frame: pd.DataFrame, label: str, name: str) -> Examples:
        return Examples.load(
            frame.reset_index(drop=True), text="text", label=label, label_names=classes, name=name
        )

    columns = ["text", "noisy_label", "clean_label"]
    pool = pd.concat([rest[columns], extra[columns]], ignore_index=True)
    return Augmentation(
        data=read(labelled[["text", "clean_label"]], "clean_label", "labelled"), pool=read(pool, "noisy_label", "pool"),
        test=read(heldout[heldout.split == "test"][["text", "label"]], "label", "test"), models=MODEL, pools=POOLS,
        labeller={"seeds": [1000]}, scores={"scorers": ["entropy", "el2n"]}, select=SELECT, keep=list(SIZES),
        seeds=[seed], steps=STEPS, regimes=["steps"],
    )  # fmt: skip


def weak_labels(study: Augmentation, out: Path) -> dict[str, dict[str, float]]:
    """What labels and gates came to, and the share of wrong labels among rows whose clean label is known."""
    material = study.material()
    pool, names = material.pool, np.array(material.test.label_names)
    clean = np.array(pool.table.read("clean_label", pool.table_rows(np.arange(len(pool)))).to_pylist())
    told = {}
    for name in POOLS:
        found = study.labelled_pool("as is", name, out)
        known = clean != NOT_KNOWN
        wrong, behind = names[found.labels_P] != clean, known & found.passes_P
        told[name] = {
            **study.realised[name], "known": int(known.sum()), "wrong_of_known": float(wrong[known].mean()),
            "known_behind_gate": int(behind.sum()), "wrong_of_known_behind_gate": float(wrong[behind].mean()),
        }  # fmt: skip
    return told


def one_draw(folder: str, seed: int) -> tuple[pa.Table, dict[str, dict[str, float]], float]:
    """The run table of one draw, what its pools came to, and core seconds."""
    started, out = time.process_time(), Path(folder) / f"draw-{seed}"
    study = draw(seed)
    table = run_study(study, out)
    return table, weak_labels(study, out), time.process_time() - started


def main() -> None:
    """Run all draws and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    tables, realised, seconds = [], [], 0.0
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(arguments.workers, spawn) as workers:
        for table, told, took in workers.map(partial(one_draw, folder), range(arguments.draws)):
            tables.append(table)
            realised.append(told)
            seconds += took
            print(f"draw {len(tables) - 1}: {took:.0f} core seconds", flush=True)
    table = pa.concat_tables(tables)
    results = {
        "labelled": LABELLED, "sizes": SIZES, "steps": STEPS, "model": MODEL, "draws": arguments.draws,
        "core_seconds": seconds, "pools": {name: _mean([each[name] for each in realised]) for name in POOLS},
        "accuracy": [outcome_told(each) for each in outcomes(table)],
        "macro_f1": [outcome_told(each) for each in outcomes(table, "macro_f1")],
    }  # fmt: skip
    write_record("augmentation_hausa", (__doc__ or "").splitlines()[0], results, range(arguments.draws))


def _mean(told: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in told])) for name in told[0]}


if __name__ == "__main__":
    main()
