"""Plain tables on the terminal, read from left to right."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table


def console() -> Console:
    """The terminal, or a pipe with lines long enough that nothing is cut."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=160)


WRAPPED = ("example", "what it is", "what it keeps")
"""Columns of running text; all others stay on one line."""
LEAST_TEXT = 30


def grid(
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    left: int = 1,
    drop: Sequence[str] = (),
    wrap_header: bool = False,
) -> Table:
    """A table whose first ``left`` columns are text and the others numbers.

    Where the terminal is too narrow, the columns named in ``drop`` are left out, from the first on, until it fits.
    With ``wrap_header`` a column is as wide as its values, and its name breaks between words.
    """
    cells = [[cell(value) for value in row] for row in rows]
    widths = [
        max(len(line) for text in (name, *(row[at] for row in cells)) for line in text.split("\n"))
        for at, name in enumerate(header)
    ]
    widths = [min(w, LEAST_TEXT) if name in WRAPPED else w for name, w in zip(header, widths)]
    shown = list(range(len(header)))
    for name in drop:
        if sum(widths[at] + 2 for at in shown) - 2 > console().width and name in header:
            shown.remove(header.index(name))
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for at in shown:
        name = (
            _broken(header[at], max((len(row[at]) for row in cells), default=0))
            if wrap_header
            else header[at]
        )
        table.add_column(
            name, justify="left" if at < left else "right", overflow="fold", no_wrap=header[at] not in WRAPPED
        )  # fmt: skip
    for row in cells:
        table.add_row(*(escape(row[at]) for at in shown))
    return table


def fitting(header: Sequence[str], rows: Sequence[Sequence[object]], width: int, least: int = 1) -> int:
    """How many columns, from the first on, a grid with broken names shows whole in ``width``; at least ``least``."""
    taken = -2
    for at, name in enumerate(header):
        values = max((len(cell(row[at])) for row in rows), default=0)
        if name in WRAPPED:
            values = min(values, LEAST_TEXT)
        taken += 2 + max(values, *(len(line) for line in _broken(name, values).split("\n")))
        if taken > width and at >= least:
            return at
    return len(header)


def _broken(name: str, width: int) -> str:
    """A name in lines between its words, as long as ``width`` or the longest word."""
    longest = max((len(word) for word in name.split()), default=0)
    return "\n".join(
        textwrap.wrap(name, max(width, longest, 1), break_long_words=False, break_on_hyphens=False)
    )


def cell(value: object) -> str:
    """A value as a person reads it: four significant digits, thousands separated, - for none."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
