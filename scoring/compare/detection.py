"""Do the hardest-looking examples turn out to be the wrong labels? AUROC and its kin against a known mask.

For planted noise, or labels that people checked. AUROC is the Mann-Whitney probability that a wrong label scores
harder than a right one, ties counted half. Its standard error is DeLong's (DeLong et al. 1988; midranks as in Sun
and Xu 2014). The interval is a score interval (Newcombe 2006, Stat. Med. 25:559, method 5): unlike a symmetric one
it stays inside [0, 1] and keeps a width at AUROC 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Bools, NanPolicy, average_ranks, chance_in_top, hard_high, usable_rows
from scoring.errors import bad_value
from scoring.meaning import Meaning

Z95 = 1.959963984540054


@dataclass(frozen=True)
class Detection:
    """How well one score finds the examples of a mask."""

    name: str
    rows: int
    positives: int
    auroc: float
    standard_error: float
    interval: tuple[float, float]
    """95 %."""
    average_precision: float
    k: int
    precision_at_k: float
    """Share of true errors among the k most suspect; ``prevalence`` by chance. k is the number of errors by default."""
    sought: str = "this noise"
    being: str = "wrong"
    """How the verdict calls what was looked for, and its rows."""

    @property
    def recall_at_k(self) -> float:
        """Share of the errors that are among the k most suspect."""
        return self.precision_at_k * self.k / self.positives

    @property
    def jaccard_at_k(self) -> float:
        """Rows that are both errors and among the k most suspect, over rows that are either."""
        both = self.precision_at_k * self.k
        return both / (self.k + self.positives - both)

    @property
    def prevalence(self) -> float:
        """Share of errors among all rows: what chance would find."""
        return self.positives / self.rows

    @property
    def verdict(self) -> str:
        """One plain sentence that names the evidence."""
        low, high = self.interval
        numbers = f"AUROC {_digits(self.auroc)} (95 % {_digits(low)} to {_digits(high)})"
        chance = f"{self.being}, {self.prevalence:.0%} by chance"
        found = f"{self.precision_at_k:.0%} of the {self.k:,} most suspect are {chance}"
        return f"{self.name} {self.judgement} {self.sought}: {numbers}; {found}."

    @property
    def judgement(self) -> str:
        """The verb of the verdict, from AUROC and, near chance, its interval."""
        low, high = self.interval
        if high < 0.5:
            return "points away from"
        if low <= 0.5:
            return "does not find"
        if self.auroc < 0.7:
            return "barely finds"
        if self.auroc < 0.9:
            return "finds part of"
        return "finds most of" if self.auroc < 0.99 else "finds nearly all of"


def detection(
    values: npt.ArrayLike,
    wrong: npt.ArrayLike,
    *,
    name: str = "score",
    meaning: Meaning = "hard",
    k: int | None = None,
    nan: NanPolicy = "error",
) -> Detection:
    """Measure how well a score finds the examples marked ``wrong``.

    Args:
        values: the score, (N,).
        wrong: True for planted or verified errors, (N,) bool; both kinds must occur.
        name: what to call the score.
        meaning: what a high value means; the score is turned so that high is suspect.
        k: length of the list for precision, default the number of errors.
        nan: ``error``, or ``drop`` the rows without a score.
    """
    suspicion = hard_high(values, meaning, name)
    mask = _mask(wrong, len(suspicion))
    rows = usable_rows({name: suspicion}, nan, "detection")
    suspicion, mask = suspicion[rows], mask[rows]
    positives = int(mask.sum())
    if positives in (0, len(mask)):
        raise bad_value(
            "wrong", "detection", f"{positives:,} of {len(mask):,} True", "a mask with both kinds of rows"
        )
    length = positives if k is None else k
    if not 1 <= length <= len(mask):
        raise bad_value("k", "detection", k, f"between 1 and {len(mask):,}")
    area = auroc(suspicion, mask)
    return Detection(
        name=name,
        rows=len(mask),
        positives=positives,
        auroc=area,
        standard_error=delong_error(suspicion, mask),
        interval=auroc_interval(area, positives, len(mask) - positives),
        average_precision=average_precision(suspicion, mask),
        k=length,
        precision_at_k=precision_at(suspicion, mask, length),
    )


def detections(
    columns: Mapping[str, npt.ArrayLike],
    meanings: Mapping[str, Meaning],
    wrong: npt.ArrayLike,
    *,
    k: int | None = None,
    nan: NanPolicy = "error",
) -> list[Detection]:
    """``detection`` of several scores, the best AUROC first."""
    found = [
        detection(v, wrong, name=name, meaning=meanings[name], k=k, nan=nan) for name, v in columns.items()
    ]
    return sorted(found, key=lambda d: (-d.auroc, d.name))


def auroc(suspicion: npt.ArrayLike, wrong: npt.ArrayLike) -> float:
    """Probability that a wrong row scores above a right one, ties counted half (Mann-Whitney U / mn)."""
    mask = np.asarray(wrong, dtype=np.bool_)
    ranks = average_ranks(suspicion)
    m, n = int(mask.sum()), int((~mask).sum())
    return float((ranks[mask].sum() - m * (m + 1) / 2) / (m * n))


def delong_error(suspicion: npt.ArrayLike, wrong: npt.ArrayLike) -> float:
    """DeLong's standard error of the AUROC; 0 at perfect separation, NaN with fewer than two of a kind."""
    values, mask = np.asarray(suspicion, dtype=np.float64), np.asarray(wrong, dtype=np.bool_)
    m, n = int(mask.sum()), int((~mask).sum())
    if min(m, n) < 2:
        return float("nan")
    ranks = average_ranks(values)
    # Placements: the share of the other kind that each row beats.
    beats_right = (ranks[mask] - average_ranks(values[mask])) / n
    beats_wrong = 1 - (ranks[~mask] - average_ranks(values[~mask])) / m
    return float(np.sqrt(beats_right.var(ddof=1) / m + beats_wrong.var(ddof=1) / n))


def auroc_interval(area: float, wrong: int, right: int, z: float = Z95) -> tuple[float, float]:
    """Newcombe's method 5: all areas A with |area - A| <= z * sqrt(V(A)), found by bisection.

    V is Hanley and McNeil's variance with both m - 1 and n - 1 replaced by (m + n) / 2 - 1.
    """
    star = (wrong + right) / 2 - 1

    def spread(a: float) -> float:
        bracket = 1 + star * (1 - a) / (2 - a) + star * a / (1 + a)
        return z * float(np.sqrt(a * (1 - a) * bracket / (wrong * right)))

    low = _edge(lambda a: area - a > spread(a), 0.0, area)
    high = 1 - _edge(lambda a: (1 - a) - area > spread(1 - a), 0.0, 1 - area)
    return low, high


def average_precision(suspicion: npt.ArrayLike, wrong: npt.ArrayLike) -> float:
    """Precision averaged over the recall it adds at every distinct threshold; tied rows enter together."""
    values, mask = np.asarray(suspicion, dtype=np.float64), np.asarray(wrong, dtype=np.bool_)
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], np.cumsum(mask[order])
    last_of_tie = np.append(values[1:] != values[:-1], True)
    hits, taken = hits[last_of_tie], np.arange(1, len(values) + 1)[last_of_tie]
    return float((np.diff(hits, prepend=0) * hits / taken).sum() / mask.sum())


def precision_at(suspicion: npt.ArrayLike, wrong: npt.ArrayLike, k: int) -> float:
    """Expected share of errors among the k most suspect when ties are broken at random."""
    return float(chance_in_top(suspicion, k) @ np.asarray(wrong, dtype=np.float64)) / k


def _edge(outside: Callable[[float], bool], start: float, end: float) -> float:
    """Where ``outside`` turns from True (near ``start``) to False (at ``end``)."""
    if not outside(start):
        return start
    for _ in range(60):
        middle = (start + end) / 2
        start, end = (middle, end) if outside(middle) else (start, middle)
    return end


def _mask(wrong: npt.ArrayLike, rows: int) -> Bools:
    mask = np.asarray(wrong)
    if mask.dtype != np.bool_ or mask.shape != (rows,):
        raise bad_value(
            "wrong", "detection", f"{mask.dtype} {mask.shape}", f"a bool array of shape ({rows},)"
        )
    return mask


def _digits(value: float) -> str:
    """Three digits, and never a rounded 1.000 or 0.000 for what is not."""
    if 0.9995 <= value < 1:
        return ">0.999"
    return "<0.001" if 0 < value < 0.0005 else f"{value:.3f}"
