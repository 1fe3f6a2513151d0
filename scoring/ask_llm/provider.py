"""The signal ``answers``: documents in, probabilities of yes and no out, from whichever backend serves the model."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from scoring.ask_llm.backend import Backend
from scoring.ask_llm.prompts import Template
from scoring.ask_llm.windows import Shown, cut, pool
from scoring.corpus.documents import Documents
from scoring.corpus.models import CorpusModels
from scoring.corpus.providers import Spent
from scoring.errors import InputError
from scoring.needs import Answers, Need

URLS = ("http://", "https://")


class AnswerProvider:
    """Asks a model about documents; see ``scoring.needs.Answers``."""

    keeps: ClassVar[bool] = True

    def __init__(self, need: Answers, template: Template, backend: Backend) -> None:
        self.need, self.template, self.backend = need, template, backend
        self._tokens = 0

    @classmethod
    def of(cls, need: Need, models: CorpusModels, work: Path | None) -> Self:
        """With the backend that serves the model: a server for a URL, else transformers in this process."""
        assert isinstance(need, Answers)
        model = need.model or models.llm
        if not model:
            raise InputError(
                "score: ask_llm asks a language model; name one with llm=FOLDER, a hub name or the URL of a server "
                "(--llm)."
            )
        template = Template.of(need.prompt, chat=need.chat)
        if not template.fences:
            warnings.warn(
                "ask_llm: nothing sets the document off in the prompt, so that a document can pose as the question; "
                "put it between two lines like ###.",
                stacklevel=2,
            )
        return cls(need, template, make_backend(model, models, template, work))

    def describe(self) -> dict[str, object]:
        """The question and who answers it."""
        return {
            "prompt": self.template.text,
            "windows": self.need.windows,
            "pool": self.need.pool,
            "window_tokens": self.need.window_tokens,
            **self.backend.describe(),
        }

    def values(self, documents: Documents) -> tuple[Tensor, ...]:
        """ln of yes, ln of no, windows, share not shown, (B,) float64 each.

        An empty document is asked about as it is.
        """
        shown_B = self.shown(documents.texts_B)
        answers = self.backend.answer(
            [
                self.template.prompt(window, self.backend.controls)
                for shown in shown_B
                for window in shown.windows
            ]
        )
        self._tokens = sum(answer.tokens for answer in answers)
        found = np.empty((4, len(shown_B)))
        first = 0
        for row, shown in enumerate(shown_B):
            count = len(shown.windows)
            given = answers[first : first + count]
            seen = (1 - shown.unseen) * sum(answer.shown for answer in given) / count
            found[:, row] = *pool(given, self.need.pool), count, 1 - seen
            first += count
        return tuple(torch.from_numpy(values.copy()) for values in found)

    def shown(self, texts_B: list[str]) -> list[Shown]:
        """The windows of each document."""
        limits = [limit for limit in (self.backend.room(), self.need.window_tokens) if limit is not None]
        if not limits:
            return [Shown((text,), 0.0) for text in texts_B]
        harmless = [self.template.harmless(text, self.backend.controls) for text in texts_B]
        starts_B = self.backend.token_starts(harmless)
        return [
            cut(text, starts_T, min(limits), self.need.windows)
            for text, starts_T in zip(harmless, starts_B, strict=True)
        ]

    def spent(self, documents: Documents, values: tuple[Tensor, ...]) -> Spent:
        """Of the last call: tokens of all prompts, and two operations per parameter and token."""
        if self.backend.parameters is None:
            return {"tokens": self._tokens}
        return {"tokens": self._tokens, "flops": 2.0 * self.backend.parameters * self._tokens}


def make_backend(model: str, models: CorpusModels, template: Template, work: Path | None) -> Backend:
    """Who answers for a model."""
    if model.startswith(URLS):
        from scoring.ask_llm.server import ServerBackend

        return ServerBackend.of(model, models, template, work)
    from scoring.ask_llm.transformers_backend import TransformersBackend

    return TransformersBackend.of(model, models, template, work)
