"""When a request is sent again, and how long after."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from scoring.hashing import digest

ATTEMPTS = 8
"""Of one request; the pauses between them add up to about a minute."""
FIRST_ATTEMPTS = 3
"""Of the first request to a server: a wrong address should not take a minute to say so."""
RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses that pass: too early, too much, or down for now."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0
LONGEST_ASKED = 600.0
"""Seconds; a server that asks for a longer pause (a quota of the day) is not waited for."""


def pause(attempt: int, salt: bytes, asked: float | None = None) -> float:
    """Seconds to wait after the failed attempt number ``attempt`` (from 0): doubling, at least what the server asked.

    Half of the pause is jitter, so that requests that failed together do not come back together; it is a hash of
    (salt, attempt), so that no random state is touched.
    """
    full = min(FIRST_PAUSE * 2.0**attempt, LONGEST_PAUSE)
    fraction = int.from_bytes(digest(salt, str(attempt).encode()), "little") / 2.0**64
    return max(full * (0.5 + 0.5 * fraction), 0.0 if asked is None else asked)


def retry_after(header: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for, a number or a date (RFC 9110, 10.2.3); None where it does not."""
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())
