"""Dividing a budget over groups: shares between bounds, rounded by largest remainder."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def apportion(
    total: int, weights_G: Sequence[int], caps_G: Sequence[int], floors_G: Sequence[int] | None = None
) -> IntArray:
    """Whole quotas that sum to ``total``, as near to proportional to the weights as caps and floors allow, (G,) int64.

    The exact shares are ``clip(level * weight, floor, cap)`` with the one level at which they sum to the total, so what
    a full group cannot take goes to the others in proportion. Shares are rounded down, and the rows that are left go
    one each to the largest remainders (Hamilton's method); equal remainders go by larger weight, then by position.

    Weights are positive, floors at most caps, and ``sum(floors) <= total <= sum(caps)``.
    """
    floors_G = [0] * len(caps_G) if floors_G is None else floors_G
    assert all(0 <= low <= cap for low, cap in zip(floors_G, caps_G)) and all(w > 0 for w in weights_G)
    assert sum(floors_G) <= total <= sum(caps_G), "the budget does not fit the groups"
    shares = _shares(total, weights_G, caps_G, floors_G)
    quotas = [int(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda g: (quotas[g] - shares[g], -weights_G[g], g))
    for group in by_remainder[: total - sum(quotas)]:
        quotas[group] += 1
    return np.array(quotas, dtype=np.int64)


def _shares(
    total: int, weights_G: Sequence[int], caps_G: Sequence[int], floors_G: Sequence[int]
) -> list[Fraction]:
    def at(level: Fraction) -> list[Fraction]:
        return [
            min(max(level * weight, Fraction(low)), Fraction(cap))
            for weight, low, cap in zip(weights_G, floors_G, caps_G)
        ]

    # The sum of the shares is piecewise linear in the level: find the piece that crosses the total, then the point.
    bends = {Fraction(low, w) for low, w in zip(floors_G, weights_G)}
    levels = sorted(bends | {Fraction(cap, w) for cap, w in zip(caps_G, weights_G)} | {Fraction(0)})
    lower, upper = 0, len(levels) - 1
    while upper - lower > 1:
        middle = (lower + upper) // 2
        if sum(at(levels[middle])) <= total:
            lower = middle
        else:
            upper = middle
    below, above = sum(at(levels[lower])), sum(at(levels[upper]))
    if above == below:
        return at(levels[upper])
    step = (levels[upper] - levels[lower]) * (total - below) / (above - below)
    return at(levels[lower] + step)
