"""A section of a report: answers in words, tables, figures and a document for machines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

Cell = str | int | float | tuple[float, float, float] | None
"""Of a listing; three numbers are a value and the ends of its interval."""


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
        files: file name -> what writes any other file to the path it is given.
    """

    name: str
    title: str
    sentences: Sequence[str]
    listings: Sequence[Listing] = ()
    figures: Mapping[str, Callable[[], Figure]] = field(default_factory=dict)
    document: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    files: Mapping[str, Callable[[Path], object]] = field(default_factory=dict)
