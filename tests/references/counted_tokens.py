"""A provider of answers that costs what it is told: a token per byte, a thousand operations per token, no time."""

from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.needs import Need


class CountedTokens:
    keeps: ClassVar[bool] = True
    flops_per_token: ClassVar[float] = 1000.0

    def __init__(self, need: Need) -> None:
        self.need = need

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> Self:
        return cls(need)

    def describe(self) -> dict[str, object]:
        return {"need": repr(self.need)}

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        return tuple(torch.zeros(len(documents), dtype=torch.float64) for _ in range(4))

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        tokens = int(documents.bytes_B.sum())
        return {"tokens": tokens, "flops": self.flops_per_token * tokens}
