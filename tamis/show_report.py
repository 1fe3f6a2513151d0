"""What a report looks like in a terminal: every section's answer, then its tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from scoring.lines import one_line
from scoring.reports.text import number
from tamis.grid import console, fitting, grid

if TYPE_CHECKING:
    from rich.console import Console

    from scoring.reports.folder import Report
    from scoring.reports.section import Listing

MOST_ROWS = 12


def show_report(report: Report, out: Path | None, beside: str = "figures") -> None:
    """To the terminal; long and wide tables are cut, their rest stands in the report, with what lies ``beside``."""
    screen = console()
    screen.print(escape(one_line(report.title)), style="bold")
    for sentence in report.preamble:
        screen.print(escape(one_line(sentence)))
    for section in report.sections:
        screen.print(f"\n[bold]{escape(one_line(section.title))}[/bold]")
        for sentence in section.sentences:
            screen.print(escape(one_line(sentence)))
        for listing in section.listings:
            screen.print()
            show_listing(screen, listing)
    if out is not None:
        screen.print(f"\nWritten to {escape(str(out))}: report.md, summary.json, {beside}.")
    else:
        screen.print(f"\n--out FOLDER writes the whole report, with {beside}.")


def show_listing(screen: Console, listing: Listing) -> None:
    """A table of a report; columns that do not fit are named below it, and no value is cut."""
    rows = [[number(value) for value in row] for row in listing.rows[:MOST_ROWS]]
    texts = [
        all(isinstance(row[at], str | None) for row in listing.rows) for at in range(len(listing.header))
    ]
    left = len(texts) if all(texts) else texts.index(False)
    header = [one_line(name) for name in listing.header]
    shown = fitting(header, rows, screen.width, 1 if all(texts) else left)
    if listing.caption:
        screen.print(one_line(listing.caption), style="bold", markup=False)
    screen.print(grid("", header[:shown], [row[:shown] for row in rows], left=left, wrap_header=True))
    if shown < len(header):
        screen.print(f"Too wide for this terminal: {', '.join(header[shown:])}", markup=False, style="dim")
    if len(listing.rows) > MOST_ROWS:
        screen.print(f"... and {len(listing.rows) - MOST_ROWS:,} more rows")
