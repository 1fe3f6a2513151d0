"""Perplexity under an n-gram model that is trained here: of reference documents, or of the corpus itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal, Self, get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.errors import InputError, bad_value, unknown_name
from scoring.hashing import hash64
from scoring.language_models.ngram import Grams, NGramModel, count, merged
from scoring.meaning import Meaning
from scoring.scorer import DocumentScorer, Outputs
from scoring.signals import Signals, TargetDocuments
from scoring.text.bucket_counts import tokens as words_of

Tokens = Literal["bytes", "words"]
Unit = Literal["perplexity", "nats", "bits_per_byte"]
OWNER = "score: scorer 'ngram_perplexity'"
VOCABULARY: Mapping[str, int] = {"bytes": 256, "words": 1 << 20}
ORDER: Mapping[str, int] = {"bytes": 6, "words": 3}
CHUNK = 1024
"""Documents of a target that are counted at once."""


@dataclass(frozen=True)
class NGramPerplexity(DocumentScorer):
    """Perplexity per token under an n-gram model of the target documents; high means unlike them.

    With no model and no download: n-grams of bytes (or of words) with interpolated modified Kneser-Ney smoothing (Chen
    and Goodman 1999; ``scoring.language_models.ngram`` has the formulas), trained on ``target``, whatever its labels.
    CCNet (Wenzek et al. 2020) sorts web text so, by a 5-gram model of Wikipedia; keep the low end for text like the
    target, and see ``perplexity`` on the high and the low end.

    ``tokens``: ``bytes``, for which ``bits_per_byte`` compares with that of any language model, or ``words`` (lower
    case words and runs of punctuation), hashed to 2^20, for which bits and nats tell which words come, not how they are
    spelt. ``order``: 6 of bytes, 3 of words by default. ``unit`` as of ``perplexity``. ``bits``: contexts are told
    apart by a hash of that size; fewer bound the memory. Beside it ``bits_per_byte``, ``nats`` and ``tokens``.
    NaN for a document without tokens; no end of the document is predicted.
    """

    tokens: Tokens = "bytes"
    order: int | None = None
    unit: Unit = "perplexity"
    bits: int = 40
    needs: ClassVar[frozenset[str]] = frozenset({"texts", "target_documents"})
    meaning: ClassVar[Meaning] = "hard"
    sides: ClassVar[tuple[str, ...]] = ("bits_per_byte", "nats", "tokens")

    def __post_init__(self) -> None:
        if self.tokens not in get_args(Tokens):
            raise unknown_name("tokens", OWNER, str(self.tokens), get_args(Tokens))
        if self.unit not in get_args(Unit):
            raise unknown_name("unit", OWNER, str(self.unit), get_args(Unit))
        if self.order is not None and (type(self.order) is not int or not 1 <= self.order <= 20):
            raise bad_value("order", OWNER, self.order, "a whole number from 1 to 20")
        if type(self.bits) is not int or not 1 <= self.bits <= 42:
            raise bad_value("bits", OWNER, self.bits, "a whole number from 1 to 42")

    @property
    def grams(self) -> Grams:
        """What is counted."""
        return Grams(self.order or ORDER[self.tokens], VOCABULARY[self.tokens], self.bits)

    def outputs(self, signals: Signals) -> Outputs:
        """Of every document, (B,)."""
        target = signals.target_documents
        assert target is not None
        model = target.once(("n-gram", self.tokens, self.grams), lambda: self._trained(target))
        texts_B = signals.texts_B
        return self._outputs(texts_B, model.nats(self._encoded(texts_B)))

    def _trained(self, target: TargetDocuments) -> NGramModel:
        counts = count(self.grams, [])
        for start in range(0, len(target.texts_J), CHUNK):
            counts = merged(counts, count(self.grams, self._encoded(target.texts_J[start : start + CHUNK])))
        if not len(counts["keys_1"]):
            raise InputError(f"{OWNER}: target must hold a token, and all of its documents are empty.")
        return NGramModel(self.grams, counts)

    def _encoded(self, texts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        if self.tokens == "bytes":
            return [np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) for text in texts]
        words = [words_of(text) for text in texts]
        known = sorted({word for each in words for word in each})
        hashed = (hash64(0, known) % np.uint64(VOCABULARY["words"])).tolist() if known else []
        numbers: dict[str, int] = dict(zip(known, hashed, strict=True))
        return [np.array([numbers[word] for word in each], dtype=np.int64) for each in words]

    def _outputs(self, texts_B: Sequence[str], nats: Sequence[npt.NDArray[np.float64]]) -> Outputs:
        tokens_B = np.array([len(each) for each in nats], dtype=np.float64)
        total_B = np.array([each.sum() if len(each) else np.nan for each in nats])
        bytes_B = np.array([max(1, len(text.encode())) for text in texts_B])
        nats_B, bits_B = total_B / np.maximum(tokens_B, 1), total_B / math.log(2) / bytes_B
        values = {"perplexity": np.exp(nats_B), "nats": nats_B, "bits_per_byte": bits_B}
        columns = {"": values[self.unit], "bits_per_byte": bits_B, "nats": nats_B, "tokens": tokens_B}
        return {name: torch.from_numpy(value) for name, value in columns.items()}


@dataclass(frozen=True)
class NGramPerplexityWithinCorpus(NGramPerplexity):
    """Perplexity per token under an n-gram model of the other half of the corpus; high means unlike the rest.

    As ``ngram_perplexity`` (Chen and Goodman 1999), without a target. Two models are trained, on the halves into which
    a hash of the text cuts the corpus, and each judges the half that it has not seen; so no document, and no exact copy
    of it, lowers its own perplexity. Where a half is empty every byte costs 8 bits.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    models: tuple[NGramModel, ...] | None = field(default=None, repr=False, compare=False)

    @property
    def fits(self) -> bool:
        """Until both halves are counted."""
        return self.models is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """Counts of both halves."""
        texts_B = signals.texts_B
        encoded, halves_B = self._encoded(texts_B), _halves(texts_B)
        found: dict[str, Tensor] = {}
        for half in (0, 1):
            counts = count(
                self.grams, [each for each, at in zip(encoded, halves_B, strict=True) if at == half]
            )
            found |= {f"{half}_{name}": array for name, array in counts.items()}
        return found

    def merge(self, sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Counts add up n-gram by n-gram."""
        found: dict[str, Tensor] = {}
        for half in (0, 1):
            both = merged(_of_half(sums, half), _of_half(more, half))
            found |= {f"{half}_{name}": array for name, array in both.items()}
        return found

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With a model per half."""
        return replace(self, models=tuple(NGramModel(self.grams, _of_half(sums, half)) for half in (0, 1)))

    def outputs(self, signals: Signals) -> Outputs:
        """Of every document, (B,), by the model of the half that it is not in."""
        assert self.models is not None
        texts_B = signals.texts_B
        encoded, halves_B = self._encoded(texts_B), _halves(texts_B)
        nats: list[npt.NDArray[np.float64]] = [np.empty(0)] * len(texts_B)
        for half in (0, 1):
            rows = np.flatnonzero(halves_B == half).tolist()
            found = self.models[1 - half].nats([encoded[row] for row in rows])
            for row, values in zip(rows, found, strict=True):
                nats[row] = values
        return self._outputs(texts_B, nats)


def _halves(texts_B: Sequence[str]) -> npt.NDArray[np.int64]:
    return (hash64(1, texts_B) >> np.uint64(63)).astype(np.int64) if texts_B else np.empty(0, np.int64)


def _of_half(sums: Mapping[str, Tensor], half: int) -> dict[str, Tensor]:
    return {name[2:]: value for name, value in sums.items() if name.startswith(f"{half}_")}
