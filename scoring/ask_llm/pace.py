"""At most so many requests a minute, over all threads of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Gives every request its turn; turns are evenly spaced, so no minute ever holds more than ``per_minute``.

    Args:
        per_minute: 0 is no limit.
        clock: Seconds that only grow.
    """

    def __init__(self, per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._gap = 60.0 / per_minute if per_minute else 0.0
        self._clock = clock
        self._next = -float("inf")
        self._lock = threading.Lock()

    def turn(self, wait: Callable[[float], object]) -> None:
        """Come back when one more request may be sent; ``wait`` lets so many seconds pass."""
        if not self._gap:
            return
        with self._lock:
            now = self._clock()
            start = max(now, self._next)
            self._next = start + self._gap
        if start > now:
            wait(start - now)
