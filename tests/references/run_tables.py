"""Score tables of several architectures with a column per run, as ``score(..., per_run=True)`` writes them."""

import numpy as np
import pyarrow as pa

from scoring.table import ScoreTable


def run_table(values, ids=None, meanings=None, label=None, **info):
    """score -> (R, N), or (N,) for a score without columns of its runs."""
    columns, described = {}, {}
    for score, given in values.items():
        given = np.asarray(given, dtype=np.float64)
        runs = given if given.ndim == 2 else given[None]
        columns[score] = runs.mean(axis=0)
        described[score] = {"meaning": (meanings or {}).get(score, "hard")}
        for number, run in enumerate(runs if given.ndim == 2 else []):
            columns[f"{score}.run{number}"] = run
            described[f"{score}.run{number}"] = {"role": "run", "parent": score}
    count = len(next(iter(columns.values())))
    ids = np.arange(count) if ids is None else ids
    if label is not None:
        columns["label"] = label
    return ScoreTable(pa.table({"id": ids, **columns}), described, info)
