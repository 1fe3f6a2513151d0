"""Scorers of documents that look first, and a provider that tells what it computed; importable by worker processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Self

import torch
from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.meaning import Meaning
from scoring.needs import Embeddings, Need
from scoring.scorer import Review, Scorer
from scoring.signals import Signals

LETTERS = "aeiost"


@dataclass(frozen=True)
class Outlying(Scorer):
    """|length - mean| in mean absolute deviations: the mean is known after one look, the deviation after two."""

    mean: float | None = field(default=None, repr=False)
    deviation: float | None = field(default=None, repr=False)
    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    meaning: ClassVar[Meaning] = "arbitrary"
    caveat: ClassVar[str] = "only for tests"

    @property
    def fits(self) -> bool:
        return self.deviation is None

    def _lengths(self, signals: Signals) -> Tensor:
        return torch.tensor([len(text) for text in signals.texts_B], dtype=torch.int64)

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        lengths_B = self._lengths(signals)
        if self.mean is None:
            return {"count": torch.tensor(len(lengths_B)), "total": lengths_B.sum()}
        return {
            "count": torch.tensor(len(lengths_B)),
            "off": (lengths_B - self.mean).abs().round().long().sum(),
        }

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        if self.mean is None:
            return replace(self, mean=float(sums["total"] / sums["count"]))
        return replace(self, deviation=float(sums["off"] / sums["count"]))

    def score(self, signals: Signals) -> Tensor:
        assert self.mean is not None and self.deviation is not None
        return (self._lengths(signals).double() - self.mean).abs() / self.deviation

    def tally(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        return {"rows": float(len(outputs[""])), "max_score": float(outputs[""].max())}

    def review(self, tally: Mapping[str, float]) -> Review:
        return Review(tally, [f"the largest of {tally['rows']:.0f} is {tally['max_score']:.3f}"])


@dataclass(frozen=True)
class FromTheMiddle(Scorer):
    """Distance of the embedding to the mean of all."""

    middle: tuple[float, ...] | None = field(default=None, repr=False)
    needs: ClassVar[frozenset[str]] = frozenset({"embeddings"})
    meaning: ClassVar[Meaning] = "arbitrary"

    @property
    def reads(self) -> frozenset[Need]:
        return frozenset({Embeddings()})

    @property
    def fits(self) -> bool:
        return self.middle is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        found_BD = signals.extra(Embeddings()).double()
        return {"count": torch.tensor(float(len(found_BD))), "total": found_BD.sum(dim=0)}

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        return replace(self, middle=tuple((sums["total"] / sums["count"]).tolist()))

    def score(self, signals: Signals) -> Tensor:
        return (signals.extra(Embeddings()).double() - torch.tensor(self.middle)).norm(dim=1)


class LetterShares:
    """Embeddings: shares of some letters. Writes every document that it is asked for to the file ``encoder``."""

    keeps: ClassVar[bool] = True

    def __init__(self, log: str) -> None:
        self.log = log

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> Self:
        return cls(models.encoder)

    def describe(self) -> dict[str, object]:
        return {"letters": LETTERS}

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        with Path(self.log).open("a") as file:
            file.writelines(f"{each}\n" for each in documents.ids_B)
        rows = [[text.count(letter) / (len(text) + 1) for letter in LETTERS] for text in documents.texts_B]
        return (torch.tensor(rows, dtype=torch.float32),)

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        return {"tokens": int(documents.bytes_B.sum())}
