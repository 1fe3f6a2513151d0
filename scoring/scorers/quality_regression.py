"""Quality as a published model with a regression head says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch

from scoring.errors import bad_value, unknown_name
from scoring.meaning import Meaning
from scoring.needs import Need, Regressions
from scoring.scorer import DocumentScorer, Outputs, Review
from scoring.scorers.quality_classifier import blank
from scoring.signals import Signals

OWNER = "score: scorer 'quality_classifier:regression'"
LEAST, MOST = 0.0, 5.0
WINDOWS = ("first", "mean")


@dataclass(frozen=True)
class QualityRegression(DocumentScorer):
    """The one output of a Hugging Face model for sequence classification; high means quality.

    Penedo et al. 2024 (FineWeb-Edu, section 4): a linear head on a frozen encoder, trained on judgements from 0 to 5 by
    a language model. ``quality_classifier:fineweb-edu`` is their model and reading: 512 tokens from the beginning,
    clipped to 0 to 5; the data set keeps 3 and more. A long document is so judged by its head: ``windows=mean``
    takes the mean over all of it, weighted by tokens. The side column ``truncated`` is 1 where a part was not read.
    ``model``: a folder or hub name. Blank documents are NaN.
    """

    model: str = ""
    clip: bool = False
    max_tokens: int = 512
    windows: str = "first"
    needs: ClassVar[frozenset[str]] = frozenset({"texts", "regressions"})
    meaning: ClassVar[Meaning] = "quality"
    sides: ClassVar[tuple[str, ...]] = ("truncated",)

    def __post_init__(self) -> None:
        if self.windows not in WINDOWS:
            raise unknown_name("windows", OWNER, str(self.windows), WINDOWS)
        if not isinstance(self.max_tokens, int) or isinstance(self.max_tokens, bool) or self.max_tokens < 4:
            raise bad_value("max_tokens", OWNER, self.max_tokens, "a whole number from 4")

    @property
    def reads(self) -> frozenset[Need]:
        """With the model."""
        return frozenset({"texts", self._need})

    def outputs(self, signals: Signals) -> Outputs:
        """The output, and whether a part was not read."""
        value_B, truncated_B = signals.layers(self._need)
        value_B = value_B.clamp(LEAST, MOST) if self.clip else value_B
        value_B = torch.where(torch.from_numpy(blank(signals)), float("nan"), value_B)
        return {"": value_B, "truncated": truncated_B}

    def tally(self, outputs: Outputs) -> dict[str, float]:
        """Documents, and those that were not read to the end."""
        return {"documents": len(outputs[""]), "truncated": float(outputs["truncated"].sum())}

    def review(self, tally: Mapping[str, float]) -> Review:
        """Warns where most documents were judged by their heads."""
        share = tally["truncated"] / tally["documents"]
        said = [f"{share:.0%} of the documents were judged by their first {self.max_tokens} tokens alone"]
        return Review({"truncated": share}, said if share > 0.5 else [])

    @property
    def _need(self) -> Regressions:
        return Regressions(self.model, self.max_tokens, "mean" if self.windows == "mean" else "first")
