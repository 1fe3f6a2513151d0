"""How many rows, and how many rows of every class: what the options of interventions and their records say."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from scoring.examples import Examples

IntArray = npt.NDArray[np.int64]
SHOWN = 20


def nearest_count(share: float, rows: int) -> int:
    """``share * rows`` to the nearest whole number, ties up; in decimal, since 0.145 * 100 is below 14.5 in binary."""
    return int((Decimal(str(float(share))) * rows).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def check_rate(rate: object, owner: str, name: str = "rate") -> None:
    """Refuse what is no share of rows."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise bad_value(name, owner, rate, "a number from 0 to 1")


def class_names(given: object, owner: str, name: str) -> list[str]:
    """Names of classes as text, from one or a list of them; YAML may have read some as numbers."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, Sequence):
        raise bad_value(name, owner, given, "a list of class names")
    return [str(each) for each in given]


def asked_count(share: float | None, count: int | None, rows: int, owner: str) -> int:
    """Rows from exactly one of ``share`` (of ``rows``) and ``count``."""
    if (share is None) == (count is None):
        raise InputError(f"{owner}: give either share or count, the number of rows.")
    if share is not None:
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < float("inf"):
            raise bad_value("share", owner, share, "a number of at least 0")
        return nearest_count(share, rows)
    if not isinstance(count, int) or isinstance(count, bool) or count < 0:
        raise bad_value("count", owner, count, "a whole number of at least 0")
    return count


def labels_of(examples: Examples, owner: str) -> IntArray:
    """The labels, (N,); examples without are refused."""
    if examples.labels is None:
        raise InputError(f"{owner}: examples must have labels, got {examples.name!r} without.")
    return np.asarray(examples.labels, dtype=np.int64)


def class_counts(labels: IntArray, names: tuple[str, ...]) -> dict[str, int]:
    """Rows per class by name; of more than 20 classes the three with the most rows and the three with the fewest."""
    counts = np.bincount(labels, minlength=len(names))
    order = np.argsort(-counts, kind="stable")
    shown = order if len(names) <= SHOWN else np.concatenate([order[:3], order[-3:]])
    if len(names) <= SHOWN:
        shown = np.arange(len(names))
    return {names[index]: int(counts[index]) for index in shown}
