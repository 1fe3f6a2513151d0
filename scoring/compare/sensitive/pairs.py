"""Sensitive examples of every score and pair of architectures, beside what halves of own runs give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from scoring.compare.ranks import Floats
from scoring.compare.reliability.spearman_brown import MANY_TIES
from scoring.compare.run_scores import RunScores
from scoring.compare.sensitive.examples import (
    Null,
    Places,
    Sensitive,
    chosen,
    null_places,
    pairs,
    sensitive_places,
)
from scoring.compare.sensitive.multiple_testing import benjamini_hochberg, simes
from scoring.compare.sensitive.rows import sensitive_rows
from scoring.describe import tied_fraction
from scoring.hashing import derive_seed

if TYPE_CHECKING:
    import pyarrow as pa

MOST_ROWS = 5_000_000
"""The table has all examples of all scores and pairs up to so many rows; else the sensitive ones alone."""
PERMUTATIONS = 100


@dataclass
class Pair:
    """What was found for one pair of architectures, score by score."""

    first: str
    second: str
    best: Sensitive | None = None
    """Under the score with the most sensitive examples beyond chance."""
    counts: dict[str, int] = field(default_factory=dict)
    pooled: dict[str, int] = field(default_factory=dict)
    beyond: dict[str, bool | None] = field(default_factory=dict)
    """Whether the architectures differ in more examples than halves of their own runs ever did; None: not known."""
    sure: bool = False
    """Whether some score finds examples at q / S too, S scores: what is shown is the best of S (Bonferroni)."""


@dataclass
class Found:
    """What was found for all pairs, and between halves of own runs."""

    pairs: list[Pair]
    nulls: dict[tuple[str, str], Null] = field(default_factory=dict)
    """(score, architecture) -> its own runs."""
    some_pair: dict[str, int] = field(default_factory=dict)
    tied: list[str] = field(default_factory=list)
    rows: list[pa.Table] = field(default_factory=list)
    all_rows: bool = True


def search(scores: RunScores, q: float = 0.05, seed: int = 0) -> Found:
    """All tests of every pair of architectures with two runs or more, one score at a time.

    ``q`` is the false discovery rate; ``seed`` decides splits of own runs and permutations.
    """
    found = Found([Pair(*pair) for pair in pairs(scores)])
    several = list(dict.fromkeys(name for pair in found.pairs for name in (pair.first, pair.second)))
    found.all_rows = len(scores) * len(scores.scores) * len(found.pairs) <= MOST_ROWS
    splits = 10 if len(scores) <= 10_000 else 5
    seed = derive_seed("sensitive", seed)
    best: dict[tuple[str, str], tuple[bool, int]] = {}
    for score in scores.scores:
        places = {name: Places.of(scores, score, name) for name in several}
        if max(tied_fraction(scores.values(score, name)[0]) for name in several) > MANY_TIES:
            found.tied.append(score)
        for name, place in places.items():
            if (runs := len(place.z_RN)) >= 4:
                # Halves have fewer runs, but the test is that of the pairs.
                found.nulls[score, name] = null_places(
                    place, (score, name), q, splits, chosen("auto", (runs, runs)), PERMUTATIONS, seed
                )
        p_PN: list[Floats] = []
        for pair in found.pairs:
            a, b = places[pair.first], places[pair.second]
            names = (score, pair.first, pair.second)
            each = sensitive_places(a, b, names, "auto", PERMUTATIONS, seed)
            pair.counts[score] = each.count(q)
            pair.pooled[score] = (
                each
                if each.method == "pooled"
                else sensitive_places(a, b, names, "pooled", PERMUTATIONS, seed)
            ).count(q)
            pair.beyond[score] = _beyond(each, found.nulls, q)
            pair.sure |= each.count(q / len(scores.scores)) > 0
            rating = (bool(pair.beyond[score]), each.count(q))
            if pair.best is None or rating > best[pair.first, pair.second]:
                pair.best, best[pair.first, pair.second] = each, rating
            found.rows.append(sensitive_rows(each, scores, None if found.all_rows else each.found(q)))
            if len(found.pairs) > 1:
                p_PN.append(each.p_N)
        if p_PN:
            found.some_pair[score] = int((benjamini_hochberg(simes(np.stack(p_PN))) < q).sum())
    return found


def _beyond(each: Sensitive, nulls: Mapping[tuple[str, str], Null], q: float) -> bool | None:
    own = [nulls[each.score, name].most for name in (each.first, each.second) if (each.score, name) in nulls]
    return each.count(q) > max(own) if own else None
