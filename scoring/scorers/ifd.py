"""Instruction-following difficulty: what a prompt does for the likelihood of its response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

from scoring.errors import bad_value, unknown_name
from scoring.language_models.windows import check_windows
from scoring.meaning import Meaning
from scoring.needs import DocumentNats, Need
from scoring.scorer import DocumentScorer, Outputs
from scoring.signals import Signals

Of = Literal["perplexity", "loss"]


@dataclass(frozen=True)
class InstructionFollowingDifficulty(DocumentScorer):
    """Perplexity of the response given the prompt, over that of the response alone; high means the prompt helps little.

    Instruction-following difficulty, of pairs. ``of``: ``perplexity``, PPL(y|x) / PPL(y), as in "Superfiltering" (Li et
    al. 2024, equation 3), or ``loss``, the ratio of the mean nats per token, as "From Quantity to Quality" (Li et al.
    2024, equation 4) first defined it; the two order documents differently. Beside it the mean nats per token,
    ``conditioned`` and ``alone``. Both papers drop ratios of 1 and above, where the prompt makes the response less
    likely, and keep the highest below.

    The same tokens of the response stand in both numbers; with a tokenizer that has no begin token the first is
    predicted only after a prompt, and counts only there. The prompt is the text as given, a blank line behind it: a
    template (Alpaca's in the papers) belongs into the column. NaN where the response has no token, and for ``loss``
    where the response alone is certain. 1 where there is no prompt. ``model``, ``window``, ``stride`` as of perplexity.
    """

    of: Of = "perplexity"
    window: int | None = None
    stride: int | None = None
    model: str = ""
    needs: ClassVar[frozenset[str]] = frozenset({"document_nats"})
    meaning: ClassVar[Meaning] = "hard"
    sides: ClassVar[tuple[str, ...]] = ("conditioned", "alone")

    def __post_init__(self) -> None:
        owner = "score: scorer 'ifd'"
        if self.of not in get_args(Of):
            raise unknown_name("of", owner, str(self.of), get_args(Of))
        if not isinstance(self.model, str):
            raise bad_value("model", owner, self.model, "the folder or hub name of a language model")
        check_windows(self.window, self.stride, owner)

    @property
    def reads(self) -> frozenset[Need]:
        """The response twice."""
        return frozenset(self._nats)

    @property
    def _nats(self) -> tuple[DocumentNats, DocumentNats]:
        return (
            DocumentNats(model=self.model, part="response", window=self.window, stride=self.stride),
            DocumentNats(model=self.model, part="response_alone", window=self.window, stride=self.stride),
        )

    def outputs(self, signals: Signals) -> Outputs:
        """The ratio and the two losses, (B,) each."""
        means = []
        for need in self._nats:
            nats_B, tokens_B, _, _ = signals.layers(need)
            means.append(nats_B / tokens_B)
        given_B, alone_B = means
        ratio_B = (given_B - alone_B).exp() if self.of == "perplexity" else given_B / alone_B
        return {"": ratio_B, "conditioned": given_B, "alone": alone_B}
