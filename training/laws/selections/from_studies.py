"""The table of a pruning study as a table of runs: one corpus per way of choosing, lower values better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from scoring.errors import InputError, unknown_name
from training.laws.run_table import RunTable, make_run_table
from training.studies.pruning import ALL, METRICS, RANDOM, SCHEMA

Scale = Literal["rows", "seen"]


def run_table_of_study(
    study: pa.Table | str | Path, D: Scale = "rows", parameters: float | None = None
) -> RunTable:
    """A run table from :func:`~training.studies.pruning.pruning_study`, or from the ``study.parquet`` it wrote.

    - ``corpus``: the way of choosing, ``hardest by el2n`` or ``random``; runs on all examples are the largest random
      share, and no other way has them (all ways agree there, so they tell nothing apart).
    - ``D``: ``rows`` that were kept, or examples ``seen``, epochs x rows; both are columns as well. With ``steps`` held
      fixed every run has seen the same, so ``rows`` is the scale; with ``epochs`` either is.
    - ``N``: ``parameters``; without them what run.json says, where the study is a path beside its runs, else unknown.
    - ``C``: FLOPs as counted while training (not 6 N D).
    - metrics ``error`` = 1 - accuracy, ``loss``, ``macro_f1_error`` = 1 - macro F1, on the study's evaluation split;
      columns ``seed``, ``keep``, ``rows``, ``seen``.
    """
    if D not in ("rows", "seen"):
        raise unknown_name("D", "run_table_of_study", str(D), ("rows", "seen"))
    folder: Path | None = None
    if isinstance(study, pa.Table):
        table = study
    else:
        from pyarrow import parquet

        path = Path(study)
        path = path / "study.parquet" if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(f"run_table_of_study: there is no {path}.")
        table, folder = parquet.read_table(path), path.parent
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise InputError(f"run_table_of_study: not the table of a pruning study, {missing[0]!r} is missing.")
    rows = table.to_pylist()
    if not rows:
        raise InputError("run_table_of_study: the study has no runs.")
    quotas = next((row["balance"] for row in rows if row["take"] == RANDOM), None)
    kept, epochs = (np.array([row[name] for row in rows], dtype=np.float64) for name in ("rows", "epochs"))
    scales = {"rows": kept, "seen": kept * epochs}
    sizes = _sizes(rows, folder) if parameters is None else np.full(len(rows), float(parameters))
    accuracy, loss, macro_f1 = (np.array([row[name] for row in rows], dtype=np.float64) for name in METRICS)
    return make_run_table(
        {
            "run": [row["run"] for row in rows],
            "corpus": [_way(row, quotas) for row in rows],
            "N": sizes,
            "D": scales[D],
            "C": np.array(
                [np.nan if row["flops"] is None else row["flops"] for row in rows], dtype=np.float64
            ),
            "step": [row["steps"] for row in rows],
            "seed": np.array([row["seed"] for row in rows]),
            "keep": np.array([row["keep"] for row in rows]),
            **scales,
        },
        {"error": 1 - accuracy, "loss": loss, "macro_f1_error": 1 - macro_f1},
        "of a study",
    )


def _way(row: Mapping[str, Any], quotas: str | None) -> str:
    """``hardest by el2n, strata=20``, and its quotas where they are not those of the random share."""
    take = RANDOM if row["take"] == ALL else row["take"]
    by = f" by {row['by']}" if row["by"] else ""
    balance = f"balance {row['balance']}" if row["balance"] not in (None, quotas) else None
    return take + by + "".join(f", {words}" for words in (row["options"], balance) if words)


def _sizes(rows: Sequence[Mapping[str, Any]], folder: Path | None) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Parameters by run.json, NaN where there is none."""
    from scoring.checkpoints import RunDirectory

    found = np.full(len(rows), np.nan)
    for k, row in enumerate(rows):
        if folder is not None and (folder / row["run"] / "run.json").is_file():
            found[k] = RunDirectory.open(folder / row["run"]).config.get("num_parameters") or np.nan
    return found
