"""The corpus study: language models pretrained on selected documents, all on equally many tokens.

Sachdeva et al. 2024 ("How to Train Data-Efficient LLMs", section 4): documents are chosen by scores of the text, and
every model is trained on the same number of tokens whatever was kept (iso-compute), so short selections are gone
through again. Losses are measured on held-out texts of several corpora. Training on all documents (raw), a plain random
share and one that keeps the shares of the sources stand beside every way of choosing at every budget.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch

from scoring.checkpoints import RunDirectory
from scoring.engines.engine import Engine
from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.hashing import digest, fingerprint
from scoring.table import ScoreTable
from selection.budget import Budget
from selection.subset import Subset
from training.cell_data import DataRequest
from training.measures.classification import Measure
from training.pretraining.configured import read_models
from training.pretraining.decoder import Blueprint
from training.pretraining.run import pretrain
from training.pretraining.settings import PretrainSettings
from training.pretraining.tokenizer import make_tokenizer
from training.settings import read_seeds
from training.studies.choosing import choose
from training.studies.corpus_data import LEAKED, CorpusData, read_corpus_data
from training.studies.corpus_file import corpus_keys
from training.studies.corpus_scores import document_scores, with_sizes
from training.studies.evaluation import write_evaluations
from training.studies.scores import ScoreRequest, read_requests
from training.studies.study import EVALUATIONS, Cell
from training.studies.study_file import read_fields
from training.studies.ways import Way, all_columns, read_budgets, read_ways, settle_ways, way_columns

OWNER = "study"
TOKENS, BYTES = "tokens", "bytes"
HELD_OUT_TOKENS = 2**15

_read: dict[str, CorpusData] = {}
"""What this process has read; one study's at a time."""


@dataclass(frozen=True, kw_only=True)
class CorpusStudy:
    """Pretrain on parts of a pool of documents; see the top of the file.

    Attributes:
        data: Documents to choose from: examples of text, or several by name, the sources. They are held in memory.
        held_out: By name, texts that losses are measured on, or, under the name of a source, the share of its documents
            that is held out, by hash of their content. They are never scored and never trained on.
        tokens: D, tokens that every run is trained on: equal compute, and so equal updates, whatever was kept.
        models: Widths of Llama-style models, mixtures of experts, configurations of transformers; see
            ``training.pretraining.configured.read_models``.
        select: Ways of choosing (``ways.read_ways``); plain and stratified random are always added.
        keep: Budgets, as in ``selection.budget.parse_budget``; of tokens by default, met within one document. All
            documents are always trained on too.
        scores: What the ways choose by: ``ScoreRequest``s of scorers of documents, without a model that is trained, or
            what it reads, or a ready ``ScoreTable``. In ``options``, ``target`` may be a ``DataRequest``; in a study
            file it is data.
        seeds: One run of every cell per seed, which also decides random draws. Fewer than 3 give no verdict.
        optimizers: Names and their settings in place of those of ``train`` (``{adamw: {}, lion: {lr: 0.001}}``), each
            with all models; None for that of ``train`` alone.
        tokenizer: ``bytes``, or a folder with a ``tokenizer.json``.
        train_settings: Of ``pretrain`` (``train`` in a study file): ``length``, ``batch_tokens``, ``lr``,
            ``evaluate_at`` ...
        strata: A column of the data that the stratified baseline keeps the shares of. By default the source or, where
            there is one, tenths of the documents by length.
        balance: Quotas over the same groups for the ways that name none; see ``selection.run.select``.
        nan: What becomes of documents without a score; see ``selection.run.select``.
        embeddings: For strategies that compare documents.
        leaked: Documents of the pool that are the same text as a held-out one: ``error``, or ``drop`` them.
        held_out_tokens: Whole documents of at most so many tokens of every held-out text are measured.
        device: As for ``pretrain``.
        weights: Keep the final weights of every run.
    """

    kind: ClassVar[str] = "corpus"

    data: Examples | DataRequest | Mapping[str, Examples | DataRequest]
    held_out: Mapping[str, Examples | DataRequest | float]
    tokens: int
    models: Any = (24,)
    select: Any = ()
    keep: Any = ("50% tokens", "25% tokens")
    scores: Any = ()
    seeds: Sequence[int] = (0, 1, 2)
    optimizers: Mapping[str, Mapping[str, Any]] | None = None
    tokenizer: str = "bytes"
    train_settings: Mapping[str, Any] = field(default_factory=dict)
    strata: str | None = None
    balance: str = "none"
    nan: str = "error"
    embeddings: npt.ArrayLike | str | Path | None = None
    leaked: str = "error"
    held_out_tokens: int = HELD_OUT_TOKENS
    device: str = "auto"
    weights: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.held_out, Mapping) or not self.held_out:
            raise bad_value("held_out", OWNER, self.held_out, "texts by name")
        if "train" in self.held_out:
            raise InputError(
                f"{OWNER}: held_out must not be called train, which is what is trained on; rename it."
            )
        if isinstance(self.data, Mapping) and not self.data:
            raise InputError(f"{OWNER}: data must name at least one source.")
        if self.leaked not in LEAKED:
            raise unknown_name("leaked", OWNER, self.leaked, LEAKED)
        for name in (TOKENS, "seed", "device"):
            if name in self.train_settings:
                raise InputError(f"{OWNER}: train must not give {name}; it is a key of the study itself.")
        if not isinstance(self.held_out_tokens, int) or self.held_out_tokens < 1:
            raise bad_value("held_out_tokens", OWNER, self.held_out_tokens, "a whole number of at least 1")
        if self.optimizers is not None and (not isinstance(self.optimizers, Mapping) or not self.optimizers):
            raise bad_value(
                "optimizers", OWNER, self.optimizers, "names and settings, such as {lion: {lr: 0.001}}"
            )
        if any(each.model is not None for each in self.score_requests):
            raise InputError(f"{OWNER}: scores of a corpus are of the documents themselves; leave out model.")
        read_seeds(self.seeds, OWNER)
        for name in self.recipes:
            self.settings(name)
        _ = self.ways, self.budgets  # what is wrong with them shows here

    @classmethod
    def read(cls, given: Mapping[str, Any], folder: Path) -> Self:
        """From the keys of a study file: ``data`` and values of ``held_out`` are data, or several by name."""
        made: Self = read_fields(cls, corpus_keys(given, folder), folder, ())
        return made

    # What was asked for, in settled form.

    @cached_property
    def ways(self) -> list[Way]:
        """Baselines first."""
        return settle_ways(read_ways(self.select), self.balance)

    @cached_property
    def budgets(self) -> list[Budget]:
        """What is kept; all documents are trained on anyway."""
        return read_budgets(self.keep)

    @cached_property
    def score_requests(self) -> list[ScoreRequest]:
        """None for a ready table."""
        return read_requests(self.scores)

    @cached_property
    def shapes(self) -> dict[str, Blueprint]:
        """Models by name."""
        return read_models(self.models, make_tokenizer(self.tokenizer).vocabulary, OWNER)

    @cached_property
    def recipes(self) -> dict[str, Mapping[str, Any]]:
        """Settings by optimizer; the only one has no name."""
        if self.optimizers is None:
            return {"": {}}
        return {name: {"optimizer": name, **(given or {})} for name, given in self.optimizers.items()}

    def settings(self, recipe: str) -> PretrainSettings:
        """What every run of an optimizer is trained by."""
        given = {**self.train_settings, **self.recipes[recipe], TOKENS: self.tokens}
        if "optimizer" in given and given["optimizer"].lower() != "adamw":
            given.setdefault("optimizer_options", {})  # the betas of AdamW are not for others
        return PretrainSettings.read(OWNER, given)

    def describe(self) -> dict[str, Any]:
        """See ``Study``."""
        found = self.material()
        return {
            "pool": {
                "documents": len(found.pool), "tokens": len(found.corpus.tokens),
                "fingerprint": found.corpus.fingerprint, "leaked": found.leaked, "strata_by": found.strata,
                "strata": dict(zip(found.pool.label_names, found.counts)),
            },
            "held_out": {
                name: {"tokens": len(each.tokens) - 1, "bytes": each.bytes, "fingerprint": each.fingerprint}
                for name, each in found.held_out.items()
            },
            "models": {
                name: {
                    "family": each.family, "parameters": each.parameters, "active_parameters": each.active,
                    "flops_per_token": each.flops_per_token(self.settings(next(iter(self.recipes))).length),
                    "router_loss": each.router_loss, **each.to_json(),
                }
                for name, each in self.shapes.items()
            },
            "ways": [way.name for way in self.ways], "keep": [str(each) for each in self.budgets],
            "seeds": list(self.seeds), "tokens": self.tokens,
            "train": {name or "train": self.settings(name).to_json() for name in self.recipes},
        }  # fmt: skip

    def material(self) -> CorpusData:
        """The texts, read once per process."""
        key = self._key
        if key not in _read:
            sources = self.data if isinstance(self.data, Mapping) else {"pool": self.data}
            found = read_corpus_data(
                sources, self.held_out, make_tokenizer(self.tokenizer), held_out_tokens=self.held_out_tokens,
                leaked=self.leaked, strata=self.strata,
            )  # fmt: skip
            _read.clear()
            _read[key] = found
        return _read[key]

    @cached_property
    def _key(self) -> str:
        def told(data: object) -> object:
            return data.fingerprint if isinstance(data, Examples) else repr(data)

        sources = self.data if isinstance(self.data, Mapping) else {"pool": self.data}
        texts = [{name: told(each) for name, each in given.items()} for given in (sources, self.held_out)]
        rest = [self.tokenizer, self.held_out_tokens, self.leaked, self.strata]
        return digest(json.dumps([texts, rest]).encode()).hex()

    # The grid.

    def prepare(self, out: Path, engine: Engine, progress: bool) -> None:
        """See ``Study``: the scores of the pool."""
        self.material()
        if any(way.by for way in self.ways):
            self.table(out, progress)

    def table(self, out: Path, progress: bool = False) -> ScoreTable:
        """Scores of the documents of the pool, in their order, with the columns ``tokens`` and ``bytes``."""
        found = self.material()
        if isinstance(self.scores, ScoreTable):
            return with_sizes([self.scores], found)
        return with_sizes(
            [document_scores(each, found, out, self.device, progress) for each in self.score_requests], found
        )

    def cells(self, out: Path) -> list[Cell]:
        """See ``Study``: seed by seed; all documents first, then the baselines and the ways, budget by budget."""
        scored = any(way.by for way in self.ways)
        table = self.table(out) if scored else with_sizes([], self.material())
        picks: list[tuple[Way | None, Budget | None]] = [(None, None)]
        picks += [(way, keep) for way in self.ways for keep in self.budgets]
        return [
            cell
            for seed in self.seeds
            for way, keep in picks
            for cell in self._cells_of(out, table, way, keep, seed)
        ]

    def _cells_of(
        self, out: Path, table: ScoreTable, way: Way | None, keep: Budget | None, seed: int
    ) -> list[Cell]:
        found = self.material()
        columns, path, rows = all_columns(), None, np.arange(len(found.pool))
        if way is not None and keep is not None:
            columns = way_columns(way, keep)
            path = choose(out, found.pool, table, way, keep, seed, nan=self.nan, embeddings=self.embeddings)
            rows = found.pool.rows_of(Subset.read(out / path).ids)
        lengths = found.corpus.lengths_M
        share = len(rows) / len(lengths)
        if keep is not None and keep.unit in (TOKENS, BYTES):
            sizes = lengths if keep.unit == TOKENS else found.corpus.bytes_M
            share = float(sizes[rows].sum() / sizes.sum())
        texts = f"{fingerprint(found.corpus.keys_M[rows])} {found.corpus.tokenizer.name}"
        cells = []
        for model, shape in self.shapes.items():
            for recipe in self.recipes:
                settings = self.settings(recipe)
                request = {
                    "data": texts, "model": {"family": shape.family, **shape.to_json()}, "seed": seed,
                    "held_out": {name: each.fingerprint for name, each in sorted(found.held_out.items())},
                    "settings": settings.to_json(),
                }  # fmt: skip
                told = {
                    **columns, "model": f"{model} {recipe}".strip(), "regime": f"{self.tokens} tokens", "seed": seed,
                    "rows": len(rows), "keep": share,
                }  # fmt: skip
                cells.append(
                    Cell(told, request, {"subset": path, "model": model, "recipe": recipe, "seed": seed})
                )
        return cells

    # One cell.

    def train(self, out: Path, run: str, task: Mapping[str, Any], progress: bool) -> None:
        """See ``Study``."""
        found = self.material()
        corpus = found.corpus
        if task["subset"] is not None:
            rows = found.pool.rows_of(Subset.read(out / task["subset"]).ids)
            corpus = corpus.take(np.sort(rows))
        settings = self.settings(task["recipe"]).to_json()
        done = pretrain(
            corpus, found.held_out, out=out / run, shape=self.shapes[task["model"]], seed=task["seed"],
            device=self.device, threads=torch.get_num_threads(), progress=progress, label=run, **settings,
        )  # fmt: skip
        last = [row for row in done.metrics().to_pylist() if row["step"] == done.config["steps"]]
        measures: dict[str, list[Measure]] = {}
        for row in last:
            measures.setdefault(row["split"], []).append(Measure("", row["name"], row["value"]))
        if not self.weights:
            for each in done.checkpoints():
                for file in each.path.glob("*.safetensors"):
                    file.unlink()
        write_evaluations(done.path / EVALUATIONS, measures)

    def rows(self, run: RunDirectory) -> Iterable[Mapping[str, Any]]:
        """See ``Study``: held-out losses at every evaluation, and the last training loss."""
        config = run.config
        steps, total = config["steps"], config["tokens"]
        batch = config["config"]["batch_tokens"]
        fixed = {
            "N": float(config["num_parameters"]), "U": float(config["unique_tokens"]), "epochs": config["epochs"],
            "steps": steps, "wall_time_s": config["wall_time_s"], "group": "",
        }  # fmt: skip
        rows = []
        for row in run.metrics().to_pylist():
            if row["split"] == "train" and row["step"] < steps:
                continue
            seen = min(total, row["step"] * batch)
            rows.append(
                {
                    **fixed, "D": float(seen), "C": config["flops"] * seen / total, "step": row["step"],
                    "split": row["split"], "metric": row["name"], "value": row["value"],
                }
            )  # fmt: skip
        return rows
