"""How the parts of a report of laws are named and written."""

from __future__ import annotations

import re

from scoring.hashing import digest
from scoring.reports.section import Cell
from training.laws.uncertainty.interval import Interval
from training.laws.words.quantities import with_interval

KIND = "fit of laws"
"""What the reports are; see :class:`scoring.reports.folder.Report`."""


def file_stem(*words: str) -> str:
    """A name for files: the words without what file systems dislike, told apart by a digest where that changed them."""
    plain = "-".join(word for word in words if word)
    safe = re.sub(r"[^\w.=+-]+", "_", plain).strip("._") or "law"
    return safe if safe == plain else f"{safe[:60]}-{digest(plain.encode()).hex()[:6]}"


def interval_cell(interval: Interval, name: str = "") -> Cell:
    """A value with its interval in the digits that the interval leaves; N and D with suffixes."""
    return with_interval(interval, name)


def ends(interval: Interval) -> list[float]:
    """For machines: the value and the ends of its interval."""
    return [interval.value, interval.low, interval.high]
