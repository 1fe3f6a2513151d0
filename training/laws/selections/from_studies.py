"""The run table of a study as a table of runs for laws: one corpus per way of choosing, lower values better."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from scoring.errors import InputError, unknown_name
from training.laws.run_table import RunTable, make_run_table
from training.studies.outcomes import higher_is_better
from training.studies.table import SCHEMA, read_table
from training.studies.ways import ALL, RANDOM

Scale = Literal["rows", "seen"]

WORLDS = ("variant", "model", "regime")
"""Columns of which a law may see one value only, but for models, which have sizes of their own."""

TURNED = ("accuracy", "macro_f1")
"""Metrics that rise, and are read as their distance from 1."""


def run_table_of_study(
    study: pa.Table | str | Path, D: Scale = "rows", parameters: float | None = None
) -> RunTable:
    """A run table for laws from that of a study, or from the ``study.parquet`` it wrote.

    - ``corpus``: the way of choosing, ``hardest by el2n`` or ``random``; runs on all examples are the largest random
      share, and no other way has them (all ways agree there, so they tell nothing apart). With several data variants or
      regimes theirs is added, ``random, noisy, 800 steps``, since no law holds across them.
    - ``D``: ``rows`` that were kept, or examples (tokens) ``seen`` in training; both are columns as well. With
      ``steps`` held fixed every run has seen the same, so ``rows`` is the scale; with ``epochs`` either is.
    - ``N``: ``parameters``; without them those of each model.
    - ``C``: FLOPs as counted while training (not 6 N D).
    - metrics of the whole test set at the end, ``error`` in place of accuracy and ``macro_f1_error`` = 1 - macro F1;
      with several test sets ``SET/metric``; columns ``seed``, ``keep``, ``rows``, ``seen``, ``variant``, ``model``,
      ``regime``.
    """
    if D not in ("rows", "seen"):
        raise unknown_name("D", "run_table_of_study", str(D), ("rows", "seen"))
    table = study if isinstance(study, pa.Table) else read_table(study)
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(f"run_table_of_study: not the table of a study, {missing[0]!r} is missing.")
    rows = _last([row for row in table.to_pylist() if row["split"] != "train" and not row["group"]])
    if not rows:
        raise InputError("run_table_of_study: the study has no runs.")
    several = [name for name in ("variant", "regime") if len({row[name] for row in rows}) > 1]
    splits = {row["split"] for row in rows}

    def numbers(name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array([np.nan if row[name] is None else row[name] for row in rows], dtype=np.float64)

    kept = numbers("rows")
    scales = {"rows": kept, "seen": numbers("D")}
    told = [_metric(row["metric"], row["value"]) for row in rows]
    return make_run_table(
        {
            "run": [_run(row) for row in rows],
            "corpus": [_corpus(row, several) for row in rows],
            "N": numbers("N") if parameters is None else np.full(len(rows), float(parameters)),
            "D": scales[D],
            "C": numbers("C"),
            "step": [row["step"] for row in rows],
            "split": [row["split"] for row in rows],
            "metric": [
                name if len(splits) == 1 else f"{row['split']}/{name}" for row, (name, _) in zip(rows, told)
            ],
            "value": [value for _, value in told],
            "seed": np.array([row["seed"] for row in rows]),
            "keep": np.array([row["keep"] for row in rows]),
            **scales,
            **{name: np.array([row[name] for row in rows], dtype=object) for name in WORLDS},
        },
        name="of a study",
    )


def _last(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last evaluation of every cell and metric, in the order of the table; of lower values, or turned to them."""
    newest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in rows:
        key = (_run(row), row["split"], row["metric"])
        if key not in newest or row["step"] >= newest[key]["step"]:
            newest[key] = row
    found = [
        row for row in newest.values() if row["metric"] != "error"
    ]  # accuracy, which becomes it, says the same
    return [row for row in found if row["metric"] in TURNED or not higher_is_better(row["metric"])]


def _metric(name: str, value: float) -> tuple[str, float]:
    """Accuracy as error, macro F1 as its distance from 1: laws are of what falls."""
    if name == "accuracy":
        return "error", 1 - value
    return ("macro_f1_error", 1 - value) if name == "macro_f1" else (name, value)


def _run(row: dict[str, Any]) -> str:
    """Cells are told apart, also those that share a run directory: each belongs to another curve."""
    cell = [row[name] for name in (*WORLDS, "way", "budget", "seed")]
    return " ".join(str(each) for each in cell if each is not None)


def _corpus(row: dict[str, Any], several: list[str]) -> str:
    way = RANDOM if row["way"] == ALL else row["way"]
    return ", ".join([way, *(str(row[name]) for name in several)])
