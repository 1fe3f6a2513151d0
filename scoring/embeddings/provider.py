"""Embeddings for scorers of documents, by an encoder; ``stored_provider`` looks them up."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from weakref import WeakKeyDictionary

from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.embeddings.encoder import Encoder
from scoring.embeddings.opening import CHOICES
from scoring.embeddings.stored_provider import StoredProvider, encoder_of, spent_on
from scoring.errors import InputError
from scoring.needs import Embeddings, Need


class EmbeddingProvider:
    """Vectors by an encoder: the one that a scorer names, else the one of the source."""

    keeps: ClassVar[bool] = True

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self._spent: WeakKeyDictionary[Documents, Spent] = WeakKeyDictionary()

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> EmbeddingProvider | StoredProvider:
        """By ``need.encoder``; else from the store ``models.embeddings``; else by ``models.encoder``."""
        assert isinstance(need, Embeddings)
        if models.embeddings and not need.encoder:
            return StoredProvider(models)
        name = need.encoder or models.encoder
        if not name:
            raise InputError(
                f"score: encoder must be given: {CHOICES}; or embeddings that were computed before."
            )
        return cls(encoder_of(name, models))

    def describe(self) -> dict[str, object]:
        """What the encoder says of itself."""
        return self.encoder.describe()

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """The vectors, (B, D) float32."""
        encoded = self.encoder.encode(documents)
        self._spent[documents] = spent_on(encoded)
        return (encoded.vectors_BD,)

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """Tokens that were read, and operations of the forward passes."""
        return self._spent.pop(documents, Spent())
