"""The rows of one law as numbers, and what a user should know of them before the fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scoring.errors import InputError
from training.laws.fitting.objective import Objective
from training.laws.form import Array
from training.laws.inputs import SIX, complete
from training.laws.run_table import RunTable

COUNTED = ("N", "D", "C", "M", "U", "epochs")
"""Columns from which others follow."""
FAR = 2.0
"""A table's compute that is so many times 6 N D, or more, is counted otherwise."""


def law_inputs(rows: RunTable, names: Sequence[str], owner: str) -> dict[str, Array]:
    """The columns a law reads, as numbers: of a run table, or what follows from its N, D, C, M, U and epochs."""
    columns: dict[str, Array] = {}
    for name, column in rows.columns.items():
        if name in COUNTED or name in names:
            try:
                columns[name] = column.astype(np.float64)
            except (TypeError, ValueError):
                raise InputError(
                    f"{owner}: it reads the column {name}, which holds something that is not a number."
                ) from None
    known = {name: column for name, column in columns.items() if name in names or np.isfinite(column).any()}
    found = complete(known, names)
    for name, column in found.items():
        if bad := int((~np.isfinite(column)).sum()):
            raise InputError(
                f"{owner}: it reads {name}, which is unknown in {bad:,} of {len(column):,} rows; map a column to it or "
                "leave these rows out."
            )
    return found


def law_outcome(rows: RunTable, objective: Objective, metric: str, owner: str) -> Array:
    """The values that a law explains: (N,), finite, and above 0 where the objective reads logarithms."""
    found = np.asarray(rows["value"], dtype=np.float64)
    if bad := int((~np.isfinite(found)).sum()):
        raise InputError(
            f"{owner}: {metric} is no finite number in {bad:,} of {len(found):,} rows; leave them out."
        )
    if objective.of_logs and not (found > 0).all():
        raise InputError(
            f"{owner}: {metric} must be above 0, as the objective {objective.name} reads logarithms, got "
            f"{found.min():.6g}; the objective 'square' reads any number."
        )
    return found


def compute_factor(rows: RunTable) -> float:
    """The median of C / (6 N D) over the rows where all three are known, if it is far from 1, else 1."""
    with np.errstate(all="ignore"):
        factor = rows["C"] / (SIX * rows["N"] * rows["D"])
    known = factor[np.isfinite(factor) & (factor > 0)]
    middle = float(np.median(known)) if len(known) else 1.0
    return middle if not 1 / FAR < middle < FAR else 1.0
