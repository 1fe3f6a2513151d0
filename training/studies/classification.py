"""What studies of classifiers share: data variants, models, regimes, scores; training a cell and measuring it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from scoring.checkpoints import RunDirectory
from scoring.engines.engine import Engine
from scoring.engines.local import Local
from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.hashing import digest
from scoring.table import ScoreTable
from selection.budget import Budget
from selection.subset import Subset
from training.architectures import Architecture, read_architectures
from training.cell_data import DataRequest
from training.interventions.catalog import read_interventions
from training.interventions.intervention import Intervention, intervene
from training.job import Job, make_job
from training.measures.classification import Measure
from training.measures.kept import kept_measures
from training.run import train_one
from training.settings import DEFAULT_EPOCHS, Settings, read_seeds
from training.studies.evaluation import evaluate_run, run_rows
from training.studies.material import (
    LEAKED,
    Material,
    apart,
    check_added,
    identity,
    load,
    values_of,
    without_leaks,
)
from training.studies.scores import ScoreRequest, check_seeds, make_scores, read_requests, told
from training.studies.study import Cell
from training.studies.study_file import read_fields
from training.studies.trial import try_models
from training.studies.ways import Way, read_budgets, read_ways, settle_ways

OWNER = "study"
AS_IS = "as is"
SUBSETS = "subsets"
BoolArray = npt.NDArray[np.bool_]
REGIMES = ("steps", "epochs")
AT_END = {"checkpoint_every": None, "evaluate_every": None}

_materials: dict[str, Material] = {}
"""The data that this process has read; one study's at a time."""


@dataclass(frozen=True, kw_only=True)
class ClassifierStudy:
    """A study whose runs are classifiers; ``Pruning`` and others say what a cell trains on.

    Attributes:
        data: What is chosen from and trained on.
        test: What every run is judged on: examples, the name of a split of the data, or a fraction of every class to
            hold out; by default its split ``test`` or ``validation``. It is never scored and never trained on.
        models: As in ``train_cells``: names, requests with options, or modules by name.
        select: Ways of choosing (``ways.read_ways``); plain and class-stratified random are always added.
        keep: Budgets, as in ``selection.budget.parse_budget``; all examples are always trained on too.
        scores: What the ways choose by: ``ScoreRequest`` or what it reads, or several; or a ready ``ScoreTable``. Made
            for every variant from its own labels.
        seeds: One run of every cell per seed, which also decides random shares and ties. Fewer than 3 give no verdict.
        epochs, steps: How long training on all examples takes; one of them (default 10 epochs).
        regimes: What is equal for all runs, ``steps`` (updates), ``epochs`` (passes over what was kept), by default
            both, since which it is can change who wins. They are the same for all examples.
        variants: Data by name, each a list of interventions applied to the data; default: the data as they are.
        train: Settings of ``train`` for all runs.
        balance: Class quotas of the ways that name none; see ``selection.run.select``.
        nan: What becomes of examples without a score; see ``selection.run.select``.
        embeddings: For strategies that compare rows.
        leaked: What happens to examples whose input is among the test examples, too: ``error``, ``drop`` them, or
            ``keep`` them.
        groups: Columns of the test data; results are also given for each of their values.
        device: As for ``train``.
        weights: Keep the final weights of every run.
    """

    kind: ClassVar[str] = "classifier"
    data_keys: ClassVar[tuple[str, ...]] = ("data", "test")
    """Keys of a study file that are data."""
    regime_names: ClassVar[tuple[str, ...]] = REGIMES

    data: Examples | DataRequest
    test: Examples | DataRequest | str | float | None = None
    models: Any = "linear"
    select: Any = ("hardest",)
    keep: Any = (0.5, 0.3, 0.1)
    scores: Any = ()
    seeds: Sequence[int] = (0, 1, 2)
    epochs: int | None = None
    steps: int | None = None
    regimes: Sequence[str] = REGIMES
    variants: Mapping[str, Any] | None = None
    train_settings: Mapping[str, Any] = field(default_factory=dict)
    balance: str = "none"
    nan: str = "error"
    embeddings: npt.ArrayLike | str | Path | None = None
    leaked: str = "error"
    groups: Sequence[str] = ()
    device: str = "auto"
    weights: bool = False
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        Settings.read(OWNER, {"epochs": self.epochs, "steps": self.steps})
        for name, given in (("regimes", self.regimes), ("groups", self.groups)):
            if isinstance(given, str):
                raise bad_value(name, OWNER, given, "a list")
        unknown = [regime for regime in self.regimes if regime not in self.regime_names]
        if unknown or not self.regimes or len(set(self.regimes)) < len(self.regimes):
            raise bad_value("regimes", OWNER, list(self.regimes), f"{', '.join(self.regime_names)}, or both")
        if self.leaked not in LEAKED:
            raise bad_value("leaked", OWNER, self.leaked, f"one of {', '.join(LEAKED)}")
        for name in ("epochs", "steps", "evaluate", "subset", "seeds", "device"):
            if name in self.train_settings:
                raise InputError(f"{OWNER}: train must not give {name}; it is a key of the study itself.")
        read_seeds(self.seeds, OWNER)
        self._settings("steps", 1)
        # Each is read once, and what is wrong with it shows here.
        _ = self.architectures, self.ways, self.budgets, self.score_requests, self.interventions
        check_seeds(self.score_requests, self.seeds)

    @classmethod
    def read(cls, given: Mapping[str, Any], folder: Path) -> Self:
        """From the keys of a study file; see ``study_file``."""
        made: Self = read_fields(cls, given, folder, cls.data_keys)
        return made

    # What was asked for, in settled form.

    @cached_property
    def architectures(self) -> list[Architecture]:
        """The models."""
        return read_architectures(self.models)

    @cached_property
    def ways(self) -> list[Way]:
        """Baselines first."""
        return settle_ways(read_ways(self.select), self.balance)

    @cached_property
    def budgets(self) -> list[Budget]:
        """What is kept; all examples are trained on anyway."""
        return read_budgets(self.keep)

    @cached_property
    def score_requests(self) -> list[ScoreRequest]:
        """None for a ready table."""
        return read_requests(self.scores)

    @cached_property
    def interventions(self) -> dict[str, tuple[Intervention, ...]]:
        """By variant."""
        if not self.variants:
            return {AS_IS: ()}
        if not isinstance(self.variants, Mapping):
            raise bad_value("variants", OWNER, self.variants, "lists of interventions, each with a name")
        return {str(name): read_interventions(given) for name, given in self.variants.items()}

    def describe(self) -> dict[str, Any]:
        """See ``Study``."""
        material = self.material()
        rows = len(next(iter(material.variants.values())).examples)
        return {
            "data": self._about_data, "test": _about(material.test),
            "models": {
                each.name: {"model": each.told, "options": dict(each.options)} for each in self.architectures
            },
            "ways": [way.name for way in self.ways], "keep": [str(each) for each in self.budgets],
            "scores": [told(each) for each in self.score_requests], "seeds": list(self.seeds),
            "regimes": {name: self.told_regime(name, rows) for name in self.regimes},
            "variants": {
                name: {
                    "rows": len(each.examples), "fingerprint": each.examples.fingerprint,
                    "realised": list(each.realised), "planted": int(each.planted_N.sum()),
                }
                for name, each in material.variants.items()
            },
            "train": dict(self.train_settings), "balance": self.balance, "leaked": self.leaked,
        }  # fmt: skip

    @cached_property
    def _about_data(self) -> dict[str, Any]:
        return _about(load(self.data))

    # Data.

    def material(self) -> Material:
        """The data, read once per process."""
        key = self._key
        if key not in _materials:
            found = self._read()
            _materials.clear()
            _materials[key] = found
        return _materials[key]

    @cached_property
    def _key(self) -> str:
        told: list[Any] = [self.data, self.test, self.interventions, self.leaked, list(self.groups)]
        if isinstance(self.test, Examples):
            told.append([values_of(self.test, name) for name in self.groups])  # not in its fingerprint
        return digest(json.dumps(identity(told)).encode()).hex()

    def _read(self) -> Material:
        examples, test, split = apart(load(self.data), self.test)
        examples = without_leaks(examples, test, self.leaked)
        variants = {name: intervene(examples, each) for name, each in self.interventions.items()}
        if self.leaked != "keep":
            check_added(variants, test)
        return Material(variants, test, split, {name: values_of(test, name) for name in self.groups})

    # The grid.

    def prepare(self, out: Path, engine: Engine, progress: bool) -> None:
        """See ``Study``: the scores of every variant."""
        try_models(
            self.material(), self.architectures, self._settings("steps", 1), self.device, self.trust_remote_code
        )  # fmt: skip
        if not any(way.by for way in self.ways):
            return
        for variant in self.material().variants.values():
            self.tables(variant.examples, out, engine, progress)

    def tables(
        self, examples: Examples, out: Path, engine: Engine | None = None, progress: bool = False
    ) -> ScoreTable | None:
        """The scores of some examples, joined; None if there are none. Made where they are not there."""
        if isinstance(self.scores, ScoreTable):
            return self.scores
        tables = [
            make_scores(request, examples, out, engine or Local(), self.device, progress)
            for request in self.score_requests
        ]
        joined = None
        for table in tables:
            joined = table if joined is None else joined.join(table)
        return joined

    def _settings(self, regime: str, rows: int) -> Settings:
        """The settings of a regime, for a variant of ``rows`` examples."""
        base = Settings.read(OWNER, {**AT_END, **self.train_settings})
        per_epoch = base.steps_per_epoch(rows)
        epochs = self.epochs or (None if self.steps else DEFAULT_EPOCHS)
        length = (
            {"steps": self.steps or (epochs or 1) * per_epoch}
            if regime == "steps"
            else {"epochs": epochs or max(1, round((self.steps or 1) / per_epoch))}
        )
        return Settings.read(OWNER, {**AT_END, **self.train_settings, **length})

    def told_regime(self, regime: str, rows: int) -> str:
        """``800 steps`` or ``10 epochs``."""
        settings = self._settings(regime, rows)
        return f"{settings.steps} steps" if regime == "steps" else f"{settings.epochs} epochs"

    def cells(self, out: Path) -> list[Cell]:
        """See ``Study``."""
        raise NotImplementedError

    def cell(
        self,
        variant: str,
        job: Job,
        columns: Mapping[str, Any],
        regime: str,
        architecture: Architecture,
        seed: int,
        task: Mapping[str, Any],
        of: int,
    ) -> Cell:
        """A cell that trains on the rows of a job; ``of`` is how many examples there were to choose from."""
        test = self.material().test
        settings = self._settings(regime, of)
        same = self._settings("steps", of)
        # On all examples both are one training, unless the steps asked for are no whole epochs.
        if job.subset is None and len(job.rows) == of and settings.total_steps(of) == same.steps:
            settings = same if "steps" in self.regimes else settings
        request = {
            "data": job.examples.fingerprint, "subset": job.subset and job.subset["hash"], "test": test.fingerprint,
            "groups": self.material().grouped, "planted": self.material().planted[task.get("data", variant)],
            "model": architecture.identity,
            "settings": settings.to_json(), "seed": seed, **task.get("identity", {}),
        }  # fmt: skip
        told = {
            **columns, "variant": variant, "model": architecture.name, "regime": self.told_regime(regime, of),
            "seed": seed, "rows": len(job.rows), "keep": len(job.rows) / of,
        }  # fmt: skip
        about = {
            **task, "variant": variant, "architecture": architecture.name, "seed": seed, "settings": settings.to_json()
        }  # fmt: skip
        return Cell(told, request, about)

    def job_of(self, out: Path, task: Mapping[str, Any]) -> tuple[Job, BoolArray]:
        """What a cell trains on, and which rows of its examples are planted."""
        variant = self.material().variants[task["variant"]]
        subset = None if task.get("subset") is None else Subset.read(out / task["subset"])
        return make_job(variant.examples, self.material().test, subset, False), variant.planted_N

    def train(self, out: Path, run: str, task: Mapping[str, Any], progress: bool) -> None:
        """See ``Study``."""
        job, planted_N = self.job_of(out, task)
        architecture = next(each for each in self.architectures if each.name == task["architecture"])
        settings = Settings.read(OWNER, task["settings"])
        done = train_one(
            job, architecture.model, settings, out / run, task["seed"], model_options=architecture.options,
            device=self.device, trust_remote_code=self.trust_remote_code, show_progress=progress, label=run,
        )  # fmt: skip
        self.evaluate(done, job, architecture, self.train_measures(out, task, job, planted_N))

    def evaluate(
        self, run: RunDirectory, job: Job, architecture: Architecture, trained_on: Sequence[Measure]
    ) -> None:
        """Judge a finished run; ``trained_on`` is what is said of the examples it trained on."""
        material = self.material()
        evaluate_run(
            run, job.examples, material.test, material.split, material.groups, trained_on,
            model=architecture.own_code, device=self.device,
            trust_remote_code=self.trust_remote_code, keep_weights=self.weights,
        )  # fmt: skip

    def train_measures(
        self, out: Path, task: Mapping[str, Any], job: Job, planted_N: BoolArray
    ) -> list[Measure]:
        """What is said of the examples that a cell trained on."""
        assert job.examples.labels is not None
        return kept_measures(job.examples.labels, job.examples.label_names, job.rows, planted_N)

    def rows(self, run: RunDirectory) -> Iterable[Mapping[str, Any]]:
        """See ``Study``."""
        return run_rows(run)


def _about(examples: Examples) -> dict[str, Any]:
    return {"name": examples.name, "rows": len(examples), "fingerprint": examples.fingerprint}
