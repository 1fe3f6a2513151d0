"""Progress of long work on standard error: rows, rate, time left.

A bar on a terminal; elsewhere (a log file, a batch job) one plain line every half minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]
SECONDS_BETWEEN_LINES = 30.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if minutes >= 60 else f"{minutes}:{rest:02}"


@contextmanager
def progress(what: str, total: int, unit: str = "rows", enabled: bool = True) -> Iterator[Advance]:
    """Give a function that is told how many more of ``total`` units are done."""
    if not enabled:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        with _lines(what, total, unit) as advance:
            yield advance
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total, rate="")
        started, done = time.monotonic(), 0

        def advance_bar(count: int) -> None:
            nonlocal done
            done += count
            rate = done / max(time.monotonic() - started, 1e-9)
            bar.update(task, advance=count, rate=f"{rate:,.0f}/s")

        yield advance_bar


@contextmanager
def _lines(what: str, total: int, unit: str) -> Iterator[Advance]:
    started = last = time.monotonic()
    done = 0

    def advance(count: int) -> None:
        nonlocal done, last
        done += count
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - started)
            left = _clock((total - done) / rate) if rate else "unknown"
            print(
                f"{what}: {done:,} of {total:,} {unit}, {rate:,.0f}/s, {left} left",
                file=sys.stderr,
                flush=True,
            )

    yield advance
