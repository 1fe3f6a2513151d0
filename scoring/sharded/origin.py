"""Where the signals of a piece of a shard come from: runs at a path, or the documents themselves.

An origin is plain values that workers are told; what is dear to load stays in the process from piece to piece.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from scoring.corpus.models import CorpusModels
from scoring.examples import Examples
from scoring.plan import Column, needs_of
from scoring.sources.corpus import CorpusSource
from scoring.sources.loaded_models import LoadedModels
from scoring.sources.runs import OTHERS, RunSource
from scoring.sources.source import Source

_models = LoadedModels()
"""One per process: the checkpoints stay loaded from shard to shard."""

_corpora: dict[str, CorpusSource] = {}
"""One per process: the models and the target of the last job, with whatever they have loaded."""


class Origin(Protocol):
    """Opens a source over some examples."""

    def probe(self, examples: Examples, columns: Sequence[Column]) -> Source:
        """A source that tells what is wrong with models and scorers, before anything is computed or written."""
        ...

    def open(self, examples: Examples, kept: Path) -> Source:
        """The source of a piece; dear values may be kept in a folder of its shard."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the values depend on beside the passes of the source, as JSON."""
        ...

    def described(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """The description of a column as it is for every piece."""
        ...

    def runs(self, source: Source) -> list[str]:
        """Names of the runs."""
        ...


@dataclass(frozen=True)
class FromRuns:
    """Checkpoints at a path.

    Attributes:
        others: Kinds that runs of another model give -> digest of those runs.
    """

    path: str
    options: dict[str, Any] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)

    def probe(self, examples: Examples, columns: Sequence[Column]) -> Source:
        """Nothing is loaded."""
        return RunSource(self.path, examples, signals="checkpoints", **self.options)

    def open(self, examples: Examples, kept: Path) -> Source:
        """Nothing is kept: a forward pass of a classifier is made again."""
        return RunSource(self.path, examples, signals="checkpoints", models=_models, **self.options)

    def describe(self) -> dict[str, Any]:
        """The other runs, and how batches are cut."""
        batches = {key: self.options.get(key) for key in ("batch_size", "max_tokens", "precision")}
        return {"others": dict(self.others), "batches": batches}

    def described(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Other models by their weights, not by the piece."""
        if not self.others or "checkpoints" not in meta:
            return dict(meta)
        return {**meta, "checkpoints": [{**each, **{kind: self.others[kind] for kind in OTHERS if kind in each}}
                                        for each in meta["checkpoints"]]}  # fmt: skip

    def runs(self, source: Source) -> list[str]:
        """As the source names them."""
        return list(source.runs)


@dataclass(frozen=True)
class FromDocuments:
    """The documents, and models of text.

    Attributes:
        work: Where providers keep what is finished: one folder for all shards.
    """

    models: CorpusModels
    target: Examples | None
    work: Path

    def probe(self, examples: Examples, columns: Sequence[Column]) -> Source:
        """Models are looked at, not loaded."""
        source = CorpusSource(examples, target=self.target, models=self.models)
        source.check_reads({column.name: column.scorer.needs for column in columns})
        source.prepare(needs_of(columns))
        return source

    def open(self, examples: Examples, kept: Path) -> Source:
        """Models and target of the source that this process opened first."""
        target = None if self.target is None else self.target.fingerprint
        key = repr((self.work, self.models, target))
        if key not in _corpora:
            _corpora.clear()
            first = CorpusSource(examples, target=self.target, models=self.models)
            first.keep_in(self.work)
            _corpora[key] = first
        return _corpora[key].over(examples, kept)

    def describe(self) -> dict[str, Any]:
        """How batches are cut; the models are in what the source says of its pass."""
        return {"batches": {key: asdict(self.models)[key] for key in ("batch_tokens", "precision")}}

    def described(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """As it is."""
        return dict(meta)

    def runs(self, source: Source) -> list[str]:
        """None."""
        return []
