"""How often the concepts of a document occur in the corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Literal, Self, get_args

import numpy as np
import torch
from torch import Tensor

from scoring.errors import bad_value, unknown_name
from scoring.hashing import digest
from scoring.meaning import Meaning
from scoring.scorer import DocumentScorer, Outputs, Review
from scoring.signals import Signals
from scoring.text.concepts import Terms
from scoring.text.document_counts import count, look_up, merge

Over = Literal["rarest", "mean"]
OWNER = "score: scorer 'concept_frequency'"
EXTRACTED_FROM = 5


@dataclass(frozen=True)
class ConceptFrequency(DocumentScorer):
    """log10 of how many documents hold the rarest concept of the document; high means its concepts are common.

    Udandarao et al. 2024 ("No zero-shot without exponential data", section 2): accuracy on a concept grows with the
    logarithm of its frequency in the training data, so documents that hold rare concepts are scarce. Frequency is the
    number of documents of this corpus that hold it, exact. ``over=mean``: the mean over the concepts of the document.

    ``terms``: concepts as ``"a;b c"`` or a file .txt with one per line; found as whole words in a row, whatever their
    case (the paper lemmatises, and looks at images too). Without terms a concept is a word of three letters or more
    that ``min_documents`` documents hold (by default 5, so that misspellings are none; with terms 1). Of more than
    ``most`` different words those of the lowest hash count, at 16 bytes each. A document without a concept is NaN; the
    side column ``concepts`` says how many it has. ``scoring.text.long_tail`` has the table of all.
    """

    terms: str = ""
    over: Over = "rarest"
    min_documents: int = 0
    most: int = 1 << 22
    counts: Mapping[str, Tensor] | None = field(default=None, repr=False, compare=False)
    """Documents per concept, once fitted."""

    needs: ClassVar[frozenset[str]] = frozenset({"texts"})
    meaning: ClassVar[Meaning] = "typical"
    sides: ClassVar[tuple[str, ...]] = ("concepts",)

    def __post_init__(self) -> None:
        if self.over not in get_args(Over):
            raise unknown_name("over", OWNER, str(self.over), get_args(Over))
        for name, least in (("min_documents", 0), ("most", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise bad_value(name, OWNER, value, f"a whole number from {least}")
        object.__setattr__(self, "terms", str(self.terms))
        assert self._wanted is not None  # a list that cannot be read is refused now

    def __repr__(self) -> str:
        """With the terms themselves, which a file may change under the same name."""
        terms = digest("\n".join(self._wanted.terms).encode()).hex() if self.terms else ""
        return f"ConceptFrequency({terms!r}, {self.over!r}, {self.min_documents}, {self.most})"

    @property
    def fits(self) -> bool:
        """Documents are counted first."""
        return self.counts is None

    def fit(self, signals: Signals) -> dict[str, Tensor]:
        """Documents of the batch per concept."""
        return count(self._wanted.holdings(signals.texts_B), self.most)

    def merge(self, sums: Mapping[str, Tensor], more: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Their sum, of the concepts of lowest hash."""
        return merge(sums, more)

    def fitted(self, sums: Mapping[str, Tensor]) -> Self:
        """With the counts of the corpus."""
        return replace(self, counts=dict(sums))

    def outputs(self, signals: Signals) -> Outputs:
        """The score, and how many concepts the document holds."""
        assert self.counts is not None
        rows_P, keys_P = self._wanted.holdings(signals.texts_B)
        documents_P = look_up(self.counts, keys_P)
        least = self.min_documents or (1 if self.terms else EXTRACTED_FROM)
        rows_P, documents_P = rows_P[documents_P >= least], documents_P[documents_P >= least]
        concepts_B = np.bincount(rows_P, minlength=len(signals)).astype(np.float64)
        log_P = np.log10(documents_P)
        value_B = np.full(len(signals), np.inf)
        if self.over == "rarest":
            np.minimum.at(value_B, rows_P, log_P)
        else:
            value_B = np.bincount(rows_P, log_P, minlength=len(signals)) / np.maximum(concepts_B, 1)
        value_B = np.where(concepts_B > 0, value_B, np.nan)
        return {"": torch.from_numpy(value_B), "concepts": torch.from_numpy(concepts_B)}

    def tally(self, outputs: Mapping[str, Tensor]) -> dict[str, float]:
        """Documents, and those without a concept."""
        return {"documents": len(outputs[""]), "without": float(outputs[""].isnan().sum())}

    def review(self, tally: Mapping[str, float]) -> Review:
        """A list of terms that is not of this corpus is noticed."""
        share = tally["without"] / tally["documents"]
        said = (
            [f"{share:.0%} of the documents hold no concept, so their scores are NaN"] if share > 0.5 else []
        )
        return Review({"share_without_concepts": share}, said)

    @cached_property
    def _wanted(self) -> Terms:
        return Terms.read(self.terms, OWNER)
