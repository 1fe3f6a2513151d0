"""The online study: choose inside the training loop, by the current model, and compare with random draws.

Every update draws more examples than it trains on, and a rule picks (``training.online``). Two baselines stand beside
every rule at every share, random and class-stratified parts of the same draws, and so does ordinary training on all
examples. Scoring what is drawn costs forward passes, so results are given at equal updates and at equal compute.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError, bad_value
from scoring.table import ScoreTable
from selection.budget import Budget
from training.architectures import Architecture
from training.flops import measure_flops
from training.isolation import isolated
from training.job import Job, make_job
from training.measures.kept import kept_measures
from training.online.catalog import make_rule
from training.online.chosen import chosen_rows, distinct_rows
from training.online.request import OnlineSelection
from training.run import settle, train_one
from training.settings import MOST_AUTO, Settings
from training.studies.classification import OWNER, ClassifierStudy
from training.studies.study import Cell
from training.studies.ways import (
    ALL,
    BASELINES,
    PLAIN_RANDOM,
    STRATIFIED_RANDOM,
    Way,
    all_columns,
    read_ways,
    way_columns,
)

RECENT = "planted_recent"
"""Share of planted rows among what was trained on since the last such value."""


@dataclass(frozen=True, kw_only=True)
class Online(ClassifierStudy):
    """Train every update on a part of what is drawn for it; see ``ClassifierStudy`` for the other fields.

    Attributes:
        select: Online rules: ``highest_loss``, ``reducible_loss by loss``, ``{take: selective_backprop, beta: 2}``. The
            score of ``reducible_loss`` is the irreducible loss: ``scores: {scorers: loss, model: mlp, folds: 2}``.
        keep: Shares of what is drawn.
        regimes: ``steps``: equal updates, so that a rule that scores costs more; where a draw of an epoch is not whole,
            it is smaller, for baselines too. ``compute``: as many updates as cost the FLOPs that ordinary training
            takes for its own, forward passes over candidates included, for baselines too. Reference runs behind a
            score are in neither (``scores/*.json`` has their cost).
    """

    kind: ClassVar[str] = "online"
    regime_names: ClassVar[tuple[str, ...]] = ("steps", "compute")

    select: Any = ("highest_loss",)
    keep: Any = (0.1,)
    regimes: Sequence[str] = ("steps", "compute")

    @cached_property
    def ways(self) -> list[Way]:
        """Baselines first."""
        found = list(BASELINES)
        for way in read_ways(self.select):
            if way.take in (ALL, *(rule_name(each) for each in BASELINES)):
                continue  # trained on anyway
            if way.balance is not None:
                raise InputError(f"{OWNER}: online rules have no class quotas, got balance {way.balance!r}.")
            needs = make_rule(way.take, way.options).needs
            if ("irreducible" in needs) != (way.by is not None):
                raise bad_value("select", OWNER, way.name, _form(way.take, "irreducible" in needs))
            if way in found:
                raise InputError(f"{OWNER}: select must not repeat, got {way.name!r} twice.")
            found.append(way)
        return found

    @cached_property
    def budgets(self) -> list[Budget]:
        """Shares of the draw."""
        found = super().budgets
        if any(each.fraction is None for each in found):
            raise bad_value("keep", OWNER, [str(each) for each in found], "shares of the draw, such as 10%")
        return found

    def _settings(self, regime: str, rows: int) -> Settings:
        """Those of ordinary training; how many updates cost the same depends on the rule (``steps_of``)."""
        return super()._settings("steps", rows)

    def told_regime(self, regime: str, rows: int) -> str:
        """``800 steps`` or ``compute of 800 steps``."""
        told = super().told_regime("steps", rows)
        return told if regime == "steps" else f"compute of {told}"

    def cells(self, out: Path) -> list[Cell]:
        """See ``Study``: seed by seed; all examples first, then the baselines and the rules, share by share."""
        material = self.material()
        tables = {name: self.tables(each.examples, out) for name, each in material.variants.items()}
        picks: list[tuple[Way, Budget] | None] = [None]
        picks += [(way, keep) for way in self.ways for keep in self.budgets]
        jobs = {
            name: make_job(each.examples, material.test, None, False)
            for name, each in material.variants.items()
        }
        about: dict[tuple[str, int], dict[str, Any]] = {}
        cells: list[Cell] = []
        for seed in self.seeds:
            for name, job in jobs.items():
                for number, pick in enumerate(picks):
                    for model in self.architectures:
                        for regime in self.regimes:
                            if pick is None:
                                cell = self.cell(
                                    name, job, all_columns(), regime, model, seed, {}, len(job.rows)
                                )
                                cells.append(cell)
                                continue
                            way, keep = pick
                            online = _selection(way, keep, tables[name])
                            if (name, number) not in about:
                                about[name, number] = online.describe(job.examples, job.rows)
                            task = {"way": number - 1, "identity": {"online": about[name, number]}}
                            columns = way_columns(way, keep)
                            cell = self.cell(name, job, columns, regime, model, seed, task, len(job.rows))
                            steps = self.steps_of(online, regime, job, model)
                            cells.append(_of_steps(cell, steps, online.keep))
        return cells

    def steps_of(self, online: OnlineSelection, regime: str, job: Job, model: Architecture) -> int:
        """Updates of a rule or baseline: those of ordinary training, or as many as cost the same, to the nearest.

        Of L candidates B are trained on, forward and backward, and where the rule needs them all L go forward. The last
        draw of an epoch may be smaller, and so may the last batch of ordinary training: rows are counted, not updates.
        For texts the padding of candidates is taken to be that of training, so that the cost is met roughly; the
        column C has what it was.
        """
        rows = len(job.rows)
        settings = self._settings("steps", rows)
        steps, batch = settings.steps, settings.batch_size
        assert steps is not None
        if regime == "steps":
            return steps
        forward = self._forward_share(job, model) if "logits" in online.made.needs else 0.0
        costs = [online.kept(each, batch) + forward * each for each in _draws(rows, online.candidates(batch))]
        ordinary = _draws(rows, batch)
        epochs, within = divmod(steps, len(ordinary))
        full, left = divmod(epochs * rows + sum(ordinary[:within]), sum(costs))
        nearest = int(np.abs(np.cumsum([0.0, *costs]) - left).argmin())
        return max(1, int(full) * len(costs) + nearest)

    def _forward_share(self, job: Job, model: Architecture) -> float:
        """FLOPs of a forward pass over those of a forward and backward pass."""
        key = (job.examples.fingerprint, model.name)
        if key not in self._shares:
            settings = self._settings("steps", len(job.rows))
            where, net, _ = settle(
                job, model.model, settings, 0, model_options=model.options, device=self.device,
                trust_remote_code=self.trust_remote_code,
            )  # fmt: skip
            net.module.to(where)
            rows = job.rows[: settings.batch_size]
            with isolated(where):
                prepared, every = net.inputs.prepare(job.examples, rows), np.arange(len(rows))
                forward, _ = measure_flops(net, prepared, every, where, backward=False)
                training, _ = measure_flops(net, prepared, every, where)
            if not forward or not training:
                raise InputError(
                    f"{OWNER}: regimes must be steps alone for model {model.name!r}, whose FLOPs cannot be counted."
                )
            self._shares[key] = forward / training
        return self._shares[key]

    @cached_property
    def _shares(self) -> dict[tuple[str, str], float]:
        return {}

    def train(self, out: Path, run: str, task: Mapping[str, Any], progress: bool) -> None:
        """See ``Study``."""
        job, planted_N = self.job_of(out, task)
        architecture = next(each for each in self.architectures if each.name == task["architecture"])
        online = None
        if "way" in task:
            pairs = [(way, keep) for way in self.ways for keep in self.budgets]
            way, keep = pairs[task["way"]]
            online = _selection(way, keep, self.tables(job.examples, out))
        done = train_one(
            job, architecture.model, Settings.read(OWNER, task["settings"]), out / run, task["seed"], online=online,
            model_options=architecture.options, device=self.device, trust_remote_code=self.trust_remote_code,
            show_progress=progress, label=run,
        )  # fmt: skip
        examples, rows = job.examples, job.rows
        if online is not None:
            rows, epochs = chosen_rows(done.path, examples)
            before = [row for row in done.metrics().to_pylist() if row["name"] != RECENT]
            done.write_metrics([*before, *_recent(done, planted_N[rows], epochs)])
        assert examples.labels is not None
        measures = kept_measures(examples.labels, examples.label_names, rows, planted_N)
        self.evaluate(done, job, architecture, measures)

    def rows(self, run: RunDirectory) -> Iterable[Mapping[str, Any]]:
        """See ``Study``. ``D`` counts what was trained on, not what was only drawn; ``U`` the different ones of it."""
        found = super().rows(run)
        about = run.config.get("online")
        if about is None:
            return found
        drawn = run.config["epochs"] * run.config["data"]["trained_on"]
        distinct = float(distinct_rows(run.path))
        return [{**row, "D": row["D"] * about["trained_on"] / drawn, "U": distinct} for row in found]


def _draws(rows: int, drawn: int) -> list[int]:
    """Sizes of the draws of an epoch."""
    return [min(drawn, rows - start) for start in range(0, rows, drawn)]


def rule_name(way: Way) -> str:
    """The rule behind a way; the baselines are called as in every study."""
    return "random" if way == PLAIN_RANDOM else "stratified" if way == STRATIFIED_RANDOM else way.take


def _form(take: str, reads: bool) -> str:
    return f"{take!r} with a score, such as '{take} by loss'" if reads else f"{take!r} without a score"


def _selection(way: Way, keep: Budget, table: ScoreTable | None) -> OnlineSelection:
    assert keep.fraction is not None
    if way.by is not None and table is None:
        raise InputError(f"{OWNER}: select by {way.by!r} needs scores, and the study names none.")
    return OnlineSelection(
        rule=rule_name(way), keep=float(keep.fraction), options=way.options,
        scores=None if way.by is None else table, by=way.by,
    )  # fmt: skip


def _of_steps(cell: Cell, steps: int, keep: float) -> Cell:
    settings = {**cell.task["settings"], "steps": steps}
    return replace(
        cell, columns={**cell.columns, "keep": keep}, request={**cell.request, "settings": settings},
        task={**cell.task, "settings": settings},
    )  # fmt: skip


def _recent(run: RunDirectory, planted_M: Any, epochs_M: Any) -> list[dict[str, Any]]:
    """The share of planted rows among what was trained on, epoch by epoch, or in at most 20 stretches of epochs."""
    steps, per_epoch = run.config["steps"], run.config["steps"] / run.config["epochs"]
    count = int(epochs_M.max()) + 1
    width = math.ceil(count / MOST_AUTO)
    rows = []
    for first in range(0, count, width):
        inside = (epochs_M >= first) & (epochs_M < first + width)
        step = min(steps, round((first + width) * per_epoch))
        rows.append(
            {
                "step": step, "epoch": step / per_epoch, "split": "train", "name": RECENT,
                "value": float(planted_M[inside].mean()),
            }
        )  # fmt: skip
    return rows
