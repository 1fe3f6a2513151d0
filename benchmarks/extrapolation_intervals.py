"""Claim: 95 % intervals of a law for new runs hold among its runs; beyond them only as far as the law goes on as it is.

The four corpora of the sweep of Brandfonbrener et al. 2024. Every law is fitted to the runs below a compute budget, by
Huber's loss as `tamis fit` does, and judged on the runs at and above it: the share that lies inside their 95 %
intervals. For comparison a third of all runs, drawn at random, is held out among the others.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.record import data_file, write_record
from training.laws.catalog import form_named
from training.laws.evaluation import evaluate
from training.laws.extrapolation import extrapolation_table
from training.laws.run_table import RunTable, read_run_table
from training.laws.uncertainty.bootstrap import bootstrap

LAWS = ("kaplan_offset", "chinchilla")
BUDGETS = (2e18, 2e19)
LEVEL = 0.95


def among(rows: RunTable, law: str, resamples: int, seed: int) -> tuple[int, int]:
    """Runs held out at random, and how many of them lie inside their intervals."""
    order = np.random.default_rng(seed).permutation(len(rows))
    train = np.ones(len(rows), dtype=bool)
    train[order[: len(rows) // 3]] = False
    found = evaluate(form_named(law), rows.inputs, rows["value"], train=train)
    _, low, high = bootstrap(found.fitted, resamples).predict(found.inputs, LEVEL)
    return len(found.actual_T), int(((found.actual_T >= low) & (found.actual_T <= high)).sum())


def main() -> None:
    """Fit below, judge above, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resamples", type=int, default=300)
    parser.add_argument("--no-record", action="store_true")
    options = parser.parse_args()
    path = data_file("scaling/loss_to_loss/sweep.csv")
    table = read_run_table(path, {"N": "params", "D": "tokens", "corpus": "data"}, ["val_loss"])
    forms = {law: form_named(law) for law in LAWS}
    rows: list[dict[str, Any]] = []
    for corpus in table.names("corpus"):
        mine = table.where(corpus=corpus)
        for each in extrapolation_table(mine, forms, BUDGETS, level=LEVEL, resamples=options.resamples):
            rows.append(
                {
                    "corpus": corpus, "law": each.form, "below": each.below, "trained": each.trained,
                    "tested": each.tested, "inside": each.inside, "mean_error": each.mean_error,
                    "worst_error": each.worst_error, "cautions": [caution.code for caution in each.cautions],
                }
            )  # fmt: skip
        for law in LAWS:
            tested, inside = among(mine, law, options.resamples, 0)
            rows.append(
                {"corpus": corpus, "law": law, "below": None, "tested": tested, "inside": inside / tested}
            )
    shares = {
        law: {
            "among" if below is None else f"from {below:g}": round(
                sum(row["inside"] * row["tested"] for row in chosen) / sum(row["tested"] for row in chosen), 3
            )
            for below in (None, *BUDGETS)
            if (chosen := [row for row in rows if row["law"] == law and row["below"] == below])
        }
        for law in LAWS
    }
    results = {"level": LEVEL, "resamples": options.resamples, "inside": shares, "rows": rows}
    claim = (__doc__ or "").splitlines()[0].removeprefix("Claim: ")
    if options.no_record:
        print(results)
    else:
        write_record("extrapolation_intervals", claim, results, seeds=[0])


if __name__ == "__main__":
    main()
