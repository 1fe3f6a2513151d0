"""From the values of a block of rows to columns of a table: who saw what, and what every column is."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.combine import column_of
from scoring.ids import id_column
from scoring.parts import Arrays
from scoring.plan import Column, RunPlan
from scoring.sources.corpus import CorpusSource
from scoring.sources.source import IntArray, Source


def spread(values: Arrays, seen: Arrays, inside: npt.NDArray[np.bool_]) -> Arrays:
    """Arrays over all rows of a block from those over the rows of it that the run covers."""
    arrays: Arrays = {}
    for name, value in values.items():
        arrays[name] = np.full(len(inside), np.nan)
        arrays[name][inside] = value
        arrays[f"{name} seen"] = np.zeros(len(inside), dtype=bool)
        arrays[f"{name} seen"][inside] = seen[name]
    return arrays


def scores_table(ids: npt.NDArray[Any], labels: IntArray | None, data: Arrays) -> pa.Table:
    """Ids, scores and what stands beside them, then labels."""
    columns = {"id": id_column(ids, "score")}
    columns |= {name: pa.array(values) for name, values in data.items()}
    return pa.table(columns if labels is None else columns | {"label": pa.array(labels)})


def describe_columns(
    columns: Sequence[Column], roles: dict[str, str], plans: Sequence[RunPlan], source: Source
) -> dict[str, dict[str, Any]]:
    """Meaning, parameters and provenance of every column of the table."""
    described: dict[str, dict[str, Any]] = {}
    for name, role in roles.items():
        column = column_of(columns, name)
        if role != "score":
            described[name] = {"role": role, "parent": column.name}
            continue
        described[name] = {
            "role": role,
            "scorer": f"{type(column.scorer).__module__}:{type(column.scorer).__qualname__}",
            "options": {f.name: getattr(column.scorer, f.name) for f in fields(column.scorer) if f.repr},
            "meaning": column.scorer.meaning,
            "steps": None if column.rule is None or isinstance(source, CorpusSource) else str(column.rule),
            "view": plans[0].views[name],
            "checkpoints": [
                {
                    "run": source.runs[plan.run],
                    "step": sweep.step,
                    "epoch": sweep.epoch,
                    **source.describe(sweep),
                }
                for plan in plans
                for sweep, readers in plan.sweeps
                if column in readers
            ],
        }
    return described


def without_values(columns: Sequence[Column], data: Arrays) -> tuple[str, ...]:
    """Columns that need runs which left examples out, where no run did."""
    return tuple(
        column.name
        for column in columns
        if "trained" in column.scorer.needs and np.isnan(data[column.name]).all()
    )


def warn_without_values(names: Iterable[str]) -> None:
    """Say of such columns what they need."""
    for name in names:
        warnings.warn(
            f"{name}: every value is NaN, since these runs did not leave examples out as it needs; "
            "`tamis retrain` trains runs that do.",
            stacklevel=3,
        )
