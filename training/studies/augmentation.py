"""The augmentation study: add a scored part of a weakly labelled or unlabelled pool to the training data.

Sabbineni, Anand & Minakova 2023 (Comprehensive Benchmarking of Entropy and Margin Based Scoring Metrics for Data
Selection, arXiv 2311.16302): a model labels a pool, confident answers are kept, and of those the part that a score
chooses is added to the training data and compared with a random part of the same size. Which end of a score is worth
adding is not settled, so a study lists the ends it wants, and both random baselines always stand beside them.

Models that label and score have trained on the labelled data alone, so all that is said of the pool is out-of-sample.
Networks read vocabulary and statistics from the examples they train on, here the labelled ones with those added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from scoring.engines.engine import Engine
from scoring.engines.local import Local
from scoring.errors import InputError, bad_value
from scoring.examples import Examples
from scoring.hashing import digest
from scoring.table import ScoreTable
from selection.budget import Budget
from selection.subset import Subset
from training.cell_data import DataRequest
from training.job import Job, make_job
from training.measures.classification import Measure
from training.measures.kept import kept_measures
from training.studies.choosing import choose
from training.studies.classification import SUBSETS, ClassifierStudy
from training.studies.labeller import Labeller, pool_probabilities, pool_scores
from training.studies.labelling import Labelling
from training.studies.material import Material, without_leaks
from training.studies.pool import FloatArray, LabelledPool, label_pool, true_classes, with_classes
from training.studies.study import Cell
from training.studies.trial import try_models
from training.studies.ways import Way, all_columns, way_columns

OWNER = "study"
WHOLE = "whole pool"
"""The way that adds all that passes the gate."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PoolMaterial(Material):
    """With the P rows of the pool that may be added at all."""

    pool: Examples
    true_P: npt.NDArray[np.object_] | None
    """Names of the true classes, where they are known."""
    left_out: Mapping[str, int]
    """Rows of the pool that are not offered: their input is in the test data, or in the labelled data already."""


@dataclass(frozen=True, kw_only=True)
class Augmentation(ClassifierStudy):
    """Add part of a pool to the data by every way of choosing, and train on both; see ``ClassifierStudy``.

    ``data`` are the labelled examples, which every run trains on; ``all`` are they alone. ``keep`` are budgets of what
    is added, of the rows of the pool behind its gate; every way adds exactly as many. The way ``whole pool`` adds all
    of them. ``epochs`` or ``steps`` are those of training on the labelled data alone: with equal steps every run has as
    many updates as that, with equal epochs as many passes over what it trains on.

    In the run table ``keep`` is the share of the rows behind the gate that was added, ``variant`` tells the pool too
    where there are several, and split ``train`` has ``wrong``, the share of wrong labels among what was added, where
    the truth is known, and the ``representation`` of every class among what was added against what could be.

    Attributes:
        pool: Of the same kind as the data. Rows whose input is in the test data are handled as ``leaked`` says; those
            whose input is in the labelled data are never added.
        labels, confidence, most: How the pool is labelled and what may be added; see ``labelling.Labelling``.
        pools: Several treatments of the pool by name, each a mapping with any of these three.
        labeller: What labels the pool, and scores it where ``scores`` names no other model; default: the first of
            ``models``, with the settings of the study. See ``labeller.Labeller``.
        truth: A column of the pool with the true classes: labels of nothing, only counted.
        scores: Of the pool. Errors (``el2n``) are against the label that a row would be added with.
        embeddings: A file or folder with ids.
    """

    kind: ClassVar[str] = "augmentation"
    data_keys: ClassVar[tuple[str, ...]] = ("data", "test", "pool")

    pool: Examples | DataRequest
    labels: str = "pseudo"
    confidence: float | None = None
    most: Any = None
    pools: Mapping[str, Any] | None = None
    labeller: Any = None
    truth: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.embeddings is None or isinstance(self.embeddings, str | Path)):
            raise bad_value("embeddings", OWNER, "an array", "a file or folder with the ids of the pool")
        if any(budget.unit != "rows" for budget in self.budgets):
            raise bad_value("keep", OWNER, [str(each) for each in self.budgets], "in rows")
        if shared := set(self.labelled_by.seeds) & set(self.seeds):
            raise bad_value("seeds of labeller", OWNER, sorted(shared), "other than those of the study")

    # What was asked for, in settled form.

    @cached_property
    def labellings(self) -> dict[str, Labelling]:
        """By name; the only one is called what it is."""
        default = Labelling(labels=self.labels, confidence=self.confidence, most=self.most)
        if not self.pools:
            return {default.told: default}
        return {str(name): Labelling.read(given, default) for name, given in self.pools.items()}

    @cached_property
    def labelled_by(self) -> Labeller:
        """The labeller."""
        length = {"epochs": self.epochs} if self.steps is None else {"steps": self.steps}
        settings = {name: value for name, value in length.items() if value is not None}
        default = Labeller(model=self.architectures[0], train={**self.train_settings, **settings})
        return Labeller.read(self.labeller, default)

    @cached_property
    def realised(self) -> dict[str, Any]:
        """What labelling came to, by variant; filled by ``cells``."""
        return {}

    def describe(self) -> dict[str, Any]:
        """See ``Study``."""
        material = self.material()
        pool = material.pool
        return {
            **super().describe(),
            "pool": {"name": pool.name, "rows": len(pool), "left_out": dict(material.left_out)},
            "labeller": self.labelled_by.told, "truth": self.truth, "labelled": self.realised,
            "labellings": {name: each.told for name, each in self.labellings.items()},
        }  # fmt: skip

    # Data.

    def material(self) -> PoolMaterial:
        """See ``ClassifierStudy``."""
        found = super().material()
        assert isinstance(found, PoolMaterial)
        return found

    @cached_property
    def _key(self) -> str:
        pool = self.pool.fingerprint if isinstance(self.pool, Examples) else repr(self.pool)
        return digest(json.dumps([super()._key, pool, self.truth]).encode()).hex()

    def _read(self) -> PoolMaterial:
        base = super()._read()
        pool = self.pool.load() if isinstance(self.pool, DataRequest) else self.pool
        labelled = next(iter(base.variants.values())).examples
        if pool.kind != labelled.kind:
            raise bad_value("pool", OWNER, f"{pool.kind} examples", f"{labelled.kind} examples as the data")
        offered = without_leaks(pool, base.test, self.leaked, "rows of the pool")
        leaked = len(pool) - len(offered)
        known_P = np.zeros(len(offered), dtype=bool)
        hashes_P = offered.content_hashes(np.arange(len(offered)))
        for each in base.variants.values():
            known_P |= np.isin(hashes_P, each.examples.content_hashes(np.arange(len(each.examples))))
        if known_P.all():
            raise InputError(
                f"{OWNER}: pool must hold rows that are neither in the data nor in the test, got none."
            )
        offered = offered.take(np.flatnonzero(~known_P))
        left_out = {"in_test": leaked, "in_data": int(known_P.sum())}
        return PoolMaterial(
            base.variants,
            base.test,
            base.split,
            base.groups,
            offered,
            true_classes(offered, self.truth),
            left_out,
        )

    def labelled_pool(
        self, variant: str, name: str, out: Path, engine: Engine | None = None, progress: bool = False
    ) -> LabelledPool:
        """The pool with labels and gate, made once in ``out/pools``."""
        material = self.material()
        labelled, labelling = material.variants[variant].examples, self.labellings[name]
        labeller = self.labelled_by if labelling.needs_model else None

        def probabilities() -> FloatArray:
            assert labeller is not None
            trust = self.trust_remote_code
            runs = labeller.runs(labelled, out, engine or Local(), self.device, trust, progress)
            asked = with_classes(labelled, material.pool, np.zeros(len(material.pool), dtype=np.int64))
            return pool_probabilities(labeller, runs, asked, self.device, trust)

        told = [labelled.fingerprint, labeller and labeller.told]
        return label_pool(labelling, labelled, material.pool, material.true_P, out, told, probabilities)

    def scores_of_pool(
        self, variant: str, name: str, out: Path, engine: Engine | None = None, progress: bool = False
    ) -> ScoreTable | None:
        """The scores of the pool, joined; None if no way reads any."""
        if isinstance(self.scores, ScoreTable):
            tables = [self.scores]
        elif not any(way.by for way in self.ways):
            tables = []
        else:
            material, found = self.material(), self.labelled_pool(variant, name, out, engine, progress)
            labelled = material.variants[variant].examples
            pool = with_classes(labelled, material.pool, found.labels_P)
            tables = [
                pool_scores(
                    each, self.labelled_by, labelled, pool, out, engine or Local(), self.device,
                    self.trust_remote_code, progress,
                )
                for each in self.score_requests
            ]  # fmt: skip
        joined = None
        for table in tables:
            joined = table if joined is None else joined.join(table, allow_changed_data=True)
        return joined

    # The grid.

    def prepare(self, out: Path, engine: Engine, progress: bool) -> None:
        """See ``Study``: labels, gates and scores of the pool for every variant."""
        try_models(
            self.material(),
            self.architectures,
            self._settings("steps", 1),
            self.device,
            self.trust_remote_code,
        )
        for variant in self.material().variants:
            for name in self.labellings:
                self.labelled_pool(variant, name, out, engine, progress)
                self.scores_of_pool(variant, name, out, engine, progress)

    def cells(self, out: Path) -> list[Cell]:
        """See ``Study``: the labelled data alone, all that passes the gate, then the ways, budget by budget."""
        material = self.material()
        cells: list[Cell] = []
        for variant, data in material.variants.items():
            for name in self.labellings:
                told = variant if not self.pools else name if not self.variants else f"{variant}, {name}"
                found = self.labelled_pool(variant, name, out)
                table = self.scores_of_pool(variant, name, out)
                self.realised[told] = found.realised()
                behind = np.flatnonzero(found.passes_P)
                self._check_sizes(told, len(behind))
                gated = with_classes(data.examples, material.pool, found.labels_P).take(behind)
                table = None if table is None else table.take(gated.ids)
                picks: list[tuple[dict[str, Any], Way | None, Budget | None]] = [
                    (all_columns(), None, None),
                    ({**all_columns(), "way": WHOLE, "budget": "100%"}, None, Budget(count=len(behind))),
                ]
                picks += [(way_columns(way, keep), way, keep) for way in self.ways for keep in self.budgets]
                for seed in self.seeds:
                    for columns, way, keep in picks:
                        path = None
                        if way is not None and keep is not None:
                            path = self._added(out, gated, table, way, keep, seed)
                        elif keep is not None:
                            path = _everything(out, gated)
                        task: dict[str, Any] = {"data": variant, "pool": name, "added": path}
                        job = self._job(out, task)
                        if path is not None:
                            task["identity"] = {"offered": found.offered(material.pool.ids)}
                        added = len(job.rows) - len(data.examples)
                        for model in self.architectures:
                            for regime in self.regimes:
                                cell = self.cell(
                                    told, job, columns, regime, model, seed, task, len(data.examples)
                                )
                                cells.append(
                                    replace(cell, columns={**cell.columns, "keep": added / len(behind)})
                                )
        return sorted(cells, key=lambda cell: self.seeds.index(cell.columns["seed"]))

    def _check_sizes(self, variant: str, behind: int) -> None:
        asked = max((budget.count or 0 for budget in self.budgets), default=0)
        if behind == 0 or asked > behind:
            wanted = f"{asked:,} rows" if asked else "part of it"
            raise InputError(
                f"{OWNER}: keep asks for {wanted} of the pool, and {behind:,} of {len(self.material().pool):,} rows "
                f"may be added ({variant}); ask for fewer, or open the gate."
            )

    def _added(
        self, out: Path, gated: Examples, table: ScoreTable | None, way: Way, keep: Budget, seed: int
    ) -> str:
        path = choose(out, gated, table, way, keep, seed, nan=self.nan, embeddings=self.embeddings)
        got, wanted = len(Subset.read(out / path)), keep.amount(len(gated))
        if got != wanted:
            raise InputError(
                f"{OWNER}: every way must add as many rows, and {way.name!r} gives {got:,} instead of {wanted:,}."
            )
        return path

    # One cell.

    def _job(self, out: Path, task: Mapping[str, Any]) -> Job:
        """The labelled data with what is added."""
        material = self.material()
        labelled = material.variants[task["data"]].examples
        if task["added"] is None:
            return make_job(labelled, material.test, None, False)
        found, added = self.labelled_pool(task["data"], task["pool"], out), Subset.read(out / task["added"])
        rows = np.sort(material.pool.rows_of(added.ids))
        both = labelled.append(material.pool.take(rows), found.labels_P[rows])
        return make_job(both, material.test, None, False)

    def job_of(self, out: Path, task: Mapping[str, Any]) -> tuple[Job, BoolArray]:
        """See ``ClassifierStudy``; planted are the rows that an intervention changed in the labelled data."""
        job = self._job(out, task)
        planted_N = np.zeros(len(job.examples), dtype=bool)
        data = self.material().variants[task["data"]]
        planted_N[: len(data.examples)] = data.planted_N
        return job, planted_N

    def train_measures(
        self, out: Path, task: Mapping[str, Any], job: Job, planted_N: BoolArray
    ) -> list[Measure]:
        """What was added: share of wrong labels, and every class' share against its share behind the gate."""
        if task["added"] is None:
            return super().train_measures(out, task, job, planted_N)
        found, added = self.labelled_pool(task["data"], task["pool"], out), Subset.read(out / task["added"])
        behind = np.flatnonzero(found.passes_P)
        kept = np.searchsorted(behind, np.sort(self.material().pool.rows_of(added.ids)))
        wrong_P = np.zeros(len(found.labels_P), dtype=bool) if found.wrong_P is None else found.wrong_P
        measures = kept_measures(found.labels_P[behind], job.examples.label_names, kept, wrong_P[behind])
        return [
            each._replace(metric="wrong") if each.metric == "planted" else each
            for each in measures
            if each.metric != "planted" or found.wrong_P is not None
        ]


def _everything(out: Path, gated: Examples) -> str:
    path = f"{SUBSETS}/all-{gated.fingerprint[:16]}.parquet"
    if not (out / path).is_file():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        Subset.from_ids(gated.ids).write(out / path)
    return path
