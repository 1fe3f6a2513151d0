"""The inner loops: every pass of one run over one block of rows, each batch handed to every scorer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
from torch import Tensor

from scoring.needs import Need
from scoring.plan import Column, RunPlan, needs_of
from scoring.progress import Advance, progress
from scoring.scorer import Row, Scorer
from scoring.signals import Signals
from scoring.sources.corpus import CorpusSource
from scoring.sources.source import IntArray, Pass, Source

Order = Literal["checkpoints", "data"]
"""Which loop is outside. ``checkpoints``: weights load once, state for a block. ``data``: every checkpoint sees a batch
before the next batch is read, all weights in memory at once. The values are the same."""

ORDERS: tuple[Order, ...] = ("checkpoints", "data")

WIDE_BYTES = 2**30
"""Wide state (running moments as large as the inputs) is kept for as many rows as fit in this."""

FIRST_WIDE_ROWS = 512
"""Rows of the first piece, from which the size of the state is measured."""

Fits = Mapping[tuple[str, Pass], Scorer]
"""(column name, pass) -> the scorer, fitted to all rows of that pass."""


def fit_run(
    source: Source, plan: RunPlan, rows: IntArray, show_progress: bool = False
) -> dict[tuple[str, Pass], Scorer]:
    """The looks that some columns take at all ``rows`` first: their scorers, fitted per pass."""
    fits = {
        (column.name, sweep): column.scorer
        for sweep, columns in plan.blockwise
        for column in columns
        if column.scorer.fits
    }
    looks = 0
    while len(rows) and any(scorer.fits for scorer in fits.values()):
        looks += 1
        for sweep in dict.fromkeys(sweep for _, sweep in fits):
            fitting = {key: each for key, each in fits.items() if key[1] == sweep and each.fits}
            with progress(f"look {looks}", len(rows), enabled=show_progress) as advance:
                fits |= fit_pass(source, sweep, rows, fitting, advance)
    return fits


def fit_pass(
    source: Source, sweep: Pass, rows: IntArray, scorers: Mapping[tuple[str, Pass], Scorer], advance: Advance
) -> dict[tuple[str, Pass], Scorer]:
    """One look of some scorers at ``rows``, (column name, pass) -> scorer before and after."""
    sums = fit_sums(source, sweep, rows, scorers, advance)
    return {key: scorer.fitted(sums[key]) if key in sums else scorer for key, scorer in scorers.items()}


def fit_sums(
    source: Source, sweep: Pass, rows: IntArray, scorers: Mapping[tuple[str, Pass], Scorer], advance: Advance
) -> dict[tuple[str, Pass], dict[str, Tensor]]:
    """What one look of every scorer sums up over ``rows``."""
    sums: dict[tuple[str, Pass], dict[str, Tensor]] = {}
    needs = frozenset[Need]().union(*(scorer.reads for scorer in scorers.values()))
    for _, signals in source.read(sweep, needs, rows):
        for key, scorer in scorers.items():
            with timed(source, key[0], 0):
                more = scorer.fit(signals)
                sums[key] = scorer.merge(sums[key], more) if key in sums else more
        advance(len(signals))
    return sums


def sweep_pieces(
    source: Source, plan: RunPlan, rows: IntArray, order: Order, fits: Fits, advance: Advance
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """``sweep_block`` of all ``rows``, or of one piece after another where wide state has to fit in memory."""
    if not any(column.wide for _, columns in plan.blockwise for column in columns):
        yield sweep_block(source, plan, rows, order, fits, advance)[:2]
        return
    start, size = 0, min(FIRST_WIDE_ROWS, len(rows))
    while start < len(rows) or start == 0:
        piece = rows[start : start + size]
        values, seen, used = sweep_block(source, plan, piece, order, fits, advance)
        yield values, seen
        start += len(piece)
        size = max(1, WIDE_BYTES * len(piece) // max(used, 1))
        if len(piece) == 0:
            return


def sweep_block(
    source: Source, plan: RunPlan, rows: IntArray, order: Order, fits: Fits, advance: Advance
) -> tuple[dict[str, Tensor], dict[str, Tensor], int]:
    """Final values of one run over ``rows``, and which rows each column saw: name -> (rows,), twice; bytes of state.

    The values of rows that were not seen are meaningless.
    """
    columns = {column.name: column for _, columns in plan.blockwise for column in columns}
    states: dict[str, _RowStates | _BatchStates] = {
        name: _BatchStates(column, len(rows)) if column.wide else _RowStates(column, len(rows))
        for name, column in columns.items()
    }
    seen = {name: torch.zeros(len(rows), dtype=torch.bool) for name in columns}
    scorers = {
        (column.name, sweep): fits.get((column.name, sweep), column.scorer)
        for sweep, readers in plan.blockwise
        for column in readers
    }
    for sweep, readers, positions, signals in _visits(source, plan, rows, order):
        index = torch.from_numpy(positions)
        for column in readers:
            with timed(source, column.name, len(signals)):
                states[column.name].step(index, signals, scorers[column.name, sweep])
            seen[column.name][index] = True
        advance(len(signals))
    finals = {name: state.final(len(rows)) for name, state in states.items()}
    values = {output: tensor for outputs in finals.values() for output, tensor in outputs.items()}
    used = sum(state.bytes for state in states.values())
    return values, {output: seen[name] for name, outputs in finals.items() for output in outputs}, used


def timed(source: Source, column: str, documents: int) -> AbstractContextManager[None]:
    """Time of a scorer's own arithmetic, for sources that keep a ledger."""
    return source.ledger.scorer(column, documents) if isinstance(source, CorpusSource) else nullcontext()


class _RowStates:
    """State of a column over a block: one number per example and name."""

    def __init__(self, column: Column, rows: int) -> None:
        self.column = column
        self.state = {
            key: torch.full((rows,), start, dtype=torch.float64) for key, start in column.state.items()
        }

    def step(self, index: Tensor, signals: Signals, scorer: Scorer) -> None:
        row = {key: values[index] for key, values in self.state.items()}
        for key, updated in self.column.step(scorer, signals, row).items():
            self.state[key][index] = updated

    def final(self, rows: int) -> dict[str, Tensor]:
        return self.column.final(self.state)

    @property
    def bytes(self) -> int:
        return sum(values.nbytes for values in self.state.values())


class _BatchStates:
    """State of a wide column: tensors of any shape per batch, since every checkpoint cuts its batches alike."""

    def __init__(self, column: Column, rows: int) -> None:
        self.column, self.left = column, rows
        self.states: dict[bytes, tuple[Tensor, Row]] = {}

    def step(self, index: Tensor, signals: Signals, scorer: Scorer) -> None:
        key = index.numpy().tobytes()
        if key not in self.states:
            start = {
                name: torch.full((len(index),), value, dtype=torch.float64)
                for name, value in self.column.state.items()
            }
            self.states[key] = (index, start)
            self.left -= len(index)
            assert self.left >= 0, "the source must cut its batches alike at every checkpoint"
        row = self.states[key][1]
        self.states[key] = (index, self.column.step(scorer, signals, row))

    @property
    def bytes(self) -> int:
        return sum(values.nbytes for _, row in self.states.values() for values in row.values())

    def final(self, rows: int) -> dict[str, Tensor]:
        values: dict[str, Tensor] = {}
        for index, row in self.states.values():
            for name, value in self.column.final(row).items():
                values.setdefault(name, torch.full((rows,), float("nan"), dtype=torch.float64))[index] = value
        return values


def _visits(
    source: Source, plan: RunPlan, rows: IntArray, order: Order
) -> Iterator[tuple[Pass, Sequence[Column], IntArray, Signals]]:
    """Every (pass, its columns, positions, signals), checkpoint by checkpoint or batch by batch."""
    sweeps = plan.blockwise
    streams = [source.read(sweep, needs_of(columns), rows) for sweep, columns in sweeps]
    if order == "checkpoints":
        for (sweep, columns), stream in zip(sweeps, streams):
            for positions, signals in stream:
                yield sweep, columns, positions, signals
        return
    # Passes of one kind cut their batches alike, and a column reads one kind only.
    for kind in sorted({(sweep.view, sweep.recorded) for sweep, _ in sweeps}):
        chosen = [i for i, (sweep, _) in enumerate(sweeps) if (sweep.view, sweep.recorded) == kind]
        for batches in zip(*(streams[i] for i in chosen), strict=True):
            for i, (positions, signals) in zip(chosen, batches):
                yield *sweeps[i], positions, signals
