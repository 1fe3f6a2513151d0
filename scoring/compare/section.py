"""A section of a comparison: answers in words, tables, figures and a document for machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

    from scoring.compare.predictions.probabilities import Predictions
    from scoring.examples import Examples
    from scoring.table import ScoreTable

Cell = str | int | float | tuple[float, float, float] | None
"""Of a listing; three numbers are a value and the ends of its interval."""


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


@dataclass(frozen=True)
class Listing:
    """A table for people: numbers as numbers (they are formatted where they are written), None as a blank."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """One question and what was found.

    Attributes:
        name: a file stem, and the key in summary.json: ``reliability``.
        title: a heading.
        sentences: the answer in plain words, the most important one first; also why there is none.
        listings: tables.
        figures: file stem -> what draws it; drawn only when the section is written.
        document: the same for machines: plain dicts, lists, numbers.
        tables: file stem -> rows to be written as Parquet, such as one per example.
    """

    name: str
    title: str
    sentences: Sequence[str]
    listings: Sequence[Listing] = ()
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
