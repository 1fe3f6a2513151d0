"""Embeddings for scorers of documents: computed by an encoder, or looked up in a store."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.embeddings.encoder import Encoded, Encoder, Running
from scoring.embeddings.opening import CHOICES, open_encoder
from scoring.errors import InputError, name_some
from scoring.needs import Embeddings, Need


class EmbeddingProvider:
    """Vectors by an encoder: the one that a scorer names, else the one of the source."""

    keeps: ClassVar[bool] = True

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._spent: WeakKeyDictionary[Documents, Spent] = WeakKeyDictionary()

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> EmbeddingProvider:
        """By ``need.encoder``; else from the store ``models.embeddings``; else by ``models.encoder``."""
        assert isinstance(need, Embeddings)
        if models.embeddings and not need.encoder:
            return StoredProvider(models)
        name = need.encoder or models.encoder
        if not name:
            raise InputError(
                f"score: encoder must be given: {CHOICES}; or embeddings that were computed before."
            )
        return cls(_encoder(name, models))

    def describe(self) -> dict[str, object]:
        """What the encoder says of itself."""
        return self.encoder.describe()

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """The vectors, (B, D) float32."""
        encoded = self.encoder.encode(documents)
        self._spent[documents] = _spent(encoded)
        return (encoded.vectors_BD,)

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """Tokens that were read, and operations of the forward passes."""
        return self._spent.pop(documents, Spent())


class StoredProvider(EmbeddingProvider):
    """Vectors from a store, by id; with an encoder of the same vectors it also serves documents that are not in it."""

    keeps: ClassVar[bool] = False

    def __init__(self, models: CorpusModels) -> None:
        from scoring.embeddings.store import EmbeddingStore

        self.store = EmbeddingStore.open(models.embeddings)
        self.more = _encoder(models.encoder, models) if models.encoder else None
        if self.more is not None and self.store.encoder != self.more.describe():
            raise InputError(
                f"score: the embeddings in {models.embeddings!r} are not by the encoder {models.encoder!r} with these "
                "options; give one of the two."
            )

    def describe(self) -> dict[str, object]:
        """A digest of the store."""
        return {"embeddings": self.store.digest}

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """The vectors, (B, D) float32."""
        rows_B = self.store.rows_of(documents)
        absent = np.flatnonzero(rows_B < 0)
        if len(absent) and self.more is None:
            ids = documents.ids_B[absent].tolist()
            raise InputError(
                f"score: embeddings {str(self.store.path)!r} must hold every document as it was embedded, and of "
                f"{len(documents):,} {len(ids):,} are absent or had another text: {name_some(ids)}."
            )
        vectors_BD = torch.from_numpy(self.store.array[np.maximum(rows_B, 0)].astype(np.float32))
        if len(absent) and self.more is not None:
            encoded = self.more.encode(documents.take(absent))
            vectors_BD[torch.from_numpy(absent)] = encoded.vectors_BD
            self._spent[documents] = _spent(encoded)
        return (vectors_BD,)


def _encoder(name: str, models: CorpusModels) -> Encoder:
    return open_encoder(
        name, Running(models.device, models.precision, models.batch_tokens, models.trust_remote_code)
    )


def _spent(encoded: Encoded) -> Spent:
    spent = Spent(tokens=int(encoded.tokens_B.sum()))
    if encoded.flops is not None:
        spent["flops"] = encoded.flops
    return spent
