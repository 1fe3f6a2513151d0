"""Would a small model, or a small budget, have chosen the same way? Decision accuracy inside a study."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pyarrow as pa

from scoring.errors import InputError
from training.laws.evaluations.rank_agreement import RankAgreement, rank_agreement
from training.laws.uncertainty.interval import Interval, wilson_interval
from training.studies.outcomes import FEWEST
from training.studies.paired import paired_difference
from training.studies.significance.ways_by_seeds import OWNER, WaysBySeeds, direction, ways_by_seeds


@dataclass(frozen=True)
class ScaleAgreement:
    """How the small scale orders the ways of the large one.

    Attributes:
        agreement: Over all pairs of ways, from means over seeds.
        told_apart: Pairs that the large scale itself tells apart (paired interval over 3 seeds or more excludes zero).
        decided: Share of those that the small scale orders alike, ties half, with Wilson's interval for half as many
            independent pairs as there are ways among them; None where there are none.
    """

    ways: tuple[str, ...]
    agreement: RankAgreement
    told_apart: int
    decided: Interval | None


def scale_agreement(
    table: pa.Table, small: Mapping[str, Any], large: Mapping[str, Any], metric: str = "accuracy", *,
    split: str | None = None, group: str = "", seed: int = 0,
) -> ScaleAgreement:  # fmt: skip
    """Compare two worlds of a table: ``small`` and ``large`` name the columns that tell them.

    Such as {"model": "linear"} and {"model": "mlp"}, or {"budget": "10%"} and {"budget": "50%"}.

    Raises:
        InputError: Either names more than one world, or none, or the two share fewer than three ways.
    """
    one, two = (_world(table, metric, split, group, where) for where in (small, large))
    ways = tuple(way for way in two.ways if way in one.ways)
    if len(ways) < 3:
        raise InputError(f"{OWNER}: decision accuracy needs at least 3 ways at both scales, got {len(ways)}.")
    sign = direction(metric)
    values = [{way: sign * each.last_WS[each.ways.index(way)] for way in ways} for each in (one, two)]
    means = [{way: float(v.mean()) for way, v in each.items()} for each in values]
    right, told, among = 0.0, 0, set()
    for a, b in combinations(ways, 2):
        difference = paired_difference(values[1][a], values[1][b])
        if difference.seeds < FEWEST or difference.verdict() == "cannot tell":
            continue
        told += 1
        among |= {a, b}
        beside = (means[0][a] - means[0][b]) * difference.mean
        right += 1.0 if beside > 0 else 0.5 if beside == 0 else 0.0
    decided = wilson_interval(right / told, max(1, len(among) // 2)) if told else None
    return ScaleAgreement(ways, rank_agreement(*means, seed=seed), told, decided)


def _world(
    table: pa.Table, metric: str, split: str | None, group: str, where: Mapping[str, Any]
) -> WaysBySeeds:
    found = ways_by_seeds(table, metric, split=split, group=group, **where)
    if len(found) != 1:
        told = "; ".join(each.told for each in found) or "none"
        raise InputError(f"{OWNER}: {dict(where)} must name one world of two ways or more, got {told}.")
    return found[0]
