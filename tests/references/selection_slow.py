"""Selection in its slowest obvious form: Python lists, sorted(), one place given at a time."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction

from scoring.hashing import hash64

Key = Callable[[int], tuple[float, int]]


def ranking(
    scores: Sequence[float], ids: Sequence[int | str], seed: int, *, highest_first: bool
) -> list[int]:
    """Rows by score, ties by hash(seed, id)."""
    hashes = [int(h) for h in hash64(seed, ids)]  # type: ignore[arg-type]
    sign = -1 if highest_first else 1
    return sorted(range(len(scores)), key=lambda row: (sign * scores[row], hashes[row]))


def hamilton(total: int, weights: Sequence[int]) -> list[int]:
    """Largest remainder without bounds."""
    whole = sum(weights)
    quotas = [total * w // whole for w in weights]
    remainder = [Fraction(total * w, whole) - q for w, q in zip(weights, quotas)]
    for group in sorted(range(len(weights)), key=lambda g: (-remainder[g], -weights[g], g))[
        : total - sum(quotas)
    ]:
        quotas[group] += 1
    return quotas


def round_robin(total: int, caps: Sequence[int]) -> list[int]:
    """Equal quotas: one place to every group that has room, in turn."""
    quotas = [0] * len(caps)
    while total:
        for group, cap in enumerate(caps):
            if total and quotas[group] < cap:
                quotas[group] += 1
                total -= 1
    return quotas


def top_with_floor(order: Sequence[int], group_of: Sequence[int], budget: int, floor: float) -> set[int]:
    """First each group's own best rows up to its floor, then the best of all rows that are left."""
    names = sorted(set(group_of))
    least = math.floor(Fraction(str(floor)) * budget / len(names))
    kept = {row for name in names for row in [r for r in order if group_of[r] == name][:least]}
    for row in order:
        if len(kept) < budget:
            kept.add(row)
    return kept
