"""Providers: who computes which signal of documents; one per need, loaded when the need is there.

A provider is made by ``Provider.of(need, models, work)``, before any document is read, so that what is wrong with
models or options shows first; it loads weights when it is first asked for values. Values of a document depend on that
document alone, never on its neighbours in the batch, but for float rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol, Self, TypedDict, cast

from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.needs import Need, kind_of
from scoring.places import load_place


class Spent(TypedDict, total=False):
    """What computing cost, beside time."""

    tokens: int
    flops: float


class Provider(Protocol):
    """Computes one need."""

    keeps: ClassVar[bool]
    """Whether values are dear: the source then keeps those of every chunk on disk until the job is finished."""

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> Self:
        """The provider of a need.

        Args:
            work: A folder of the job in which it may keep what is finished; None where nothing is kept.

        Raises:
            InputError: A model is missing, or does not serve.
        """
        ...

    def describe(self) -> dict[str, object]:
        """All that decides the values, as JSON: digests of weights, options; not device or batch size."""
        ...

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """The signal of B documents: tensors (B, ...), as ``scoring.needs`` says of the need."""
        ...

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """Tokens that were read and floating-point operations that it took to compute these values, if known."""
        ...


PROVIDERS: Mapping[str, str] = {
    "embeddings": "scoring.embeddings.provider:EmbeddingProvider",
    "document_nats": "scoring.language_models.provider:NatsProvider",
    "answers": "scoring.ask_llm.provider:AnswerProvider",
    "regressions": "scoring.quality.provider:RegressionProvider",
    "minhashes": "scoring.duplicates.provider:MinHashProvider",
}
"""Kind of a need with options -> who computes it."""


def make_provider(need: Need, models: CorpusModels, work: Path | None) -> Provider:
    """The provider of a need of a corpus."""
    place = PROVIDERS[kind_of(need)]
    provider = cast("type[Provider]", load_place(place, f"score: need {kind_of(need)!r}"))
    return provider.of(need, models, work)
