"""Numbers of scaling laws as people write them: 73.2B parameters, 5.76e23 FLOP, 0.347 (0.317 to 0.373)."""

from __future__ import annotations

import math

from training.laws.interval import Interval

NAMES = {
    "N": "parameters",
    "D": "tokens",
    "C": "FLOP",
    "M": "tokens per parameter",
}
"""What the inputs that all laws share are counted in."""
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
    """``0.347 (0.317 to 0.373)`` with the digits that the interval leaves; of ``name`` N or D with suffixes."""
    low, high = found.low, found.high
    if math.isnan(low) or math.isnan(high) or (math.isinf(low) and math.isinf(high)):
        return f"{size(found.value, name)} (no interval)"
    if name:
        return f"{size(found.value, name)} ({_end(low, name)} to {_end(high, name)})"
    if not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return f"{digits(found.value)} ({_end(low)} to {_end(high)})"
    unit = math.ceil(-math.log10((high - low) / 20))
    if any(abs(each) >= 1e6 or 0 < abs(each) < 1e-4 for each in (found.value, low, high)):
        return f"{digits(found.value, 3)} ({digits(low, 3)} to {digits(high, 3)})"
    least, middle, most = (f"{round(each, unit):,.{max(0, unit)}f}" for each in (low, found.value, high))
    return f"{middle} ({least} to {most})"


def _end(value: float, name: str = "") -> str:
    if math.isinf(value):
        return "without end"
    return size(value, name) if name else digits(value)


def percent(share: float) -> str:
    """``0.36 %``, ``12 %``: two digits."""
    if not math.isfinite(share):
        return "an unknown share"
    return f"{digits(100 * share, 2)} %"
