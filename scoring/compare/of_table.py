"""Compare the columns of a ``ScoreTable``: which can be compared, and the three questions about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from scoring.compare.agreement.columns import Agreement, agreement
from scoring.compare.detection import Detection, detections
from scoring.compare.ranks import Floats, NanPolicy, average_ranks, hard_high, has_hard_end
from scoring.compare.reliability.single_runs import Reliability, reliabilities
from scoring.errors import InputError, unknown_name
from scoring.meaning import Meaning

if TYPE_CHECKING:
    from scoring.table import ScoreTable


def comparable(table: ScoreTable, names: Iterable[str] | None = None) -> dict[str, Meaning]:
    """Score columns that have a hard end (and random numbers, the reference), with what a high value means.

    Errors: a name in ``names`` that is no column of the table.
    """
    for name in names or ():
        if name not in table.columns:
            raise unknown_name("column", "compare", name, table.columns)
    found = {name: cast(Meaning, table.meaning(name)) for name in (table.scores if names is None else names)}
    return {name: meaning for name, meaning in found.items() if has_hard_end(meaning)}


def run_values(table: ScoreTable, name: str) -> Floats:
    """The column of every single run, (R, N); ``score(..., per_run=True)`` keeps them.

    Errors: fewer than two runs in the table.
    """
    runs = [
        column
        for column, meta in table.columns.items()
        if meta["role"] == "run" and meta.get("parent") == name and column.startswith(f"{name}.run")
    ]
    if len(runs) < 2:
        raise InputError(
            f"compare: {name!r} must have columns of at least two runs, got {len(runs)}; "
            "score several runs with per_run=True (--per-run)."
        )
    return np.stack([table.column(column) for column in runs])


def table_reliability(
    table: ScoreTable, names: Iterable[str] | None = None, *, keep: float = 0.3, nan: NanPolicy = "error"
) -> list[Reliability]:
    """Seed-to-seed reliability of every comparable column, the most reliable first; random numbers are left out."""
    meanings = {n: meaning for n, meaning in comparable(table, names).items() if meaning != "arbitrary"}
    return reliabilities({name: run_values(table, name) for name in meanings}, meanings, keep=keep, nan=nan)


def table_agreement(
    table: ScoreTable, names: Iterable[str] | None = None, *, nan: NanPolicy = "error"
) -> Agreement:
    """Spearman matrix of the comparable columns."""
    meanings = comparable(table, names)
    return agreement({name: table.column(name) for name in meanings}, meanings, nan=nan)


def table_detection(
    table: ScoreTable,
    wrong: npt.ArrayLike,
    names: Iterable[str] | None = None,
    *,
    k: int | None = None,
    nan: NanPolicy = "error",
) -> list[Detection]:
    """How well every comparable column finds the rows marked ``wrong`` (N,), the best first."""
    meanings = comparable(table, names)
    return detections({name: table.column(name) for name in meanings}, meanings, wrong, k=k, nan=nan)


def same_order(tables: Sequence[ScoreTable], names: Iterable[str]) -> dict[str, list[str]]:
    """Columns that rank the rows of every table alike, hard end first: the first such name -> the other names.

    Variants that differ by a monotone map (a loss and its probability, say) are one score to anything that ranks.
    """
    groups: dict[bytes, list[str]] = {}
    for name in names:
        ranks = [
            average_ranks(
                np.nan_to_num(
                    hard_high(table.column(name), cast(Meaning, table.meaning(name)), name), nan=-np.inf
                )
            )
            for table in tables
        ]
        groups.setdefault(np.concatenate(ranks).tobytes(), []).append(name)
    return {first: others for first, *others in groups.values()}
