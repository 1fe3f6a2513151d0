"""Perplexity: how little a causal language model expects a document."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from torch import Tensor

from scoring.errors import bad_value, unknown_name
from scoring.language_models.windows import check_windows
from scoring.meaning import Meaning
from scoring.needs import DocumentNats, Need
from scoring.scorer import DocumentScorer, Outputs
from scoring.signals import Signals

Unit = Literal["perplexity", "nats", "bits_per_byte"]
Part = Literal["all", "response"]


@dataclass(frozen=True)
class Perplexity(DocumentScorer):
    """Perplexity under a language model, exp of the mean nats per token; high means unexpected, low is typical.

    exp(-1/T sum_t ln p(x_t | x_<t)) over the T tokens of the document, the score that Sachdeva et al. 2024 (appendix
    C.1) and Marion et al. 2023 prune with. ``unit``: ``perplexity``, ``nats`` per token (its logarithm, same order), or
    ``bits_per_byte``, nats / ln 2 / UTF-8 bytes, which alone compares models of different tokenizers and does not
    reward documents that tokenizers know well. Beside it ``bits_per_byte``, ``tokens`` (predicted ones) and
    ``truncated`` (share of the tokens that no window predicts).

    ``perplexity:response`` reads pairs: the response given the prompt, whose tokens are context alone. ``model`` is a
    folder or hub name, by default the ``lm`` of the call. Longer texts are read in windows (``window``, ``stride``:
    see ``scoring.language_models.windows``), every token once. NaN where no token is predicted: empty documents have
    no perplexity, where a filter that calls it 0 keeps them as the best (Data-Juicer 1.6).

    Which end to keep is a matter of selection. Keeping the low one alone favours endless repetition and questions
    without context (Sachdeva et al. 2024, section 3.1); middle bands are usual.
    """

    unit: Unit = "perplexity"
    part: Part = "all"
    window: int | None = None
    stride: int | None = None
    model: str = ""
    needs: ClassVar[frozenset[str]] = frozenset({"document_nats"})
    meaning: ClassVar[Meaning] = "hard"
    sides: ClassVar[tuple[str, ...]] = ("bits_per_byte", "tokens", "truncated")

    def __post_init__(self) -> None:
        owner = "score: scorer 'perplexity'"
        if self.unit not in get_args(Unit):
            raise unknown_name("unit", owner, str(self.unit), get_args(Unit))
        if self.part not in get_args(Part):
            raise unknown_name("part", owner, str(self.part), get_args(Part))
        if not isinstance(self.model, str):
            raise bad_value("model", owner, self.model, "the folder or hub name of a language model")
        check_windows(self.window, self.stride, owner)

    @property
    def reads(self) -> frozenset[Need]:
        """Nats, tokens and bytes of the document."""
        return frozenset({self._nats})

    @property
    def _nats(self) -> DocumentNats:
        return DocumentNats(model=self.model, part=self.part, window=self.window, stride=self.stride)

    def outputs(self, signals: Signals) -> Outputs:
        """Perplexity and its parts, (B,) each."""
        nats_B, tokens_B, bytes_B, left_B = signals.layers(self._nats)
        bits_B = nats_B / math.log(2) / bytes_B
        return {
            "": self._value(nats_B / tokens_B, bits_B),
            "bits_per_byte": bits_B,
            "tokens": tokens_B,
            "truncated": left_B / (tokens_B + left_B),
        }

    def _value(self, nats_B: Tensor, bits_B: Tensor) -> Tensor:
        if self.unit == "bits_per_byte":
            return bits_B
        return nats_B.exp() if self.unit == "perplexity" else nats_B


@dataclass(frozen=True)
class MeanLogLikelihood(Perplexity):
    """Mean log-likelihood per token, -ln perplexity, of the first 2,048 tokens; high means expected.

    As QuRating (Wettig et al. 2024, loglikelihood.py) has it, ``perplexity:qurating``: what lies behind the first
    window is left out, which ``truncated`` tells. A model that reads less at once takes ``window``. Two differences:
    the begin token is one of the 2,048, and a document without tokens is NaN, not 0 (their divisors are at least 1).
    """

    unit: Unit = "nats"
    window: int | None = 2048
    stride: int | None = 0
    meaning: ClassVar[Meaning] = "easy"

    def _value(self, nats_B: Tensor, bits_B: Tensor) -> Tensor:
        return -super()._value(nats_B, bits_B)
