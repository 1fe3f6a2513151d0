"""Two series of losses, paired: which they are makes the three pairings of Brandfonbrener et al. 2024.

- train to train: the training losses of models of two corpora, paired by equal (N, D);
- train to test: training loss and another loss of the same models, paired by (N, D) or by ``run``;
- test to test: one loss of models of two corpora, paired by equal (N, D).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.fit import Fit, fit
from training.laws.form import Array, Form
from training.laws.forms.kaplan import kaplan_offset
from training.laws.run_table import WORDS, RunTable

Key = tuple[float | str, ...]
Rows = npt.NDArray[np.int64]
Several = Literal["refuse", "mean", "lowest"]


@dataclass(frozen=True)
class Series:
    """The losses of one metric, on one split where there are several, over the models trained on one corpus."""

    corpus: str
    metric: str
    split: str | None = None

    def __str__(self) -> str:
        return f"{self.metric} of {self.corpus}" + (f" ({self.split})" if self.split else "")

    def of(self, table: RunTable) -> RunTable:
        """Its rows; several splits, and losses that are not finite, are an error."""
        rows = table.where(corpus=self.corpus).where(metric=self.metric)
        if self.split is not None:
            rows = rows.where(split=self.split)
        splits = rows.names("split")
        if len(splits) > 1:
            raise InputError(f"loss_to_loss: {self} is measured on the splits {', '.join(splits)}; name one.")
        if not np.isfinite(rows["value"]).all():
            raise InputError(f"loss_to_loss: {self} has losses that are not finite; drop them first.")
        return rows


@dataclass(frozen=True)
class Pairs:
    """P paired losses in ascending order of their keys, and which rows of each series made them.

    ``source_alone`` and ``target_alone`` are rows at keys that only one of them has; where ``several`` is
    ``lowest``, the lowest of each key.
    """

    x_P: Array
    y_P: Array
    keys: tuple[Key, ...]
    source_rows: tuple[Rows, ...]
    target_rows: tuple[Rows, ...]
    source_alone: Rows
    target_alone: Rows

    def __len__(self) -> int:
        return len(self.keys)


def pair(
    table: RunTable,
    source: Series,
    target: Series,
    by: Sequence[str] = ("N", "D"),
    *,
    several: Several = "refuse",
    tolerance: float = 0.0,
) -> Pairs:
    """Losses of two series at equal ``by``; what only one of them has is left out.

    - ``("N", "D")``: models of the same size, trained for as long; ``("run",)``: losses of the same model;
    - ``("C",)`` with ``several="lowest"``: the best run of every compute budget, for grids that share budgets only;
    - ``("D",)``: as the authors' notebook does it, where a number of tokens names one setting.

    ``several`` says what becomes of runs of one series at one key: ``refuse`` (an error, for it is not for a join to
    guess), ``mean`` (seeds) or ``lowest`` (isoFLOP minima; the lowest of many noisy losses is a little too low).
    Numbers that differ by at most the share ``tolerance`` are equal: budgets computed as 6 N D differ in rounding.
    """
    if several not in ("refuse", "mean", "lowest"):
        raise unknown_name("several", "pair", str(several), ("refuse", "mean", "lowest"))
    if not 0 <= tolerance < 1:
        raise bad_value("tolerance", "pair", tolerance, "from 0 to below 1")
    if not by:
        raise bad_value("by", "pair", list(by), "at least one column")
    found = [series.of(table) for series in (source, target)]
    codes = [_codes([rows[name] for rows in found], name, tolerance) for name in by]
    keyed = [
        _keyed(rows, list(zip(*(code[side] for code in codes))), several, by, series)
        for side, (rows, series) in enumerate(zip(found, (source, target)))
    ]
    shared = sorted(keyed[0].keys() & keyed[1].keys())
    if not shared:
        raise InputError(f"loss_to_loss: no run of {source} has the same {', '.join(by)} as one of {target}.")
    x, y = (np.array([keyed[side][key][0] for key in shared]) for side in (0, 1))
    members, others = (tuple(each[key][1] for key in shared) for each in keyed)
    keys = tuple(tuple(found[0][name][rows[0]] for name in by) for rows in members)
    none = np.empty(0, dtype=np.int64)
    alone = [
        np.concatenate([none, *(each[key][1] for key in sorted(each) if key not in shared)]) for each in keyed
    ]
    return Pairs(x, y, keys, members, others, *alone)


def series_law(table: RunTable, series: Series, form: Form | None = None) -> Fit:
    """The law of a series by itself, of which E is its floor: Kaplan with offset unless said otherwise."""
    chosen, rows = form or kaplan_offset(), series.of(table)
    if "E" not in chosen.names:
        raise InputError(f"loss_to_loss: the form {chosen.name} has no floor E.")
    return fit(chosen, rows.inputs, rows["value"])


def best_of_budgets(rows: RunTable, series: Series, tolerance: float = 1e-6) -> RunTable:
    """The run of lowest loss at every compute budget: the envelope that a law in compute alone describes."""
    (codes,) = _codes([rows["C"]], "C", tolerance)
    best = _keyed(rows, [(code,) for code in codes], "lowest", ("C",), series)
    return rows.rows(np.array([best[key][1][0] for key in sorted(best)]))


def _codes(columns: Sequence[npt.NDArray[np.generic]], name: str, tolerance: float) -> list[list[int]]:
    """Whole numbers for the values of one column in both series, ascending with them; equal for equal ones."""
    cells = [column.tolist() for column in columns]
    if name in WORDS or any(isinstance(cell, str) for column in cells for cell in column):
        words = sorted({str(cell) for column in cells for cell in column})
        places = {word: place for place, word in enumerate(words)}
        return [[places[str(cell)] for cell in column] for column in cells]
    known = [
        np.array([np.nan if cell is None else cell for cell in column], dtype=np.float64) for column in cells
    ]
    numbers = np.unique(np.concatenate(known))
    if not np.isfinite(numbers).all():
        raise InputError(f"loss_to_loss: {name} is not known for every run, and so cannot pair them.")
    group = np.concatenate([[0], np.cumsum(np.diff(numbers) > tolerance * np.abs(numbers[1:]))])
    first, last = (
        numbers[np.flatnonzero(np.diff(group, prepend=-1))],
        numbers[np.flatnonzero(np.diff(group, append=-1))],
    )
    if (last - first > tolerance * np.abs(last)).any():
        raise InputError(
            f"loss_to_loss: within {tolerance:g} of each other the values of {name} form a chain; lower tolerance."
        )
    return [group[np.searchsorted(numbers, column)].tolist() for column in known]


def _keyed(
    rows: RunTable, keys: Sequence[tuple[int, ...]], several: Several, by: Sequence[str], series: Series
) -> dict[tuple[int, ...], tuple[float, Rows]]:
    """The loss and the rows of every key."""
    members: dict[tuple[int, ...], list[int]] = {}
    for row, key in enumerate(keys):
        members.setdefault(key, []).append(row)
    found = {}
    for key, places in members.items():
        at = np.array(places, dtype=np.int64)
        losses = rows["value"][at]
        if len(at) > 1 and several == "refuse":
            where = ", ".join(f"{name} = {rows[name][at[0]]}" for name in by)
            raise InputError(
                f"loss_to_loss: {series} has several runs at {where}; keep one, or say what becomes of several."
            )
        if several == "lowest":
            at = at[[int(losses.argmin())]]
        found[key] = (float(rows["value"][at].mean()), at)
    return found
