"""Ask-LLM: whether a language model says that a document is worth training on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor

from scoring.ask_llm.prompts import Template
from scoring.ask_llm.windows import Pool, Windows
from scoring.errors import bad_value, unknown_name
from scoring.meaning import Meaning
from scoring.needs import Answers, Need
from scoring.scorer import DocumentScorer, Outputs, Review
from scoring.signals import Signals

Form = Literal["log_mass", "mass", "share", "log_odds"]
OWNER = "score: scorer 'ask_llm'"

LOW = 0.5
"""Of the probability: a model that answers puts more than this on yes and no together."""
EDGES = (1e-4, 1e-3, 1e-2, 1e-1, LOW, 0.9)
"""Between the bins in which the mass on yes and no is counted; the highest has no end."""


@dataclass(frozen=True)
class AskLLM(DocumentScorer):
    """How likely a language model answers yes when asked whether to train on the document; high means quality.

    Sachdeva et al. 2024 (How to Train Data-Efficient LLMs, section 3.1 and figure 3) score by the softmax probability
    of "yes" as the first token of the answer, over the whole vocabulary, and keep the highest. The score is its natural
    logarithm, summed over all spellings of yes: the same order, without the ties of probabilities near 0 and 1.

    Beside it ``valid``, the probability of yes and no together: a model that puts little on both does not answer the
    question, and its scores mean little, of which a warning tells; ``windows``, how many parts of the document were
    asked about; ``unseen``, the share of its tokens in none of them. Empty documents are asked about as they are. NaN
    where the model's logits are, or where a server gave no answer; they are counted in a warning.

    One model's score is not *the* quality: between sizes of Flan-T5 the paper's figure 7 has Kendall's tau from -.11 to
    .42. Ask several and see ``scoring.ask_llm.ensemble``.

    Attributes:
        form: ``log_mass``; ``mass``, the probability itself; ``share``, yes / (yes + no); ``log_odds``, ln(yes / no).
        model: As of ``scoring.needs.Answers``, as are prompt, windows, pool, window_tokens and chat.
    """

    form: Form = "log_mass"
    model: str = ""
    prompt: str = "sachdeva2024"
    windows: Windows = "head"
    pool: Pool = "mean"
    window_tokens: int | None = None
    chat: bool = True
    needs: ClassVar[frozenset[str]] = frozenset({"answers"})
    meaning: ClassVar[Meaning] = "quality"
    sides: ClassVar[tuple[str, ...]] = ("valid", "windows", "unseen")

    def __post_init__(self) -> None:
        for name, known in (("form", Form), ("windows", Windows), ("pool", Pool)):
            if (given := getattr(self, name)) not in get_args(known):
                raise unknown_name(name, OWNER, str(given), get_args(known))
        tokens = self.window_tokens
        if tokens is not None and (type(tokens) is not int or tokens < 1):
            raise bad_value("window_tokens", OWNER, tokens, "a whole number from 1")
        Template.of(self.prompt)

    @property
    def need(self) -> Answers:
        """The question and the model."""
        return Answers(self.model, self.prompt, self.windows, self.pool, self.window_tokens, self.chat)

    @property
    def reads(self) -> frozenset[Need]:
        """The answers."""
        return frozenset({self.need})

    def outputs(self, signals: Signals) -> Outputs:
        """Score, ``valid``, ``windows`` and ``unseen``, (B,) each."""
        yes_B, no_B, windows_B, unseen_B = signals.layers(self.need)
        score_B: Tensor = {
            "log_mass": yes_B,
            "mass": yes_B.exp(),
            "share": (yes_B - no_B).sigmoid(),
            "log_odds": yes_B - no_B,
        }[self.form]
        valid_B = torch.logaddexp(yes_B, no_B).exp()
        return {"": score_B, "valid": valid_B, "windows": windows_B, "unseen": unseen_B}

    def tally(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Counts of documents, of those without a number, cut ones, and by their mass on yes and no."""
        valid_B = outputs["valid"]
        bins_B = torch.bucketize(
            valid_B[~valid_B.isnan()], torch.tensor(EDGES, dtype=valid_B.dtype), right=True
        )
        counts = torch.bincount(bins_B, minlength=len(EDGES) + 1).tolist()
        return {
            "documents": float(len(valid_B)),
            "no_answer": float(outputs[""].isnan().sum()),
            "cut": float((outputs["unseen"] > 0).sum()),
            **{f"valid_{place}": float(count) for place, count in enumerate(counts)},
        }

    def review(self, tally: Mapping[str, float]) -> Review:
        """Whether the model answers the question at all."""
        counts = [tally[f"valid_{place}"] for place in range(len(EDGES) + 1)]
        known, documents = sum(counts), tally["documents"]
        low = sum(counts[: EDGES.index(LOW) + 1])
        said = []
        summary = {
            "documents": documents,
            "no_answer": tally["no_answer"],
            "cut": tally["cut"],
            "low_mass": low / known if known else float("nan"),
            **{f"mass_below_{edge:g}": sum(counts[: k + 1]) for k, edge in enumerate(EDGES)},
        }
        if tally["no_answer"]:
            said.append(
                f"the model gave no number for {tally['no_answer']:,.0f} of {documents:,.0f} documents (NaN)"
            )
        if known and low > known / 2:
            half = next(k for k in range(len(EDGES)) if sum(counts[: k + 1]) >= known / 2)
            other = (
                " (yes-no-answer for a model that only continues text)"
                if self.prompt == "sachdeva2024"
                else ""
            )
            said.append(
                f"the model does not answer the question (it puts less than {LOW:g} on yes and no for "
                f"{low / known:.0%} of the documents, less than {EDGES[half]:g} for half of them); its scores mean "
                f"little: try another prompt{other}, or a model that follows instructions"
            )
        return Review(summary, said)
