"""Ctrl-C and SIGTERM wait for the end of an update, so that the state that is kept is a whole one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from scoring.engines.worker import stop_worker


class Stop:
    """``received`` is the number of the first signal, 0 before there is one."""

    received = 0

    def leave(self) -> NoReturn:
        """End as the signal asks: KeyboardInterrupt for SIGINT, else the exit code of a process that it ended."""
        if self.received == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + self.received)


@contextmanager
def deferred_signals() -> Iterator[Stop]:
    """Note the first SIGINT or SIGTERM for the loop to look at; a second one acts at once.

    Handlers that somebody else set stay in charge (those of our own workers do the same at once, and so wait too), and
    outside the main thread Python allows none: there, and after ``kill -9``, a run continues from the last state that
    was written.
    """
    stop = Stop()
    ours = {
        signal.SIGINT: (signal.default_int_handler,),
        signal.SIGTERM: (signal.SIG_DFL, stop_worker),
    }

    def note(number: int, frame: FrameType | None) -> None:
        if stop.received:
            stop.leave()
        stop.received = number

    taken = {}
    if threading.current_thread() is threading.main_thread():
        taken = {number: there for number, ok in ours.items() if (there := signal.getsignal(number)) in ok}
    for number in taken:
        signal.signal(number, note)
    try:
        yield stop
    finally:
        for number, there in taken.items():
            signal.signal(number, there)
