"""Claim: the advice before pruning holds in small studies: what it recommends is nowhere worse than random.

* ``digits`` as they are, and ``digits-noisy`` with 10 % of the labels flipped: an MLP.
* ``hwu64``: 2,000 utterances of 64 intents, people's labels: a linear model on words.
* ``hausa``: rule-made labels of news titles, 50 % wrong by rules; without and with 100 labels that people
  checked. The estimate cannot see what the model learns, so the advice is given for both.

Advice is asked for at 50, 30 and 10 % kept; then the study trains hardest, easiest, the advised way and both
random shares.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.record import data_file, write_record
from scoring.examples import Examples
from training.advice.advice import Advice
from training.advice.advise import advise
from training.interventions.noisy_labels import flip_labels
from training.studies.outcomes import outcomes
from training.studies.pruning import Pruning
from training.studies.running import run_study

KEEPS = ["50%", "30%", "10%"]
SGD = {"optimizer": "sgd", "lr": 5.0}
WORDS = "linear(buckets=16384,ngrams=[1,1])"


def digits() -> dict[str, Any]:
    """Clean digits."""
    examples = Examples.load("digits")
    return {"data": examples, "test": examples.other_split("test"), "model": "mlp", "epochs": 15, "train": {}}


def digits_noisy() -> dict[str, Any]:
    """Digits with 10 % flips."""
    clean = digits()
    return {**clean, "data": flip_labels(clean["data"], 0.1, 0).examples}


def hwu64() -> dict[str, Any]:
    """A part of the training utterances, and all that are for testing."""
    frame = pd.read_parquet(data_file("hwu64/hwu64.parquet"))
    parts = {}
    for split, rows in (("train", 2_000), ("test", None)):
        part = frame[frame.split == split]
        part = part if rows is None else part.sample(rows, random_state=0)
        parts[split] = Examples.load(
            part[["text", "intent"]].reset_index(drop=True), text="text", label="intent", name="hwu64",
            label_names=sorted(frame.intent.unique()),
        )  # fmt: skip
    return {"data": parts["train"], "test": parts["test"], "model": WORDS, "epochs": 15, "train": SGD}


def hausa() -> dict[str, Any]:
    """Titles with rule-made labels; every twentieth was checked."""
    frame = pd.read_parquet(data_file("hausa_newsclass/train_clean_and_noisy.parquet"))
    checked = frame.clean_label.where(np.arange(len(frame)) % 20 == 0)
    names = sorted(set(frame.clean_label) | set(frame.noisy_label))
    frame = frame.assign(checked=checked.astype(object).where(checked.notna(), None))
    examples = Examples.load(
        frame[["text", "noisy_label", "checked"]], text="text", label="noisy_label", name="hausa", label_names=names
    )  # fmt: skip
    test = pd.read_parquet(data_file("hausa_newsclass/eval.parquet"))
    test = test[test.split == "test"][["text", "label"]].reset_index(drop=True)
    judged = Examples.load(test, text="text", label="label", name="hausa", label_names=names)
    return {
        "data": examples, "test": judged, "model": WORDS, "epochs": 15, "train": SGD, "checked": "checked",
        "truly_wrong": float((frame.clean_label != frame.noisy_label).mean()),
    }  # fmt: skip


CASES = {"digits": digits, "digits-noisy": digits_noisy, "hwu64": hwu64, "hausa": hausa}


def study_of(case: dict[str, Any], advices: list[Advice], out: Path) -> list[dict[str, Any]]:
    """What hardest, easiest and the advised ways come to, beside random."""
    by = "el2n@mean"
    ways: list[dict[str, Any]] = [{"take": "hardest", "by": by}, {"take": "easiest", "by": by}]
    for advice in advices:
        for each in advice.recommendations:
            ways += [] if dict(each.way) in ways else [dict(each.way)]
    settings = {"device": "cpu", "leaked": "drop", "regimes": ["steps"], "train_settings": case["train"]}
    scores = {"scorers": by, "model": case["model"], "train": {"epochs": case["epochs"], **case["train"]}}
    ways = [way for way in ways if not (way["take"] == "random" and way["balance"] == "proportional")]
    study = Pruning(
        data=case["data"], test=case["test"], models=case["model"], select=ways, keep=KEEPS, scores=scores,
        epochs=case["epochs"], **settings,
    )  # fmt: skip
    return [
        {
            "way": each.way, "keep": each.budget, "mean": each.mean, "sd": each.sd,
            "minus_random": each.against_random and [
                each.against_random.mean, each.against_random.low, each.against_random.high
            ],
            "verdict": each.verdict,
        }
        for each in outcomes(run_study(study, out), "accuracy")
    ]  # fmt: skip


def main() -> None:
    """Advice first, then what a study finds."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", default=",".join(CASES))
    arguments = parser.parse_args()
    results: dict[str, Any] = {}
    for name in arguments.cases.split(","):
        case, started = CASES[name](), time.process_time()
        asked = {"keep": KEEPS, "cheap": case["model"], "epochs": case["epochs"], "train": case["train"]}
        asked |= {"device": "cpu", "seeds": (0,)}
        advices = {"estimated": advise(case["data"], case["model"], **asked)}
        if "checked" in case:
            advices["checked"] = advise(case["data"], case["model"], checked=case["checked"], **asked)
        with tempfile.TemporaryDirectory() as folder:
            found = study_of(case, list(advices.values()), Path(folder))
        results[name] = {
            "truly_wrong": case.get("truly_wrong"),
            "advice": {kind: advice.to_dict() for kind, advice in advices.items()},
            "study": found,
            "cpu_seconds": time.process_time() - started,
        }
        for kind, advice in advices.items():
            print(name, kind, [(each.keep, each.choice, each.because) for each in advice.recommendations])
        for row in found:
            print(
                name,
                row["keep"],
                row["way"],
                f"{row['mean']:.3f}",
                row["minus_random"],
                row["verdict"],
                flush=True,
            )
    write_record("advice", __doc__.splitlines()[0], results, (0, 1, 2))


if __name__ == "__main__":
    main()
