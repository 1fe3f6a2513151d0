"""What a comparison was asked: what every section reads beside the scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scoring.compare.predictions.probabilities import Predictions
    from scoring.examples import Examples
    from scoring.table import ScoreTable


@dataclass(frozen=True, kw_only=True)
class Request:
    """What ``compare`` was asked, beside the scores themselves; see ``scoring.compare.run.compare``."""

    keep: float = 0.3
    q: float = 0.05
    resamples: int = 200
    seed: int = 0
    shown: int = 12
    """How many examples are shown."""
    held_out: int | None = None
    """Runs per architecture that test a fingerprint; None: every run in turn."""
    proxies: Sequence[str] = ()
    """Architectures from the cheapest to the target; empty: no proxy check."""
    predictions: Predictions | None = None
    beside: ScoreTable | None = None
    """Columns from elsewhere (published scores, human votes) that every score is correlated with."""
    examples: Examples | None = None
    """To show them."""
