"""What a call of score() has to compute: columns, and for every run the passes they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from scoring.catalog import parse_scorer, split_scorers
from scoring.errors import InputError, bad_value
from scoring.needs import OF_CHECKPOINTS, OF_DOCUMENTS, Need, Representations, provided
from scoring.scorer import CollectiveScorer, Row, Scorer, TrajectoryScorer
from scoring.signals import VIEWS, Signals, View
from scoring.sources.source import Pass, Source
from scoring.steps import StepRule

HINTS = {
    "target": "give the examples to compare with as target",
    "reference_losses": "give the runs of the reference model as reference",
    "null_losses": "give the runs of the model trained without inputs as null",
    **dict.fromkeys(sorted(OF_CHECKPOINTS), "it has to be computed from checkpoints"),
    **dict.fromkeys(
        sorted(OF_DOCUMENTS), "it is of the documents themselves: score them without runs or arrays"
    ),
}
"""Where the user finds what a source lacks."""

OF_LABELS = frozenset(
    {
        "labels",
        "losses",
        "logit_margins",
        *(OF_CHECKPOINTS - {Representations.kind}),
    }
)
"""Kinds that nobody can give of examples without labels."""


@dataclass(frozen=True)
class Column:
    """One requested score: its name in the table, the scorer, and the step rule if it is pointwise."""

    name: str
    scorer: Scorer
    rule: StepRule | None

    @property
    def collective(self) -> bool:
        """Whether it needs all examples of a run at once."""
        return isinstance(self.scorer, CollectiveScorer)

    @property
    def wide(self) -> bool:
        """Whether its state is as large as the inputs."""
        return isinstance(self.scorer, TrajectoryScorer) and self.scorer.wide

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

    @property
    def blockwise(self) -> Sequence[tuple[Pass, Sequence[Column]]]:
        """The passes that are read block by block, with the columns that take them so."""
        kept = [(sweep, [c for c in columns if not c.collective]) for sweep, columns in self.sweeps]
        return [(sweep, columns) for sweep, columns in kept if columns]

    @property
    def reads(self) -> int:
        """How many times the examples go through: a pass that both kinds of columns read counts for both."""
        shared = {sweep for sweeps in self.collective.values() for sweep in sweeps}
        return len(self.blockwise) + len(shared)

    @property
    def collective(self) -> Mapping[Column, Sequence[Pass]]:
        """The columns that need all examples at once, with the passes they read."""
        passes: dict[Column, list[Pass]] = {}
        for sweep, columns in self.sweeps:
            for column in columns:
                if column.collective:
                    passes.setdefault(column, []).append(sweep)
        return passes


def needs_of(columns: Sequence[Column]) -> frozenset[Need]:
    """The union of what the columns read: computed once, handed to all."""
    return frozenset().union(*(column.scorer.reads for column in columns))


def check_folds(columns: Sequence[Column], run: str = "the run") -> None:
    """Refuse scores that compare the examples of one model where ``run`` is cross-fitted."""
    names = sorted(column.name for column in columns if column.collective)
    if names:
        raise InputError(
            f"score: {' and '.join(names)} need{'' if names[1:] else 's'} one model for all examples, which are "
            f"compared, and {run} is cross-fitted; score the run of one model."
        )


def plan_run(source: Source, run: int, columns: Sequence[Column], view: View | None) -> RunPlan:
    """Choose view and passes for every column; ``view`` overrides what the scorers' definitions speak of."""
    views = {column.name: _choose_view(source, run, column, view) for column in columns}
    readers: dict[Pass, list[Column]] = {}
    for column in columns:
        passes = source.passes(run, views[column.name], column.scorer.needs)
        chosen = [passes[index] for index in column.choose(passes)]
        column.scorer.check_steps([sweep.step for sweep in chosen])
        for sweep in chosen:
            readers.setdefault(sweep, []).append(column)
    order = sorted(readers, key=lambda sweep: (VIEWS.index(sweep.view), sweep.step, sweep.epoch))
    return RunPlan(run, [(sweep, readers[sweep]) for sweep in order], views)


def _choose_view(source: Source, run: int, column: Column, forced: View | None) -> View:
    needs = column.scorer.needs
    wanted = forced or column.scorer.view
    others = [] if forced else [view for view in VIEWS if view != wanted]
    lacking: list[str] = []
    missing: set[str] = set()
    labelled, checkpoints = True, False
    for view in (wanted, *others):
        if not source.passes(run, view):
            lacking.append(f"no {view} signals")
            missing |= needs
            continue
        stored = source.stored(run, view)
        labelled &= "labels" in stored
        checkpoints |= bool(stored & OF_CHECKPOINTS)
        absent = needs - provided(stored)
        if not absent and source.passes(run, view, needs):
            return view
        missing |= absent
        without = f"without {', '.join(sorted(absent))}" if absent else "of which no pass has all"
        lacking.append(f"{view} signals {without}")
    hints = [hint for need, hint in HINTS.items() if need in missing]
    if not labelled and "labels" not in missing and missing & OF_LABELS:
        hints = ["the examples have no labels"]
    elif not checkpoints and (kinds := missing & OF_CHECKPOINTS):
        hints = [HINTS[min(kinds)]]
    raise InputError(
        f"score: scorer {column.name!r} needs {', '.join(sorted(needs)) or 'a pass'}, "
        f"but {source.runs[run]} has {' and '.join(lacking)}{''.join(f'; {hint}' for hint in hints[:1])}."
    )
