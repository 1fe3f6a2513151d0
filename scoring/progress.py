"""Progress of long work on standard error: rows, rate, time left.

A bar on a terminal; elsewhere (a log file, a batch job) one plain line every half minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

Advance = Callable[[int], None]
SECONDS_BETWEEN_LINES = 30.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


def _pace(done: float, total: float, seconds: float) -> tuple[str, str]:
    """Units per second, minute or hour, whatever makes a readable number, and the time that ``total`` more take."""
    rate = done / max(seconds, 1e-9)
    if not done:
        return "", ""
    words = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s" if rate >= 1 else ""
    words = words or (f"{60 * rate:.1f}/min" if 60 * rate >= 1 else f"{3600 * rate:.1f}/h")
    return words, _clock(total / rate)


_shown: Progress | None = None
"""The bars that are on the terminal now: there can be only one such display, so a progress in a progress joins it."""


@contextmanager
def progress(
    what: str, total: int, unit: str = "rows", enabled: bool = True, already: int = 0
) -> Iterator[Advance]:
    """Give a function that is told how many more of ``total`` units are done.

    ``already`` of them were done before, which says nothing about the time that the others take.
    """
    global _shown
    if not enabled:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        with _lines(what, total, unit, already) as advance:
            yield advance
        return
    if _shown is not None:
        with _bar(_shown, what, total, unit, already) as advance:
            yield advance
        return
    _shown = _new_display()
    try:
        with _shown, _bar(_shown, what, total, unit, already) as advance:
            yield advance
    finally:
        _shown = None


def _new_display() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
    from rich.text import Text

    class Pace(ProgressColumn):
        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            done = task.completed - task.fields["already"]
            rate, left = _pace(done, (task.total or 0) - task.completed, task.elapsed or 0)
            return Text(f"{rate} {left} left" if rate else "")

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        Pace(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def _bar(display: Progress, what: str, total: int, unit: str, already: int) -> Iterator[Advance]:
    task = display.add_task(what, total=total, completed=already, already=already, unit=unit)
    try:
        yield lambda count: display.advance(task, count)
    finally:
        display.remove_task(task)


@contextmanager
def _lines(what: str, total: int, unit: str, already: int) -> Iterator[Advance]:
    started = last = time.monotonic()
    done = already

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            rate, left = _pace(done - already, total - done, now - started)
            pace = f", {rate}, {left} left" if rate else ""
            print(f"{what}: {done:,} of {total:,} {unit}{pace}", file=sys.stderr, flush=True)

    yield advance
