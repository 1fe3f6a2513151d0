"""Signals, times and counts of a corpus in words."""

from __future__ import annotations

from dataclasses import fields

from scoring.needs import Need, kind_of


def need_name(need: Need) -> str:
    """``answers(prompt=educational)``: the kind of a need with the options that are not the usual ones."""
    if isinstance(need, str):
        return need
    unusual = [
        f"{field.name}={value}"
        for field in fields(need)
        if (value := getattr(need, field.name)) != field.default
    ]
    return kind_of(need) + (f"({', '.join(unusual)})" if unusual else "")


def duration(seconds: float) -> str:
    """In the unit that suits: ``12 s``, ``3.4 min``, ``5.1 h``, and days from 100 hours on."""
    for size, unit in ((360_000.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= size:
            return f"{seconds / (86_400.0 if unit == 'days' else size):,.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"


def count(value: float) -> str:
    """A large number: ``12,300``, ``4.56e+09`` from a hundred million on."""
    return f"{value:.3g}" if abs(value) >= 1e8 else f"{value:,.0f}"


def size(number: float) -> str:
    """Bytes: ``12 kB``, ``3.4 GB``."""
    for power, unit in ((12, "TB"), (9, "GB"), (6, "MB"), (3, "kB")):
        if number >= 10**power:
            return f"{number / 10**power:.1f} {unit}"
    return f"{number:.0f} bytes"
