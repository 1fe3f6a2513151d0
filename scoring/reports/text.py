"""How a report shows numbers and text that come from users."""

from __future__ import annotations

import re

from scoring.lines import one_line
from scoring.reports.section import Cell


def number(value: Cell) -> str:
    """A value of a listing: three decimals below 10, thousands separated, a dash for none, ``0.9 (0.8 to 1)``."""
    if isinstance(value, tuple):
        middle, low, high = (number(each) for each in value)
        return middle if "-" in (low, high) else f"{middle} ({low} to {high})"
    if value is None or value != value:
        return "-"
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    size = abs(value)
    if 0 < size < 0.0005:
        return f"{value:.1e}"
    return f"{value:.3f}" if size < 10 else f"{value:.1f}" if size < 1000 else f"{value:,.0f}"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line: names and examples come from users."""
    line = one_line(text).replace("&", "&amp;").replace("<", "&lt;")
    line = re.sub(r"([\\`*\[\]>|~$])", r"\\\1", line)
    line = re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line)
    line = re.sub(r"^([#+-])(?=[\s#])", r"\\\1", line)
    return re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", line)
