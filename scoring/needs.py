"""Needs: what a scorer can ask a source for.

| need | where in ``Signals`` | shape | cost |
|---|---|---|---|
| ``labels`` | ``labels_B`` | (B,) int64 | none |
| ``logits`` | ``logits_BC`` | (B, C) float64 | one forward pass |
| ``losses`` | ``losses_B`` | (B,) nats | logits and labels, or recorded |
| ``predictions`` | ``predictions_B`` | (B,) int64 | logits, or recorded |
| ``logit_margins`` | ``logit_margins_B`` | (B,) | logits and labels, or recorded |
| ``entropies`` | ``entropies_B`` | (B,) nats | logits, or recorded |
| ``target`` | ``target`` | ``Target`` | what is asked of the target's examples |
| ``trained`` | ``trained_B`` | (B,) bool | none: whether the run trained on the example |
| ``reference_losses`` | ``reference_losses_B`` | (B,) nats | a forward pass of another model |
| ``null_losses`` | ``null_losses_B`` | (B,) nats | none: one forward pass of a model that saw no input |
| ``GradientNorms`` | ``extra(need)`` | (B,) | forward and backward |
| ``GradientDots`` | ``extra(need)`` | (B,) | forward and backward, here and on the target set |
| ``ProjectedGradients`` | ``extra(need)`` | (B, D) | forward, backward, per-example gradients |
| ``InputGradients`` | ``layers(need)`` | (B, ...), (B,) | forward and backward |
| ``Representations`` | ``layers(need)`` | (B, D) each | one forward pass |
| ``texts`` | ``texts_B``, ``pairs_B`` | B texts | none; of documents only, as all below |
| ``target_documents`` | ``target_documents`` | ``TargetDocuments`` | what is asked of the target's documents |
| ``Embeddings`` | ``extra(need)`` | (B, D) | one forward pass of an encoder |
| ``DocumentNats`` | ``layers(need)`` | (B,) each | one forward pass of a language model |
| ``Answers`` | ``layers(need)`` | (B,) each | a question to a language model |
| ``Regressions`` | ``layers(need)`` | (B,) each | one forward pass of a model with a regression head |
| ``MinHashes`` | ``extra(need)`` | (B, P) | hashing of the text |

Those in capitals have options, so a scorer names the kind in ``needs`` and the need itself in ``reads``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

SUMMARIES = ("losses", "predictions", "logit_margins", "entropies")
"""What a recorder keeps instead of logits when there are many classes; every one follows from logits and labels."""


@dataclass(frozen=True)
class GradientNorms:
    """Euclidean norm of each example's loss gradient with respect to the parameters of ``layers``."""

    layers: str = "all"
    kind: ClassVar[str] = "gradient_norms"


@dataclass(frozen=True)
class GradientDots:
    """Inner product of each example's loss gradient with those of the target set: their sum, mean or maximum."""

    layers: str = "all"
    reduction: Literal["sum", "mean", "max"] = "mean"
    kind: ClassVar[str] = "gradient_dots"


@dataclass(frozen=True)
class ProjectedGradients:
    """Each example's loss gradient, times a seeded random matrix of ``dim`` rows; ``adam``: as Adam would step."""

    dim: int
    projection: Literal["sparse", "rademacher"] = "sparse"
    seed: int = 0
    layers: str = "all"
    adam: bool = False
    kind: ClassVar[str] = "projected_gradients"


@dataclass(frozen=True)
class InputGradients:
    """Gradient of each example's gold logit, gold probability or loss with respect to the model's continuous input.

    Pixels (B, K, H, W) and features (B, D) as the first layer gets them, or the output of the embedding layer
    (B, T, D), zero at padding; beside it how many numbers of each example are no padding, (B,).
    """

    of: Literal["logit", "probability", "loss"] = "logit"
    kind: ClassVar[str] = "input_gradients"


@dataclass(frozen=True)
class Representations:
    """What the layers of the network make of each example: one (B, D) tensor per layer, first layer first."""

    layers: Literal["all", "last"] = "all"
    kind: ClassVar[str] = "representations"


@dataclass(frozen=True)
class Embeddings:
    """One vector per document (or image), (B, D) float32, by the named encoder, or by that of the source."""

    encoder: str = ""
    kind: ClassVar[str] = "embeddings"


@dataclass(frozen=True)
class DocumentNats:
    """What a causal language model makes of a document: four tensors, (B,) float64.

    Negative log-likelihood of the part in nats (NaN where it predicts no token), predicted tokens, UTF-8 bytes of the
    predicted part, and tokens of the part that were left out.

    Attributes:
        model: "" is the source's ``lm``, "reference" its ``reference``, else a folder or hub name.
        part: ``all`` of the document; of a pair the ``response`` after the prompt, or the ``response_alone``.
        window: Tokens of context and predictions together; None is what the model was trained for.
        stride: Tokens between the starts of two windows; each window predicts only what none before it did. None is
            half a window. 0: one window, what lies behind it is left out.
    """

    model: str = ""
    part: Literal["all", "response", "response_alone"] = "all"
    window: int | None = None
    stride: int | None = None
    kind: ClassVar[str] = "document_nats"


@dataclass(frozen=True)
class Answers:
    """What a model answers to a question about a document with yes or no: four tensors, (B,) float64.

    ln of the probability of all spellings of yes as the first token of the answer, the same of no, how many windows of
    the document were asked about, and the share of the document's tokens that no window shows. Where there are several
    windows, the probabilities are their ``pool``.

    Attributes:
        model: "" is the source's ``llm``, else a folder, hub name or URL.
        prompt: A name of ``scoring.ask_llm.prompts``, or a text with ``{document}`` in it.
        windows: How many windows are shown of a document that does not fit: ``head``, ``head_tail``, or
            ``head_middle_tail``.
        pool: How the windows' probabilities become one: ``mean``, ``min`` or ``max`` of yes.
        window_tokens: Tokens of the document in a window at most; None is what the model reads.
        chat: Whether the prompt goes through the model's chat template, where it has one.
    """

    model: str = ""
    prompt: str = "sachdeva2024"
    windows: Literal["head", "head_tail", "head_middle_tail"] = "head"
    pool: Literal["mean", "min", "max"] = "mean"
    window_tokens: int | None = None
    chat: bool = True
    kind: ClassVar[str] = "answers"


@dataclass(frozen=True)
class Regressions:
    """What the one output of a sequence classification model is for a document: two tensors, (B,) float64.

    The output, and 1 where a part of the document was not read, else 0.

    Attributes:
        model: A folder or hub name.
        max_tokens: Tokens of a window, special ones included.
        windows: ``first``, or the ``mean`` of all windows of a long document, weighted by their tokens.
    """

    model: str
    max_tokens: int = 512
    windows: Literal["first", "mean"] = "first"
    kind: ClassVar[str] = "regressions"


@dataclass(frozen=True)
class MinHashes:
    """Signature of the set of shingles of a document, (B, P) int64: equal entries estimate the Jaccard index.

    Attributes: as of ``scoring.duplicates``.
    """

    permutations: int = 128
    shingle: Literal["word", "char"] = "word"
    n: int = 5
    ignore_case: bool = True
    ignore_punctuation: bool = True
    seed: int = 0
    kind: ClassVar[str] = "minhashes"


OfCheckpoints = GradientNorms | GradientDots | ProjectedGradients | InputGradients | Representations
OfDocuments = Embeddings | DocumentNats | Answers | Regressions | MinHashes
Need = str | OfCheckpoints | OfDocuments
WITH_OPTIONS = (*get_args(OfCheckpoints), *get_args(OfDocuments))

OF_CHECKPOINTS = frozenset(need.kind for need in get_args(OfCheckpoints))
"""Kinds that no recording, no array and no corpus holds."""
OF_DOCUMENTS = frozenset({"texts", "target_documents", *(need.kind for need in get_args(OfDocuments))})
"""Kinds that come from the data themselves, without runs."""

NEEDS = (
    "labels", "logits", *SUMMARIES, "target", "trained", "reference_losses", "null_losses", "texts", "target_documents",
    *(need.kind for need in WITH_OPTIONS),
)  # fmt: skip


FROM_ELSEWHERE = frozenset({"target", "trained", "reference_losses", "null_losses"}) | OF_DOCUMENTS
"""Kinds that one run's own checkpoints and recordings cannot give, or only if it was trained for that."""


def kind_of(need: Need) -> str:
    """The name of a need, without its options."""
    return need if isinstance(need, str) else need.kind


def provided(stored: frozenset[str]) -> frozenset[str]:
    """Every need that can be met from the ``stored`` ones."""
    if "logits" not in stored:
        return stored
    derived = {"predictions", "entropies"}
    if "labels" in stored:
        derived |= {"losses", "logit_margins"}
    return stored | derived
