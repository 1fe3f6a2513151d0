"""Signals from run directories: recorded dynamics where there are some, checkpoints where not, folds joined."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch

from scoring.checkpoints import Checkpoints, RunDirectory
from scoring.errors import InputError, unknown_name
from scoring.find_runs import check_one_model, find_runs, place_of
from scoring.ids import find_rows
from scoring.needs import Need, provided
from scoring.null_inputs import null_inputs
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
    ids: npt.NDArray[Any]

    @cached_property
    def trained_N(self) -> npt.NDArray[np.bool_]:
        """Which of the examples it trained on."""
        return self.sweep.run.trained_on(self.ids)


OTHERS = ("reference_losses", "null_losses")
"""Kinds that runs of another model give."""


@dataclass(frozen=True)
class OtherLosses:
    """Loss of every example under another model, NaN where its runs held it out; and which table that was."""

    losses_N: npt.NDArray[np.float64]
    request: str


class RunSource:
    """All runs found at a path.

    A run that held examples out for evaluation does not score them: they measure, and must not choose. The folds of
    one seed (``train_folds``) are one run, in which every example is scored by the model that did not train on it.

    What several checkpoints cannot give is taken from elsewhere: ``trained`` from the run directory,
    ``reference_losses`` and ``null_losses`` from the runs of another model, each the mean over its runs.

    Args:
        path: A run directory, a folder of runs or folds, a Hugging Face model folder, or a transformers Trainer output.
        examples: What to score.
        signals: Where clean signals of these runs come from: ``checkpoints`` (a forward pass), ``recorded`` (evaluation
            passes kept while training), or ``auto``: recorded ones if they hold what the score reads. Presentations
            are always recorded ones.
        reference: Runs of the model whose losses ``reducible_loss`` subtracts.
        null: Runs of the model that was trained on ``null_inputs(examples)``, for ``pvi``.
        held_out: Give what runs held out for evaluation too.
        sweep_options: ``model``, ``device``, ``precision``, ``batch_size``, ``max_tokens``, ``trust_remote_code``,
            ``target``, ``target_groups``.
    """

    def __init__(
        self,
        path: str | Path,
        examples: Examples,
        *,
        signals: Choice = "auto",
        reference: str | Path | None = None,
        null: str | Path | None = None,
        held_out: bool = False,
        **sweep_options: Any,
    ) -> None:
        if signals not in CHOICES:
            raise unknown_name("signals", "score", signals, CHOICES)
        self.examples, self.signals, self._path = examples, signals, Path(path)
        self._held_out = held_out
        self._others = {"reference_losses": reference, "null_losses": null}
        self._other_options = {k: v for k, v in sweep_options.items() if k not in ("target", "target_groups")}
        self._other_losses: dict[str, OtherLosses] = {}
        self._told: set[str] = set()
        groups: dict[str, list[Checkpoints]] = {}
        found = find_runs(path)
        check_one_model(found)
        for run in found:
            place = place_of(run)
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
            scores_N[at] = role == "fold" or self._held_out
        data = (run.config.get("data") or {}) if isinstance(run, RunDirectory) else {}
        return _Member(
            CheckpointSweep(run, self.examples, told=self._told, **sweep_options),
            RecordedSignals(run.path, self.examples, data),
            scores_N,
            run.fold is not None,
            self.examples.ids,
        )

    @property
    def folded(self) -> frozenset[int]:
        """Runs that are the folds of a cross-fitting."""
        return frozenset(run for run, members in enumerate(self._members) if members[0].fold)

    def _recording(self, member: _Member, view: View) -> frozenset[str]:
        """Kinds that the recording gives."""
        if (member.fold and view == "presentation") or (view == "clean" and self.signals == "checkpoints"):
            return frozenset()
        stored = member.recorded.stored(view)
        return stored | self._always if stored else stored

    def _checkpoints(self, member: _Member, view: View) -> frozenset[str]:
        """Kinds that a pass over the checkpoints gives."""
        if view == "presentation" or self.signals == "recorded" or not member.sweep.checkpoints:
            return frozenset()
        return member.sweep.stored() | self._always

    @property
    def _always(self) -> frozenset[str]:
        """Kinds that come with every pass."""
        labels = {"labels"} if self.examples.labels is not None else set()
        return frozenset(
            {"trained", *labels, *(kind for kind, path in self._others.items() if path is not None)}
        )

    def passes(self, run: int, view: View, needs: frozenset[str] = frozenset()) -> Sequence[Pass]:
        """Passes of a run: recorded ones if they give the needs, else those of the checkpoints.

        Those of its folds count as one, named after the first fold's.
        """
        members = self._members[run]

        def give(kinds: Sequence[frozenset[str]]) -> bool:
            return all(held and needs <= provided(held) for held in kinds)

        if give([self._recording(member, view) for member in members]):
            found = [member.recorded.passes(run, view) for member in members]
        elif give([self._checkpoints(member, view) for member in members]):
            found = [member.sweep.passes(run) for member in members]
        else:
            return []
        if len({len(passes) for passes in found}) > 1:
            counts = ", ".join(str(len(passes)) for passes in found)
            raise InputError(
                f"score: the folds of {self.runs[run]} must have equally many {view} passes, got {counts}."
            )
        return found[0]

    def stored(self, run: int, view: View) -> frozenset[str]:
        """Kinds that every fold of the run can hand out."""
        members = self._members[run]
        recorded = frozenset.intersection(*(self._recording(member, view) for member in members))
        return recorded | frozenset.intersection(*(self._checkpoints(member, view) for member in members))

    def covers(self, run: int) -> npt.NDArray[np.bool_]:
        """Examples that some fold of the run may score."""
        covered: npt.NDArray[np.bool_] = np.logical_or.reduce([m.scores_N for m in self._members[run]])
        return covered

    def read(self, sweep: Pass, needs: frozenset[Need], rows: IntArray) -> Iterator[tuple[IntArray, Signals]]:
        """Batches of each fold in turn, over the rows that it may score."""
        if sweep.run != self._reading:
            for member in self._members[self._reading]:
                member.sweep.release()
            self._reading = sweep.run
        for member, own in self._own_passes(sweep):
            mine = np.flatnonzero(member.scores_N[rows])
            source = member.recorded if own.recorded else member.sweep
            for positions, signals in source.read(own, self.runs[sweep.run], rows[mine], needs):
                yield mine[positions], self._completed(signals, member, needs, rows[mine[positions]])

    def _completed(
        self, signals: Signals, member: _Member, needs: frozenset[Need], rows: IntArray
    ) -> Signals:
        """Signals with what comes from beside the pass."""
        more: dict[str, Any] = {}
        if "trained" in needs:
            more["trained"] = torch.from_numpy(member.trained_N[rows])
            more["trained_share"] = member.sweep.run.trained_share
        losses = {
            kind: torch.from_numpy(self._other(kind).losses_N[rows]) for kind in OTHERS if kind in needs
        }
        if losses:
            more["summaries"] = {**signals.summaries, **losses}
        return replace(signals, **more) if more else signals

    def _other(self, kind: str) -> OtherLosses:
        """Losses under the other model, computed when they are first asked for."""
        if kind not in self._other_losses:
            from scoring.run import score

            examples = self.examples if kind == "reference_losses" else null_inputs(self.examples)
            path = self._others[kind]
            assert path is not None
            self._check_other(kind, Path(path))
            table = score(examples, "loss", RunSource(path, examples, **self._other_options))
            losses_N = np.full(len(examples), np.nan)
            losses_N[find_rows(examples.ids, table.ids, "score", "the examples")] = table.column("loss")
            self._other_losses[kind] = OtherLosses(losses_N, table.info["request"])
        return self._other_losses[kind]

    def _check_other(self, kind: str, path: Path) -> None:
        """Refuse runs that cannot be those of the other model: they would give a score near 0 for everything."""
        if kind == "reference_losses" and path.resolve() == self._path.resolve():
            raise InputError(
                "score: reference must be runs of another training, got the runs that are scored."
            )
        fingerprints = {
            (run.config.get("data") or {}).get("fingerprint")
            for run in find_runs(path)
            if isinstance(run, RunDirectory)
        }
        if kind == "null_losses" and self.examples.fingerprint in fingerprints:
            raise InputError(
                "score: null must be runs trained on empty inputs (`tamis retrain pvi` trains them), got "
                f"{str(path)!r}, trained on the examples themselves."
            )

    def _own_passes(self, sweep: Pass) -> Iterator[tuple[_Member, Pass]]:
        """Every fold of the run with its own pass of that time."""
        index = None
        for member in self._members[sweep.run]:
            passes = (
                member.recorded.passes(sweep.run, sweep.view)
                if sweep.recorded
                else member.sweep.passes(sweep.run)
            )
            index = passes.index(sweep) if index is None else index
            yield member, passes[index]

    def describe(self, sweep: Pass) -> dict[str, object]:
        """Provenance of the pass, for every fold."""
        described = [
            (member.recorded if own.recorded else member.sweep).describe(own)
            for member, own in self._own_passes(sweep)
        ]
        others = {name: self._other(name).request for name in OTHERS if self._others[name] is not None}
        return {**(described[0] if len(described) == 1 else {"folds": described}), **others}
