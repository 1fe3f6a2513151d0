"""What a call of score() has to compute: columns, and for every run the passes they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from scoring.catalog import parse_scorer, split_scorers
from scoring.errors import InputError, bad_value
from scoring.scorer import Row, Scorer, TrajectoryScorer
from scoring.signals import VIEWS, Signals, View, provided
from scoring.sources.source import Pass, Source
from scoring.steps import StepRule


@dataclass(frozen=True)
class Column:
    """One requested score: its name in the table, the scorer, and the step rule if it is pointwise."""

    name: str
    scorer: Scorer
    rule: StepRule | None

    @property
    def state(self) -> Mapping[str, float]:
        """Per-example state before the first pass."""
        if isinstance(self.scorer, TrajectoryScorer):
            return self.scorer.state
        assert self.rule is not None
        return self.rule.state

    def choose(self, passes: Sequence[Pass]) -> list[int]:
        """Which of a run's passes the column reads."""
        return list(range(len(passes))) if self.rule is None else self.rule.choose(passes)

    def step(self, scorer: Scorer, signals: Signals, row: Row) -> Row:
        """The state after one more pass; ``scorer`` is the column's own, fitted to the pass if it fits."""
        if isinstance(scorer, TrajectoryScorer):
            return scorer.step(signals, row)
        assert self.rule is not None
        return self.rule.update(row, scorer.score(signals))

    def final(self, row: Row) -> dict[str, Tensor]:
        """Values under their names in the table."""
        if isinstance(self.scorer, TrajectoryScorer):
            outputs = self.scorer.final(row)
            return {f"{self.name}.{side}" if side else self.name: value for side, value in outputs.items()}
        assert self.rule is not None
        return {self.name: self.rule.final(row)}


def parse_columns(scorers: str | Scorer | Sequence[str | Scorer]) -> list[Column]:
    """Columns from ``"el2n,loss@mean"``, a list of such names, scorer objects, or a mix."""
    if isinstance(scorers, Scorer):
        scorers = [scorers]
    if not isinstance(scorers, str | Sequence):
        raise bad_value(
            "scorers", "score", scorers, "names such as 'el2n,loss@mean', scorer objects, or a list"
        )
    texts = split_scorers(scorers) if isinstance(scorers, str) else list(scorers)
    if not texts:
        raise InputError(
            "score: scorers must name at least one scorer, got none; `tamis list` shows them all."
        )
    columns = []
    for text in texts:
        name, scorer, rule = parse_scorer(text)
        if rule is None and not isinstance(scorer, TrajectoryScorer):
            rule = StepRule.parse(scorer.default_steps)
        columns.append(Column(name, scorer, rule))
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"score: scorers must be different, got {', '.join(twice)} more than once.")
    return columns


@dataclass(frozen=True)
class RunPlan:
    """The passes of one run that must be read, in order, each with the columns that read it."""

    run: int
    sweeps: Sequence[tuple[Pass, Sequence[Column]]]
    views: Mapping[str, View]
    """Column name -> the view its signals come from."""


def plan_run(source: Source, run: int, columns: Sequence[Column], view: View | None) -> RunPlan:
    """Choose view and passes for every column; ``view`` overrides what the scorers' definitions speak of."""
    views = {column.name: _choose_view(source, run, column, view) for column in columns}
    readers: dict[Pass, list[Column]] = {}
    for column in columns:
        passes = source.passes(run, views[column.name])
        for index in column.choose(passes):
            readers.setdefault(passes[index], []).append(column)
    order = sorted(readers, key=lambda sweep: (VIEWS.index(sweep.view), sweep.step, sweep.epoch))
    return RunPlan(run, [(sweep, readers[sweep]) for sweep in order], views)


def _choose_view(source: Source, run: int, column: Column, forced: View | None) -> View:
    wanted = forced or column.scorer.view
    others = [] if forced else [view for view in VIEWS if view != wanted]
    lacking: list[str] = []
    for view in (wanted, *others):
        if not source.passes(run, view):
            lacking.append(f"no {view} signals")
            continue
        missing = column.scorer.needs - provided(source.stored(run, view))
        if not missing:
            return view
        lacking.append(f"{view} signals without {', '.join(sorted(missing))}")
    raise InputError(
        f"score: scorer {column.name!r} needs {', '.join(sorted(column.scorer.needs)) or 'a pass'}, "
        f"but {source.runs[run]} has {' and '.join(lacking)}."
    )
