"""Embeddings for scorers of documents, looked up in a store."""

from __future__ import annotations

from typing import ClassVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.embeddings.encoder import Encoded, Encoder, Running
from scoring.embeddings.opening import open_encoder
from scoring.embeddings.store import EmbeddingStore
from scoring.errors import InputError, name_some


class StoredProvider:
    """Vectors from a store, by id; with an encoder of the same vectors it also serves documents that are not in it."""

    keeps: ClassVar[bool] = False

    def __init__(self, models: CorpusModels) -> None:
        self.store = EmbeddingStore.open(models.embeddings)
        self._spent: WeakKeyDictionary[Documents, Spent] = WeakKeyDictionary()
        self.more = encoder_of(models.encoder, models) if models.encoder else None
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
            self._spent[documents] = spent_on(encoded)
        return (vectors_BD,)

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """What encoding those took that were not in the store."""
        return self._spent.pop(documents, Spent())


def encoder_of(name: str, models: CorpusModels) -> Encoder:
    """The encoder of a name, run as the models of a source are."""
    return open_encoder(
        name, Running(models.device, models.precision, models.batch_tokens, models.trust_remote_code)
    )


def spent_on(encoded: Encoded) -> Spent:
    """What a ledger is told of it."""
    spent = Spent(tokens=int(encoded.tokens_B.sum()))
    if encoded.flops is not None:
        spent["flops"] = encoded.flops
    return spent
