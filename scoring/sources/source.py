"""What a source of signals is; a scorer cannot tell which one produced its signals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from scoring.signals import Signals, View

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pass:
    """One sweep over the examples: one checkpoint, or the presentations of one epoch."""

    run: int
    step: int
    epoch: float
    view: View
    where: str
    learning_rate: float | None = None


class Source(Protocol):
    """Signals of the same examples from one or more runs."""

    @property
    def runs(self) -> Sequence[str]:
        """Names of the runs."""
        ...

    def passes(self, run: int, view: View) -> Sequence[Pass]:
        """Checkpoints or presentations of a run in time order; empty if it has none in this view."""
        ...

    def stored(self, run: int, view: View) -> frozenset[str]:
        """Needs that the source can hand out directly; ``signals.provided`` derives the others."""
        ...

    def covers(self, run: int) -> npt.NDArray[np.bool_]:
        """Which examples the run may score, (N,): not those that it held out for evaluation."""
        ...

    def read(self, sweep: Pass, needs: frozenset[str], rows: IntArray) -> Iterator[tuple[IntArray, Signals]]:
        """Yield (positions in ``rows``, signals) in batches; an example comes at most once."""
        ...

    def describe(self, sweep: Pass) -> dict[str, object]:
        """Provenance of a pass: what identifies its content, as JSON."""
        ...
