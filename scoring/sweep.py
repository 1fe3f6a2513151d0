"""The inner loops: every pass of one run over one block of rows, each batch handed to every scorer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from scoring.plan import Column, RunPlan
from scoring.progress import Advance
from scoring.scorer import Scorer
from scoring.signals import VIEWS, Signals
from scoring.sources.source import IntArray, Pass, Source

Order = Literal["checkpoints", "data"]
"""Which loop is outside. ``checkpoints``: weights load once, state for a block. ``data``: every checkpoint sees a batch
before the next batch is read, all weights in memory at once. The values are the same."""

ORDERS: tuple[Order, ...] = ("checkpoints", "data")

Fits = Mapping[tuple[str, Pass], Mapping[str, Tensor]]
"""(column name, pass) -> what ``Scorer.fit`` summed over all rows of that pass."""


def needs_of(columns: Sequence[Column]) -> frozenset[str]:
    """The union of needs: computed once, handed to all."""
    return frozenset().union(*(column.scorer.needs for column in columns))


def fit_run(
    source: Source, plan: RunPlan, rows: IntArray, advance: Advance
) -> dict[tuple[str, Pass], dict[str, Tensor]]:
    """The first look of those columns that want one: sums over ``rows``, per column and pass."""
    fits: dict[tuple[str, Pass], dict[str, Tensor]] = {}
    for sweep, columns in plan.sweeps:
        fitting = [column for column in columns if column.scorer.fits]
        if not fitting:
            continue
        for _, signals in source.read(sweep, needs_of(fitting), rows):
            for column in fitting:
                sums = fits.setdefault((column.name, sweep), {})
                for name, value in column.scorer.fit(signals).items():
                    sums[name] = sums[name] + value if name in sums else value
            advance(len(signals))
    return fits


def sweep_block(
    source: Source, plan: RunPlan, rows: IntArray, order: Order, fits: Fits, advance: Advance
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Final values of one run over ``rows``, and which rows each column saw: name -> (rows,), twice.

    The values of rows that were not seen are meaningless.
    """
    columns = {column.name: column for _, columns in plan.sweeps for column in columns}
    states = {
        name: {
            key: torch.full((len(rows),), start, dtype=torch.float64) for key, start in column.state.items()
        }
        for name, column in columns.items()
    }
    seen = {name: torch.zeros(len(rows), dtype=torch.bool) for name in columns}
    scorers = {
        (column.name, sweep): _fitted(column, sweep, fits)
        for sweep, readers in plan.sweeps
        for column in readers
    }
    for sweep, readers, positions, signals in _visits(source, plan, rows, order):
        index = torch.from_numpy(positions)
        for column in readers:
            state = states[column.name]
            row = {key: values[index] for key, values in state.items()}
            for key, updated in column.step(scorers[column.name, sweep], signals, row).items():
                state[key][index] = updated
            seen[column.name][index] = True
        advance(len(signals))
    finals = {name: column.final(states[name]) for name, column in columns.items()}
    values = {output: tensor for outputs in finals.values() for output, tensor in outputs.items()}
    return values, {output: seen[name] for name, outputs in finals.items() for output in outputs}


def _fitted(column: Column, sweep: Pass, fits: Fits) -> Scorer:
    return column.scorer.fitted(fits[column.name, sweep]) if column.scorer.fits else column.scorer


def _visits(
    source: Source, plan: RunPlan, rows: IntArray, order: Order
) -> Iterator[tuple[Pass, Sequence[Column], IntArray, Signals]]:
    """Every (pass, its columns, positions, signals), checkpoint by checkpoint or batch by batch."""
    streams = [source.read(sweep, needs_of(columns), rows) for sweep, columns in plan.sweeps]
    if order == "checkpoints":
        for (sweep, columns), stream in zip(plan.sweeps, streams):
            for positions, signals in stream:
                yield sweep, columns, positions, signals
        return
    # Passes of one view cut their batches alike, and a column reads one view only.
    for view in VIEWS:
        chosen = [i for i, (sweep, _) in enumerate(plan.sweeps) if sweep.view == view]
        for batches in zip(*(streams[i] for i in chosen), strict=True):
            for i, (positions, signals) in zip(chosen, batches):
                yield *plan.sweeps[i], positions, signals
