"""Claim: behind a gate, uncertain rows of a redundant pool lower the error more than random rows of the same number.

Sabbineni, Anand & Minakova 2023 made small, on the digits of scikit-learn. Six classes are easy (20 labelled rows each)
and four are not (4 each). The pool of 1,320 rows repeats the easy ones, 60 near-copies of each of their 3 most central
rows, and has 60 different rows of every other class. 80 rows are added, by the highest entropy and the highest EL2N of
a model that trained on the labelled rows, against random and class-stratified random parts. Four pools: weak labels of
which exactly 20 % are wrong (uniformly), with a gate (the model agrees) and without; the model's own labels, with a
gate (probability 0.5) and without. Equal steps; the intervals are over draws of all rows, test set (597) included.

Without a gate EL2N looks for wrong labels and finds them. Entropy does not see labels: its gain survives wrong ones
that lie anywhere, and is gone where labels are wrong as a model's own are, where it is uncertain.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.record import write_record
from scoring.examples import Examples
from scoring.hashing import hash64
from training.interventions.noisy_labels import flip_labels
from training.studies.augmentation import Augmentation
from training.studies.outcomes import Outcome, outcomes
from training.studies.paired import Difference
from training.studies.running import run_study

EASY = (0, 2, 4, 5, 6, 7)
LABELLED = {True: 20, False: 4}
"""Rows of every easy class, and of every other one."""
CENTRAL, COPIES, DIFFERENT, TEST = 3, 60, 60, 597
WRONG, ADDED, STEPS = 0.2, 80, 150
RECIPE = {"batch_size": 64, "lr": 0.03}
NAMES = [str(digit) for digit in range(10)]
POOLS = {
    "20 % wrong, gate": {"labels": "given", "confidence": 0},
    "20 % wrong, no gate": {"labels": "given"},
    "own labels, gate": {"labels": "pseudo", "confidence": 0.5},
    "own labels, no gate": {"labels": "pseudo"},
}


def draw(seed: int, pools: tuple[str, ...] = tuple(POOLS)) -> Augmentation:
    """The study of one draw, with that one seed."""
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    pixels = (pixels / 16).astype(np.float32)
    order = np.argsort(hash64(seed, np.arange(len(digits))))
    test, rest = order[:TEST], order[TEST:]
    labelled, pool, copies = [], [], []
    for digit in range(10):
        rows = rest[digits[rest] == digit]
        own = LABELLED[digit in EASY]
        centre = pixels[rows].mean(axis=0)
        labelled.append(rows[:own])
        left = rows[own:]
        if digit in EASY:
            distance = ((pixels[left] - centre) ** 2).sum(axis=1)
            copies.append(np.repeat(left[np.argsort(distance)[:CENTRAL]], COPIES))
        else:
            pool.append(left[:DIFFERENT])
    repeated = np.concatenate(copies)
    noise = np.random.default_rng(seed).normal(size=(len(repeated), 64)) * 0.02
    near = np.clip(pixels[repeated] + noise, 0, 1).astype(np.float32)
    different, known = np.concatenate(pool), np.concatenate(labelled)

    def load(values: np.ndarray, labels: np.ndarray, first: int, name: str) -> Examples:
        names = [NAMES[each] for each in labels]
        ids = np.arange(first, first + len(labels))
        columns = {"x": values, "label": names, "true": names, "id": ids}
        return Examples.load(columns, features="x", label="label", id="id", label_names=NAMES, name=name)

    offered = load(
        np.concatenate([near, pixels[different]]),
        digits[np.concatenate([repeated, different])],
        20_000,
        "pool",
    )
    return Augmentation(
        data=load(pixels[known], digits[known], 0, "labelled"), test=load(pixels[test], digits[test], 10_000, "test"),
        pool=flip_labels(offered, WRONG, seed).examples, truth="true", pools={name: POOLS[name] for name in pools},
        models="linear", labeller={"seeds": [1000 + seed]}, scores={"scorers": ["entropy", "el2n"]},
        select=["highest by entropy", "highest by el2n"], keep=[ADDED], seeds=[seed], steps=STEPS, regimes=["steps"],
        train_settings=RECIPE,
    )  # fmt: skip


def main() -> None:
    """Run all draws and write the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=10)
    arguments = parser.parse_args()
    started, tables, realised = time.process_time(), [], []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.draws):
            study = draw(seed)
            tables.append(run_study(study, Path(folder) / f"draw-{seed}"))
            realised.append(study.realised)
            print(f"draw {seed}: {time.process_time() - started:.0f} core seconds", flush=True)
    table = pa.concat_tables(tables)
    wrong = {(each.variant, each.way): each.mean for each in outcomes(table, "wrong", split="train")}
    results = {
        "draws": arguments.draws, "added": ADDED, "steps": STEPS, "core_seconds": time.process_time() - started,
        "pools": {
            name: {key: float(np.mean([each[name][key] for each in realised])) for key in realised[0][name]}
            for name in POOLS
        },
        "accuracy": [{**told(each), "wrong": wrong.get((each.variant, each.way))} for each in outcomes(table)],
    }  # fmt: skip
    write_record("augmentation_redundant", (__doc__ or "").splitlines()[0], results, range(arguments.draws))


def told(outcome: Outcome) -> dict[str, Any]:
    """An outcome of a pool for the record, with every paired interval."""

    def said(difference: Difference | None) -> dict[str, Any] | None:
        if difference is None:
            return None
        interval = [round(each, 4) for each in (difference.low, difference.high)]
        return {
            "mean": round(difference.mean, 4),
            "interval_95": interval,
            "verdict": outcome.called(difference),
        }

    return {
        "pool": outcome.variant, "way": outcome.way, "budget": outcome.budget, "rows": outcome.rows,
        "mean": round(outcome.mean, 4), "sd": round(outcome.sd, 4), "against_random": said(outcome.against_random),
        "against_stratified": said(outcome.against_stratified), "against_labelled_alone": said(outcome.against_all),
    }  # fmt: skip


if __name__ == "__main__":
    main()
