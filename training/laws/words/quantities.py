"""Numbers of scaling laws as people write them: 73.2B parameters, 5.76e23 FLOP, 0.347 (0.317 to 0.373)."""

from __future__ import annotations

import math

from training.laws.uncertainty.interval import Interval

NAMES = {
    "N": "parameters",
    "D": "tokens",
    "C": "FLOP",
    "M": "tokens per parameter",
}
"""What the inputs that all laws share are counted in."""
ANY_SIZE = 1e6
EXACT = 1e-9
"""An interval narrower than this share of its value is rounding."""
SKEWED = 5.0
"""Ends that differ by more are rounded each by itself."""
SUFFIXES = ((1e15, "Q"), (1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K"))


def digits(value: float, count: int = 4) -> str:
    """A number in so many significant digits: ``477.8``, ``12,850``, ``6.787e7``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not 1e-4 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{count - 1}e}".split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        return f"{mantissa}e{int(exponent)}"
    rounded = float(f"{value:.{count - 1}e}")
    places = max(0, count - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{places}f}"


def size(value: float, name: str = "N") -> str:
    """A count of parameters or tokens with its suffix, ``73.2B``, ``20M``; others, and below a thousand, in digits."""
    if name in ("N", "D") and abs(value) < 1e18:
        for unit, suffix in SUFFIXES:
            if abs(value) >= 0.9995 * unit:
                text = digits(value / unit, 3)
                return f"{text.rstrip('0').rstrip('.') if '.' in text else text}{suffix}"
    return digits(value, 3)


def with_interval(found: Interval, name: str = "") -> str:
    """``0.347 (0.317 to 0.373)`` with the digits that the interval leaves; of ``name`` N or D with suffixes.

    An interval of a positive quantity over more than six decades says ``of any size``; one whose end was not found
    ``0.05 or more``.
    """
    value, low, high = found.value, found.low, found.high
    if math.isnan(low) or math.isnan(high) or (low == -math.inf and high == math.inf):
        return f"{size(value, name)} (no interval)"
    decades = low > 0 and math.isfinite(high) and high > ANY_SIZE * low
    if value > 0 and (decades or (low == 0 and high == math.inf)):
        return f"{size(value, name)} (of any size)"
    if math.isinf(low) or math.isinf(high):
        end = f"{size(low, name)} or more" if math.isinf(high) else f"{size(high, name)} or less"
        return f"{size(value, name)} ({end})"
    ends = (low, value, high)
    extreme = any(abs(each) >= 1e6 or 0 < abs(each) < 1e-4 for each in ends)
    exact = high - low <= EXACT * abs(value)
    if name or extreme or exact or (low > 0 and high > SKEWED * low):
        least, middle, most = (size(each, name) for each in ends)
    else:
        unit = math.ceil(-math.log10((high - low) / 20))
        least, middle, most = (f"{round(each, unit):,.{max(0, unit)}f}" for each in ends)
    return f"{middle} ({least} to {most})"


def percent(share: float) -> str:
    """``0.36 %``, ``12 %``: two digits."""
    if not math.isfinite(share):
        return "an unknown share"
    return f"{digits(100 * share, 2)} %"
