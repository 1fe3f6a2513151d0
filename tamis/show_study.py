"""What a study came to, on the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from tamis.grid import console, grid

if TYPE_CHECKING:
    from training.studies.reporting.report import Summary


def show_study(summary: Summary, folder: Path) -> None:
    """A table per place, the sentences, the cautions, and where the report lies."""
    screen = console()
    for listing in summary.listings:
        header = [escape(name) for name in listing.header]
        screen.print(grid(escape(listing.caption), header, listing.rows, left=1, wrap_header=True))
        screen.print()
    from training.studies.reporting.tables import MARKS

    screen.print(escape(f"In every table: {MARKS}."), style="dim")
    for sentence in (*summary.sentences, *summary.cautions):
        screen.print(escape(sentence))
    if summary.files:
        screen.print(escape(f"Written to {folder}: report.md, summary.json, tables and figures."))
