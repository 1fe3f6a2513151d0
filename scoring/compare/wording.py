"""Numbers with their intervals, in words."""

from __future__ import annotations

import math

from scoring.compare.intervals.over_runs import Estimate


def percent(value: float) -> str:
    """``83 %``, ``0.42 %``, ``99.7 %``: two digits, more near the whole, and 0 or 100 only where it is."""
    if math.isnan(value):
        return "undefined"
    points = 100 * value
    if points in (0, 100):
        return f"{points:.0f} %"
    if 0 < points < 0.01 or 99.99 < points < 100:
        return "<0.01 %" if points < 1 else ">99.99 %"
    if abs(points) < 10:
        return f"{points:.2g} %"
    if points >= 99.9:
        return f"{points:.2f} %"
    return f"{points:.1f} %" if points >= 90 else f"{points:.0f} %"


def percent_estimate(found: Estimate) -> str:
    """``2.4 % (1.9 to 2.9)``, with the digits that the interval leaves; the number alone where there is none."""
    low, high = found.interval
    if not found.firm or low == high:
        return percent(found.value)
    digits = max(0, math.ceil(-math.log10(100 * (high - low) / 5)))
    points, least, most = (f"{100 * each:.{digits}f}" for each in (found.value, low, high))
    return f"{points} % ({least} to {most})"


def decimal(found: Estimate) -> str:
    """``0.123 (0.101 to 0.145)``, or the number alone where there is no interval."""
    if math.isnan(found.value):
        return "undefined"
    low, high = found.interval
    return f"{found.value:.3f} ({low:.3f} to {high:.3f})" if found.firm else f"{found.value:.3f}"


def ends(found: Estimate) -> tuple[float | None, float | None]:
    """Both ends of the interval, for cells of a listing."""
    return found.interval if found.firm else (None, None)


def count_of_runs(count: int) -> str:
    """``1 run``, ``4 runs``."""
    return f"{count} run" if count == 1 else f"{count} runs"
