"""Two series of losses, paired: which they are makes the three pairings of Brandfonbrener et al. 2024.

- train to train: the training losses of models of two corpora, paired by equal (N, D);
- train to test: training loss and another loss of the same models;
- test to test: one loss of models of two corpora, paired by equal (N, D).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.errors import InputError
from training.laws.fit import fit
from training.laws.form import Array, Form
from training.laws.forms.kaplan import kaplan_offset
from training.laws.run_table import RunTable


@dataclass(frozen=True)
class Series:
    """The losses of one metric over the models trained on one corpus."""

    corpus: str
    metric: str

    def of(self, table: RunTable) -> RunTable:
        return table.where(corpus=self.corpus).where(metric=self.metric)


def pair(
    table: RunTable, source: Series, target: Series, by: Sequence[str] = ("N", "D")
) -> tuple[Array, Array, list[tuple[float, ...]]]:
    """Losses of two series at equal ``by`` (``("C",)`` pairs by compute), and the keys, ascending.

    A series that has two runs of the same key is an error: which of them to pair is not for a join to guess.
    """
    x, y = (_keyed(series.of(table), by, series) for series in (source, target))
    keys = sorted(x.keys() & y.keys())
    if not keys:
        raise InputError(f"loss_to_loss: no run of {source} has the same {', '.join(by)} as one of {target}.")
    return np.array([x[key] for key in keys]), np.array([y[key] for key in keys]), keys


def _keyed(rows: RunTable, by: Sequence[str], series: Series) -> dict[tuple[float, ...], float]:
    keys = list(zip(*(rows[name].tolist() for name in by)))
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(
            f"loss_to_loss: {series} has several runs at {', '.join(by)} = {twice}; keep one of them."
        )
    return dict(zip(keys, rows["value"].tolist()))


def floor(table: RunTable, series: Series, form: Form | None = None) -> float:
    """The irreducible loss E of a series: that of a Kaplan law with offset, Huber on logs, fitted to all its runs."""
    rows = series.of(table)
    return fit(form or kaplan_offset(), rows.inputs, rows["value"]).parameters["E"]
