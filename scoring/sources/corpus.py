"""Signals of documents: one pass over a corpus, with no run and no label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.corpus.chunks import ChunkCache
from scoring.corpus.documents import Documents
from scoring.corpus.ledger import Ledger
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import PROVIDERS, Provider, make_provider
from scoring.errors import InputError
from scoring.needs import DocumentNats, Need, kind_of
from scoring.signals import Signals, TargetDocuments, View
from scoring.sources.source import IntArray, Pass

if TYPE_CHECKING:
    from scoring.examples import Examples

CHUNK_ROWS = 256
"""Documents that are read at once; providers cut batches of their own out of them."""
NATS, REFERENCE_NATS = DocumentNats(), DocumentNats(model="reference")
PASS = Pass(run=0, step=0, epoch=0.0, view="clean", where="corpus")


class CorpusSource:
    """What scorers of documents read: texts, and what models make of them.

    Args:
        examples: What to score.
        target: Documents to compare with; labels, if there are some, tell good from bad ones.
        models: See ``CorpusModels``; or its fields as keywords.
    """

    runs: Sequence[str] = ("corpus",)
    folded: frozenset[int] = frozenset()

    def __init__(
        self,
        examples: Examples,
        *,
        target: Examples | None = None,
        models: CorpusModels | None = None,
        **options: Any,
    ) -> None:
        self.examples, self.target = examples, target
        self.models = CorpusModels.of(options) if models is None else models
        self.providers: dict[Need, Provider] = {}
        self.ledger = Ledger()
        self._work: Path | None = None
        self._cache: ChunkCache | None = None
        self._target_cache: ChunkCache | None = None
        self._target: dict[frozenset[Need], TargetDocuments] = {}

    def check_reads(self, names: Mapping[str, frozenset[str]]) -> None:
        """Refuse scorers, name -> kinds that they need, of what documents cannot give."""
        stored = self.stored(0, "clean")
        for name, needs in names.items():
            if lacking := sorted(needs - stored):
                raise InputError(
                    f"score: scorer {name!r} reads {', '.join(lacking)}, which {self.examples.name} does not hold; "
                    "give runs or arrays as source."
                )

    def prepare(self, needs: frozenset[Need]) -> None:
        """Make the providers of all needs, so that what is missing is told before anything is computed."""
        for need in sorted(expanded(needs), key=repr):
            if kind_of(need) in PROVIDERS and need not in self.providers:
                self.providers[need] = make_provider(need, self.models, self._work)
        if "target_documents" in needs and self.target is None:
            raise InputError(
                "score: a scorer compares with other documents; give them as target (--target FILE)."
            )

    def keep_in(self, folder: Path) -> None:
        """From now on keep dear values of finished chunks in a folder, and take from it what is there."""
        self._work = folder
        self._cache = self._target_cache = ChunkCache(folder)
        needs, self.providers = frozenset(self.providers), {}
        self.prepare(needs)

    def over(self, examples: Examples, folder: Path) -> CorpusSource:
        """Other examples with the same models and target, which stay loaded; costs count from 0.

        Dear values of their finished chunks are kept in, and taken from, a folder of their own.
        """
        other = copy(self)
        other.examples, other.ledger, other._cache = examples, Ledger(), ChunkCache(folder)
        return other

    def passes(self, run: int, view: View, needs: frozenset[str] = frozenset()) -> Sequence[Pass]:
        """The one pass there is."""
        return [PASS] if view == "clean" and needs <= self.stored(run, view) else []

    def stored(self, run: int, view: View) -> frozenset[str]:
        """All kinds that are of documents; which models they need is told by ``prepare``."""
        if view != "clean":
            return frozenset()
        labels = {"labels"} if self.examples.labels is not None else set()
        return frozenset({"texts", "target_documents", "losses", "reference_losses", *PROVIDERS, *labels})

    def covers(self, run: int) -> npt.NDArray[np.bool_]:
        """All of them."""
        return np.ones(len(self.examples), dtype=bool)

    def read(self, sweep: Pass, needs: frozenset[Need], rows: IntArray) -> Iterator[tuple[IntArray, Signals]]:
        """Chunk by chunk, in the order of ``rows``."""
        needs = expanded(needs)
        self.prepare(needs)
        target = self._target_documents(needs) if "target_documents" in needs else None
        for start in range(0, len(rows), CHUNK_ROWS):
            positions = np.arange(start, min(start + CHUNK_ROWS, len(rows)))
            documents = Documents(self.examples, rows[positions])
            yield positions, self._signals(documents, needs, target)

    def describe(self, sweep: Pass) -> dict[str, object]:
        """What every provider says decides its values."""
        described: dict[str, object] = {
            repr(need): provider.describe() for need, provider in sorted(self.providers.items(), key=repr)
        }
        if self.target is not None:
            described["target"] = self.target.fingerprint
        return described

    def _signals(
        self, documents: Documents, needs: frozenset[Need], target: TargetDocuments | None
    ) -> Signals:
        extras = {
            need: self._values(need, documents) for need in sorted(needs & set(self.providers), key=repr)
        }
        summaries: dict[str, Tensor] = {}
        if NATS in extras:
            nats_B, tokens_B = extras[NATS][:2]
            summaries["losses"] = nats_B / tokens_B
            if REFERENCE_NATS in extras:  # over the same number, so that tokenizers may differ
                summaries["reference_losses"] = extras[REFERENCE_NATS][0] / tokens_B
        labels = self.examples.labels
        return Signals(
            ids_B=documents.ids_B,
            step=0,
            epoch=0.0,
            run=self.runs[0],
            label_tensor=None if labels is None else torch.from_numpy(labels[documents.rows_B]),
            summaries=summaries,
            extras=extras,
            documents=documents,
            target_documents=target,
        )

    def _values(self, need: Need, documents: Documents) -> tuple[Tensor, ...]:
        provider, cost = self.providers[need], self.ledger.signal(repr(need))
        started = perf_counter()
        cache = self._target_cache if documents.examples is self.target else self._cache
        if cache is None:
            values, computed = provider.values(documents), True
        else:
            values, computed = cache.values(provider, documents)
        if computed:
            spent = provider.spent(documents, values)
            cost.add(documents=len(documents), seconds=perf_counter() - started, **spent)
        return values

    def _target_documents(self, needs: frozenset[Need]) -> TargetDocuments:
        """The target with all signals that are asked for; read once."""
        assert self.target is not None, "prepare refuses that"
        if needs not in self._target:
            parts = [
                Documents(self.target, np.arange(start, min(start + CHUNK_ROWS, len(self.target))))
                for start in range(0, len(self.target), CHUNK_ROWS)
            ]
            extras: dict[Need, tuple[Tensor, ...]] = {}
            for need in sorted(needs & set(self.providers), key=repr):
                found = [self._values(need, part) for part in parts]
                extras[need] = tuple(torch.cat(values) for values in zip(*found, strict=True))
            self._target[needs] = TargetDocuments(
                ids_J=self.target.ids,
                texts_J=[text for part in parts for text in part.texts_B]
                if self.target.kind == "text"
                else [],
                labels_J=self.target.labels,
                label_names=self.target.label_names,
                extras=extras,
            )
        return self._target[needs]


def expanded(needs: frozenset[Need]) -> frozenset[Need]:
    """Losses of documents are their nats per token."""
    more: set[Need] = set()
    if "losses" in needs or "reference_losses" in needs:
        more.add(NATS)
    if "reference_losses" in needs:
        more.add(REFERENCE_NATS)
    return needs | more
