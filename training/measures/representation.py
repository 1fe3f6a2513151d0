"""Which classes a way of choosing favours: the change of their shares, over the seeds of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.studies.outcomes import CELL_KEY
from training.studies.paired import Difference, paired_difference

CLASS = "class:"


@dataclass(frozen=True)
class Representation:
    """The change of one class' share by one way of choosing; see ``kept.kept_measures``."""

    variant: str | None
    model: str
    regime: str
    way: str
    budget: str | None
    keep: float
    name: str
    """Of the class."""
    change: Difference
    """(share among the kept) / (share before) - 1, mean over seeds with its 95 % t interval."""


def representation(study: pa.Table) -> list[Representation]:
    """Every class of every cell, in the order of the run table; ``all``, which changes nothing, is left out.

    Seeds vary the draw (and the score, where every seed has its own); a way that always keeps the same rows has an
    interval of width 0.
    """
    chosen = study.filter(
        pc.and_(
            pc.and_(pc.equal(study["metric"], "representation"), pc.equal(study["split"], "train")),
            pc.and_(pc.starts_with(study["group"], CLASS), pc.is_valid(study["budget"])),
        )
    )
    cells: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in chosen.to_pylist():
        cells.setdefault((*(row[name] for name in CELL_KEY), row["group"]), []).append(row)
    return [_one(rows) for rows in cells.values()]


def extremes(
    found: Sequence[Representation], most: int = 3
) -> tuple[list[Representation], list[Representation]]:
    """The largest gains, and the largest losses, at most ``most`` each, the largest first; equal ones by name."""
    gains = sorted((each for each in found if each.change.mean > 0), key=lambda r: (-r.change.mean, r.name))
    losses = sorted((each for each in found if each.change.mean < 0), key=lambda r: (r.change.mean, r.name))
    return gains[:most], losses[:most]


def _one(rows: list[dict[str, Any]]) -> Representation:
    first = rows[0]
    values = np.array(list({row["seed"]: row["value"] for row in rows}.values()))
    return Representation(
        **{name: first[name] for name in (*CELL_KEY, "keep")},
        name=first["group"].removeprefix(CLASS),
        change=paired_difference(values, np.zeros(len(values))),
    )
