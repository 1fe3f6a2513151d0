"""What every way of asking a model has in common: prompts in, probabilities of yes and no out.

``AnswerProvider.of`` takes ``scoring.ask_llm.server.ServerBackend`` where the model is a URL (``http://``,
``https://``), else ``scoring.ask_llm.transformers_backend.TransformersBackend``; both are made by

    of(model: str, models: CorpusModels, template: Template, work: Path | None) -> Self

which must not load weights nor ask anything dear, and refuses what does not serve. The provider then, per chunk of
documents: makes them harmless (``Template.harmless``), cuts them to windows (``scoring.ask_llm.windows``) by
``room`` and ``token_starts``, fills the template, and asks ``answer`` for all windows of the chunk at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

SPELLINGS = {
    answer: tuple(
        blank + word for blank in ("", " ") for word in (answer, answer.capitalize(), answer.upper())
    )
    for answer in ("yes", "no")
}
"""What counts as an answer: ``yes``, ``Yes``, ``YES``, the same after a blank; and so ``no``."""


@dataclass(frozen=True)
class Prompt:
    """A question about one window of a document: what stands before it, the window, what stands behind it."""

    before: str
    document: str
    after: str

    @property
    def text(self) -> str:
        """As the model reads it; a chat template goes around all of it, as the one message of the user."""
        return self.before + self.document + self.after


@dataclass(frozen=True)
class Answer:
    """What the model makes of a prompt.

    Attributes:
        log_yes: ln of the probability, in the softmax over the whole vocabulary, that the first token of the answer is
            a spelling of yes: of their sum. log_no: The same of no. NaN where the model gave none (logits that are
            NaN, a server that refused this prompt for good); -inf where it is 0.
        tokens: That the model read.
        shown: The share of the window that fitted.
    """

    log_yes: float
    log_no: float
    tokens: int
    shown: float = 1.0


class Backend(Protocol):
    """A model that can be asked; the answer to a prompt depends on that prompt alone, but for float rounding."""

    @property
    def controls(self) -> Sequence[str]:
        """Tokens that steer the model when they stand in a text, as far as they are known; cut apart in documents."""
        ...

    @property
    def parameters(self) -> int | None:
        """How many the model has, for the count of operations; None where that is not known."""
        ...

    def describe(self) -> dict[str, object]:
        """All that decides the answers, as JSON: digest of weights or name of the model, chat template, options."""
        ...

    def room(self) -> int | None:
        """Tokens that a document may have beside the question; None where any length is taken."""
        ...

    def token_starts(self, documents: Sequence[str]) -> list[IntArray]:
        """Where in each text its tokens begin, in characters, (T,) each; exact, or an estimate from above of T.

        Not called where there is no limit.
        """
        ...

    def answer(self, prompts: Sequence[Prompt]) -> list[Answer]:
        """An answer to each prompt, in their order; any number of prompts, batched or queued as it suits.

        A prompt that is longer than the model reads, because ``token_starts`` was an estimate, loses the end of its
        window, never of the question; ``Answer.shown`` tells.
        """
        ...
