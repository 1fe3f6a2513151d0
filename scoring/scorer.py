"""The scorer protocol: signals in, one number per example out.

A scorer is a frozen dataclass whose fields are its options. It owns arithmetic only; state arrays, batches, files,
progress and resuming belong to ``scoring.run``. Three kinds:

* a **pointwise** scorer (``Scorer``) has ``score(signals)`` for one checkpoint; a step rule (``last``, ``mean``,
  ``epoch=3`` ...; see ``scoring.steps``) turns its values at several checkpoints into one;
* a **trajectory** scorer (``TrajectoryScorer``) carries small per-example state from checkpoint to checkpoint;
* a **collective** scorer (``CollectiveScorer``) gets what it needs of all examples of a run at once, memory-mapped,
  because the score of one depends on the others: neighbours, clusters, a covariance.

The first two may take a first look at the data through ``fit``: sums that merge over batches and shards. A
``DocumentScorer`` is a trajectory scorer of the one pass over a corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.errors import InputError, unknown_name
from scoring.meaning import MEANINGS, Meaning
from scoring.needs import NEEDS, WITH_OPTIONS, Need
from scoring.signals import VIEWS, Signals, View

if TYPE_CHECKING:
    from scoring.collected import Collected

Row = dict[str, Tensor]
"""State of B examples: one (B,) float64 tensor per name; (B, ...) if the scorer is wide."""

Outputs = Mapping[str, Tensor]
"""Values of B examples: the score under ``""``, side columns under their own names."""


@dataclass(frozen=True)
class Review:
    """What is to be said of a finished column: numbers that its description keeps, and sentences that warn."""

    summary: Mapping[str, float] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class Scorer:
    """A pointwise score; a subclass sets the class variables and writes ``score``."""

    needs: ClassVar[frozenset[str]]
    """Kinds of signals it reads, names of ``scoring.needs.NEEDS``."""

    meaning: ClassVar[Meaning]
    """What a high value means."""

    view: ClassVar[View] = "clean"
    """Which signals its definition speaks of; the runner falls back to the other view and records that it did."""

    default_steps: ClassVar[str] = "last"
    """The step rule when the user names none."""

    caveat: ClassVar[str] = ""
    """What a user must know before trusting the score; ``score`` warns of it."""

    @property
    def reads(self) -> frozenset[Need]:
        """What it asks the source for: ``needs``, with options for the kinds that have some."""
        return frozenset(self.needs)

    @property
    def fits(self) -> bool:
        """Whether ``fit`` must see all rows of a checkpoint before ``score`` is called.

        What ``fitted`` gives may fit again, for a second look with what the first has found.
        """
        return False

    def check_steps(self, steps: Sequence[int]) -> None:
        """Refuse checkpoints, by their steps, that the score cannot be computed from; before anything is."""

    def score(self, signals: Signals) -> Tensor:
        """The score of every example of the batch, (B,) float64."""
        raise AssertionError(f"{type(self).__name__} has no score()")

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """Sums over the batch; those of different batches and shards are merged."""
        return {}

    def merge(self, sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What ``fit`` gave of two parts of the rows as what it gives of both: by default their sums.

        It must not matter which part comes first, nor how the rows were cut into parts.
        """
        return {name: value + more[name] for name, value in sums.items()}

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """This scorer with what ``fit`` learned over all rows."""
        return self

    def tally(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Numbers about the values of some rows (score under ``""``, side columns), for ``review``; they are added.

        A name that begins with ``min_`` or ``max_`` is the smallest or largest instead.
        """
        return {}

    def review(self, tally: Mapping[str, float]) -> Review:
        """What a user must know of the values, from the ``tally`` of all rows."""
        return Review()

    def normalize(self, values_N: Tensor, labels_N: Tensor | None) -> Tensor:
        """Values of one run against those of all its examples, (N,) float64: by default as they are.

        Called once per run, when every value is there; the result must not depend on the order of rows.
        """
        return values_N

    @property
    def normalizes(self) -> bool:
        """Whether ``normalize`` does anything."""
        return False

    def combine(self, outputs: Mapping[str, Tensor], seen_RN: Tensor) -> Tensor:
        """One value per example, (N,), from the score and the side columns of R runs, (R, N) each.

        By default ``over_runs`` of the score; overridden where runs combine before the score is formed.
        """
        return self.over_runs(outputs[""], seen_RN)

    def se_combine(self, outputs: Mapping[str, Tensor], seen_RN: Tensor) -> Tensor:
        """Standard error of ``combine``, (N,)."""
        return self.se_over_runs(outputs[""], seen_RN)

    def over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """One value per example from R runs, (N,): by default the mean over the runs that saw the example.

        ``seen_RN`` is False where a run has no value for an example; NaN where no run has one.
        """
        total = torch.where(seen_RN, values_RN, 0.0).sum(dim=0)
        return total / seen_RN.sum(dim=0)

    def se_over_runs(self, values_RN: Tensor, seen_RN: Tensor) -> Tensor:
        """Standard error of ``over_runs``, (N,): by default that of the mean, ddof 1.

        NaN where fewer than two runs have a value, or one of the values is infinite.
        """
        count_N = seen_RN.sum(dim=0)
        mean_N = torch.where(seen_RN, values_RN, 0.0).sum(dim=0) / count_N
        squares_N = torch.where(seen_RN, (values_RN - mean_N) ** 2, 0.0).sum(dim=0)
        return (squares_N / (count_N - 1) / count_N).sqrt()


@dataclass(frozen=True)
class TrajectoryScorer(Scorer):
    """A score of the whole sequence of checkpoints or presentations of an example."""

    state: ClassVar[Mapping[str, float]] = {}
    """Per-example state and its value before the first checkpoint."""

    wide: ClassVar[bool] = False
    """Whether the state of an example is as large as its input: kept batch by batch, in blocks that fit in memory.

    The first ``step`` gets the start values as (B,) tensors and returns tensors (B, ...) of the shape it needs.
    """

    def step(self, signals: Signals, row: Row) -> Row:
        """The state after one more checkpoint; ``row`` must not be modified in place."""
        raise AssertionError(f"{type(self).__name__} has no step()")

    def final(self, row: Row) -> Outputs:
        """The score, and any side columns, from the state after the last checkpoint."""
        raise AssertionError(f"{type(self).__name__} has no final()")


@dataclass(frozen=True)
class DocumentScorer(TrajectoryScorer):
    """A score of each document, which has one pass; beside it the side columns that ``sides`` names."""

    sides: ClassVar[tuple[str, ...]] = ()

    @property
    def state(self) -> Mapping[str, float]:  # type: ignore[override]
        """The values themselves."""
        return dict.fromkeys(("", *self.sides), float("nan"))

    def outputs(self, signals: Signals) -> Outputs:
        """The score under ``""`` and every side column, (B,) each."""
        raise AssertionError(f"{type(self).__name__} has no outputs()")

    def step(self, signals: Signals, row: Row) -> Row:
        """The values; there is no step before."""
        found = self.outputs(signals)
        assert set(found) == {"", *self.sides}, f"{type(self).__name__} gives other columns than it says"
        return {name: value.double() for name, value in found.items()}

    def final(self, row: Row) -> Outputs:
        """The values."""
        return row


@dataclass(frozen=True)
class CollectiveScorer(Scorer):
    """A score of an example among all examples of the run.

    Its step rule picks one checkpoint (``last``), or is ``all``.
    """

    def score_all(self, passes: Sequence[Collected]) -> Mapping[str, npt.NDArray[np.float64]]:
        """The score of every example under ``""``, and side columns, (N,) each, from one or more checkpoints.

        The rows are the same at every checkpoint; their order means nothing and must not change a value.
        """
        raise AssertionError(f"{type(self).__name__} has no score_all()")


def welford(row: Row, values: Tensor) -> Row:
    """One more value into the running ``count``, ``mean`` and ``squares`` (sum of squared deviations).

    Welford 1962: a sum of squares loses most digits when the spread is small against the mean.
    """
    count = row["count"] + 1
    delta = values - row["mean"]
    mean = row["mean"] + delta / count
    return {"count": count, "mean": mean, "squares": row["squares"] + delta * (values - mean)}


WELFORD_STATE: Mapping[str, float] = {"count": 0.0, "mean": 0.0, "squares": 0.0}


def check_declared(scorer: Scorer) -> None:
    """Refuse a scorer that does not declare ``needs``, ``meaning`` and ``view``, or declares what does not exist."""
    owner = f"scorer {type(scorer).__name__}"
    for name in ("needs", "meaning"):
        if not hasattr(scorer, name):
            raise InputError(f"{owner}: the class must declare {name}, and does not.")
    for need in scorer.needs:
        if need not in NEEDS:
            raise unknown_name("needs", owner, str(need), NEEDS)
    if bare := sorted(scorer.needs & {kind.kind for kind in WITH_OPTIONS} & scorer.reads):
        raise InputError(
            f"{owner}: reads must give {bare[0]!r} with its options, as an object of scoring.needs."
        )
    if scorer.meaning not in MEANINGS:
        raise unknown_name("meaning", owner, str(scorer.meaning), MEANINGS)
    if scorer.view not in VIEWS:
        raise unknown_name("view", owner, str(scorer.view), VIEWS)
