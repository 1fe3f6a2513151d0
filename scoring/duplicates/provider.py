"""Signatures of documents for the scorers that look for near-duplicates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.duplicates.signatures import Shingling, check_rensa, minhashes
from scoring.needs import MinHashes, Need


@dataclass(frozen=True)
class MinHashProvider:
    """Minhashes of the shingles of every document, (B, P) int64 in 0 .. 2^32 - 1.

    A document without text (no words, after what is ignored) is one shingle, that of nothing: such documents have the
    same signature as each other, and agree with others by chance only.

    Not kept on disk: hashing is no dearer than reading the text.
    """

    need: MinHashes
    keeps: ClassVar[bool] = False

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> Self:
        """Needs the package rensa, and no model."""
        assert isinstance(need, MinHashes)
        check_rensa()
        return cls(need)

    def describe(self) -> dict[str, object]:
        """The options of the need, and the version of the package that hashes."""
        return {"minhashes": asdict(self.need), "rensa": version("rensa")}

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """The signatures, (B, P)."""
        need = self.need
        shingling = Shingling(need.shingle, need.n, need.ignore_case, need.ignore_punctuation)
        signatures_BP = minhashes(shingling.of(documents.texts_B), need.permutations, need.seed)
        return (torch.from_numpy(signatures_BP.astype(np.int64)),)

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """Nothing but time."""
        return {}
