"""Signals from run directories: recorded dynamics where there are some, checkpoints where not, folds joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from scoring.checkpoints import Checkpoints, RunDirectory, find_runs
from scoring.errors import InputError, unknown_name
from scoring.ids import find_rows
from scoring.signals import Signals, View
from scoring.sources.checkpoint_sweep import CheckpointSweep
from scoring.sources.recorded import RecordedSignals
from scoring.sources.source import IntArray, Pass

if TYPE_CHECKING:
    from scoring.examples import Examples

Choice = Literal["auto", "checkpoints", "recorded"]
CHOICES: tuple[Choice, ...] = ("auto", "checkpoints", "recorded")


@dataclass(frozen=True)
class _Member:
    """One run directory, and which examples it may score."""

    sweep: CheckpointSweep
    recorded: RecordedSignals
    scores_N: npt.NDArray[np.bool_]
    fold: bool
    """Whether it scores what it did not train on, and so has no presentations of."""


class RunSource:
    """All runs found at a path.

    A run that held examples out for evaluation does not score them: they measure, and must not choose. The folds of
    one seed (``train_folds``) are one run, in which every example is scored by the model that did not train on it.

    Args:
        path: A run directory, a folder of runs or folds, a Hugging Face model folder, or a transformers Trainer output.
        examples: What to score.
        signals: Where clean signals come from: ``checkpoints`` (a forward pass), ``recorded`` (evaluation passes kept
            while training), or ``auto``: recorded if there are some. Presentations are always recorded ones.
        sweep_options: ``model``, ``device``, ``precision``, ``batch_size``, ``max_tokens``, ``trust_remote_code``.
    """

    def __init__(
        self, path: str | Path, examples: Examples, *, signals: Choice = "auto", **sweep_options: Any
    ) -> None:
        if signals not in CHOICES:
            raise unknown_name("signals", "score", signals, CHOICES)
        self.examples, self.signals = examples, signals
        groups: dict[str, list[Checkpoints]] = {}
        for run in find_runs(path):
            place = run.path if run.fold is None else run.path.parent
            # Names alone may repeat: mlp/seed-0 and cnn/seed-0.
            inside = place.relative_to(path).as_posix() if place.is_relative_to(path) else "."
            groups.setdefault(place.name if inside == "." else inside, []).append(run)
        self.runs: Sequence[str] = list(groups)
        self._members = [[self._member(run, sweep_options) for run in runs] for runs in groups.values()]
        self._reading = 0
        for name, runs in groups.items():
            of = {run.fold["of"] for run in runs if run.fold is not None}
            if of and len(runs) != max(of):
                raise InputError(
                    f"score: {name} must hold all its {max(of)} folds, got {len(runs)}; finish training first."
                )

    def _member(self, run: Checkpoints, sweep_options: dict[str, Any]) -> _Member:
        held_out = run.held_out()
        scores_N = np.ones(len(self.examples), dtype=bool)
        if held_out is not None:
            ids, role = held_out
            known = set(self.examples.ids.tolist())
            here = [id_ for id_ in np.asarray(ids).tolist() if id_ in known]
            at = find_rows(
                self.examples.ids, np.asarray(here, dtype=np.asarray(ids).dtype), "score", "the examples"
            )
            scores_N[:] = role == "evaluation"
            scores_N[at] = role == "fold"
        data = (run.config.get("data") or {}) if isinstance(run, RunDirectory) else {}
        return _Member(
            CheckpointSweep(run, self.examples, **sweep_options),
            RecordedSignals(run.path, self.examples, data),
            scores_N,
            run.fold is not None,
        )

    def _recorded(self, member: _Member, view: View) -> bool:
        """Whether the signals of a view come from the recording."""
        if view == "presentation" or self.signals == "recorded":
            return True
        return self.signals == "auto" and bool(member.recorded.files["clean"])

    def _member_passes(self, run: int, member: _Member, view: View) -> list[Pass]:
        if member.fold and view == "presentation":
            return []
        if self._recorded(member, view):
            return member.recorded.passes(run, view)
        return member.sweep.passes(run)

    def passes(self, run: int, view: View) -> Sequence[Pass]:
        """Passes of a run; those of its folds count as one, named after the first fold's."""
        members = self._members[run]
        found = [self._member_passes(run, member, view) for member in members]
        if len({len(passes) for passes in found}) > 1:
            counts = ", ".join(str(len(passes)) for passes in found)
            raise InputError(
                f"score: the folds of {self.runs[run]} must have equally many {view} passes, got {counts}."
            )
        return found[0]

    def stored(self, run: int, view: View) -> frozenset[str]:
        """Needs that every fold of the run can hand out."""
        labels = frozenset() if self.examples.labels is None else frozenset({"labels"})
        return frozenset.intersection(
            *(
                member.recorded.stored(view) | labels
                if self._recorded(member, view)
                else member.sweep.stored()
                for member in self._members[run]
            )
        )

    def covers(self, run: int) -> npt.NDArray[np.bool_]:
        """Examples that some fold of the run may score."""
        covered: npt.NDArray[np.bool_] = np.logical_or.reduce([m.scores_N for m in self._members[run]])
        return covered

    def read(self, sweep: Pass, needs: frozenset[str], rows: IntArray) -> Iterator[tuple[IntArray, Signals]]:
        """Batches of each fold in turn, over the rows that it may score."""
        if sweep.run != self._reading:
            for member in self._members[self._reading]:
                member.sweep.release()
            self._reading = sweep.run
        index = list(self.passes(sweep.run, sweep.view)).index(sweep)
        for member in self._members[sweep.run]:
            mine = np.flatnonzero(member.scores_N[rows])
            own = self._member_passes(sweep.run, member, sweep.view)[index]
            source = member.recorded if self._recorded(member, sweep.view) else member.sweep
            for positions, signals in source.read(own, self.runs[sweep.run], rows[mine]):
                yield mine[positions], signals

    def describe(self, sweep: Pass) -> dict[str, object]:
        """Provenance of the pass, for every fold."""
        index = list(self.passes(sweep.run, sweep.view)).index(sweep)
        described = []
        for member in self._members[sweep.run]:
            own = self._member_passes(sweep.run, member, sweep.view)[index]
            source = member.recorded if self._recorded(member, sweep.view) else member.sweep
            described.append(source.describe(own))
        return described[0] if len(described) == 1 else {"folds": described}
