"""Nats of documents: the provider of ``DocumentNats``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.corpus.documents import BETWEEN, Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.errors import InputError
from scoring.language_models.causal_model import CausalModel, causal_model
from scoring.language_models.encoding import Encoded
from scoring.language_models.token_nats import Reading, read_tokens, token_nats
from scoring.language_models.windows import Windows
from scoring.needs import DocumentNats, Need

OWNER = "score"
ROLES = {"": "lm", "reference": "reference"}
"""What a need calls a model -> the option that names it."""


class NatsProvider:
    """Negative log-likelihood of documents under a causal language model.

    Special tokens that stand in a text as letters (``</s>``) are plain text. The tokenizer's begin token stands before
    every text, whether or not the tokenizer would put it there itself; where it has none, the first token is context
    alone, neither predicted nor counted, and its bytes are not in ``bytes_B``. No end token is predicted.

    Of a pair, prompt and response are tokens of their own, so that the same tokens of the response are predicted after
    the prompt and alone. Between them stands a blank line, as in the document of a pair; an empty prompt is no context.
    """

    keeps: ClassVar[bool] = True

    def __init__(self, need: DocumentNats, model: CausalModel, batch_tokens: int) -> None:
        self.need, self.model, self.batch_tokens = need, model, batch_tokens
        self.windows = Windows.of(
            need.window, need.stride, model.context, model.encoder.begin is not None, OWNER
        )
        self._spent = Spent()

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> Self:
        """The model that the need names, or that of the source."""
        assert isinstance(need, DocumentNats)
        role = ROLES.get(need.model)
        name = getattr(models, role) if role else need.model
        if not name:
            raise InputError(
                f"{OWNER}: a scorer reads a language model; name its folder or hub name as {role} (--{role})."
            )
        model = causal_model(
            name,
            device=models.device,
            precision=models.precision,
            trust_remote_code=models.trust_remote_code,
            owner=OWNER,
        )
        return cls(need, model, models.batch_tokens)

    def describe(self) -> dict[str, object]:
        """Weights and tokenizer, precision, what is predicted, and the windows as they are."""
        return {
            "weights": self.model.digest,
            "precision": self.model.precision,
            "part": self.need.part,
            "window": self.windows.size,
            "stride": self.windows.stride,
        }

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """Nats (NaN where no token is predicted), predicted tokens, their bytes, and tokens left out, (B,) each."""
        contexts, texts = self._texts(documents)
        encoded = self.model.encoder.encode(texts)
        readings = []
        for before, part in zip(self._contexts(contexts), encoded, strict=True):
            ids_T = np.concatenate([before, part.ids_T])
            readings.append(Reading(ids_T, self.windows.cut(len(ids_T), len(before)) if len(part) else []))
        lengths = read_tokens(self.model, readings)
        found = token_nats(self.model, readings, self.batch_tokens)
        self._spent = Spent(tokens=sum(lengths), flops=self.model.flops(lengths) if lengths else 0.0)
        least = 0 if self.windows.begin else 1
        rows = [_totals(*each, least) for each in zip(texts, encoded, readings, found, strict=True)]
        return tuple(torch.tensor(rows, dtype=torch.float64).reshape(-1, 4).T.contiguous())

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """Of the last call of ``values``: all tokens that were read, contexts included."""
        return self._spent

    def _texts(self, documents: Documents) -> tuple[list[str], list[str]]:
        """What stands before each part, and the part."""
        if self.need.part == "all":
            return [""] * len(documents), documents.texts_B
        alone = self.need.part == "response_alone"
        prompts = ["" if alone or not prompt else prompt + BETWEEN for prompt, _ in documents.pairs_B]
        return prompts, [response for _, response in documents.pairs_B]

    def _contexts(self, contexts: Sequence[str]) -> list[npt.NDArray[np.int64]]:
        if not any(contexts):
            return [np.empty(0, dtype=np.int64)] * len(contexts)
        return [each.ids_T for each in self.model.encoder.encode(contexts)]


def _totals(
    text: str, part: Encoded, reading: Reading, nats_T: npt.NDArray[np.float64], least: int
) -> tuple[float, int, int, int]:
    """Nats, tokens and bytes of what is predicted of a part, and how many tokens behind it are not."""
    before = len(reading) - len(part)
    if not reading.windows:
        return float("nan"), 0, 0, max(0, len(reading) - max(before, least))
    size = len(text.encode())
    first, end = reading.windows[0].first, reading.windows[-1].end
    if first > before:  # without a begin token
        size -= len(text[: part.starts_T[first - before]].encode())
    if end < len(reading):
        size -= len(text[part.ends_T[end - before - 1] :].encode())
    return float(nats_T[first:end].sum()), end - first, size, len(reading) - end
