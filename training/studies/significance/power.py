"""How small a difference could these seeds have found, and how many seeds would an effect need: the paired t-test."""

from __future__ import annotations

import math

from scoring.errors import bad_value
from training.studies.outcomes import FEWEST

POWER = 0.8
MOST_SEEDS = 10_000


def power_of(effect: float, sd: float, seeds: int, level: float = 0.95) -> float:
    """Chance that the paired t interval of S seeds excludes zero, for a true difference ``effect`` with spread ``sd``.

    P(|T| > t) of the noncentral t with S - 1 degrees of freedom and noncentrality effect sqrt(S) / sd (Cohen
    1988, chapter 2, for matched pairs). Fewer than 3 seeds call nothing, as in ``outcomes``.
    """
    from scipy.special import nctdtr, stdtrit

    if seeds < FEWEST:
        return 0.0
    if sd == 0:
        return float(effect != 0)
    shift = abs(effect) * math.sqrt(seeds) / sd
    edge = float(stdtrit(seeds - 1, 0.5 + level / 2))
    above = 1 - float(nctdtr(seeds - 1, shift, edge))
    below = float(nctdtr(seeds - 1, shift, -edge))
    return min(1.0, above + (0.0 if math.isnan(below) else below))


def detectable_difference(sd: float, seeds: int, power: float = POWER, level: float = 0.95) -> float:
    """The smallest true difference that S seeds call with this power; infinite with fewer than 3, 0 without spread."""
    _checked(sd, power)
    if seeds < FEWEST or math.isnan(sd):
        return math.inf
    if sd == 0:
        return 0.0
    low, high = 0.0, 1.0
    while power_of(high, 1.0, seeds, level) < power:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power_of(middle, 1.0, seeds, level) < power else (low, middle)
    return high * sd


def seeds_needed(effect: float, sd: float, power: float = POWER, level: float = 0.95) -> int | None:
    """The fewest seeds that call a true difference with this power, at least 3; None for no effect, or above 10,000."""
    _checked(sd, power)
    if effect == 0 or math.isnan(effect) or math.isnan(sd) or power_of(effect, sd, MOST_SEEDS, level) < power:
        return None
    low, high = FEWEST - 1, FEWEST
    while power_of(effect, sd, high, level) < power:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power_of(effect, sd, middle, level) < power else (low, middle)
    return high


def _checked(sd: float, power: float) -> None:
    if sd < 0:
        raise bad_value("sd", "significance", sd, "at least 0")
    if not 0 < power < 1:
        raise bad_value("power", "significance", power, "between 0 and 1")
