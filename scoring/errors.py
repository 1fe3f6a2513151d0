"""What a user reads when an input is wrong: one sentence with parameter, allowed values, what was given."""

from collections.abc import Iterable
from difflib import get_close_matches

MOST_NAMES = 60
"""Of more names an error lists the nearest ones only."""


class InputError(ValueError):
    """A user's mistake; the command line prints its sentence and exits with code 2."""


class OutputTakenError(InputError):
    """The output is there already, and is that of another call; ``overwrite`` replaces it."""


class MissingExtraError(ImportError):
    """An optional package is absent; the message holds the line that installs it."""


def bad_value(parameter: str, owner: str, given: object, allowed: str) -> InputError:
    """The error for a value outside what ``owner`` allows for ``parameter``."""
    return InputError(f"{owner}: {parameter} must be {allowed}, got {given!r}.")


def unknown_name(parameter: str, owner: str, given: str, allowed: Iterable[str]) -> InputError:
    """The error for a name that is not in a catalogue, with the nearest valid name where one is close."""
    names = sorted(allowed)
    close = get_close_matches(given, names, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    listed = ", ".join(names)
    if len(names) > MOST_NAMES:
        nearest = get_close_matches(given, names, n=10, cutoff=0.0)
        listed = f"{', '.join(nearest)} and {len(names) - len(nearest):,} more"
    return InputError(f"{owner}: {parameter} must be one of {listed}, got {given!r}.{hint}")


def name_some(values: Iterable[object], most: int = 3, of: int | None = None) -> str:
    """``'a', 'b', 'c' and 4 more``: a few of many values, or the first ones ``of`` so many, for error sentences."""
    items = list(values)
    count = len(items) if of is None else of
    shown = ", ".join(repr(value) for value in items[:most])
    return shown if count <= most else f"{shown} and {count - most:,} more"


def missing_extra(package: str, extra: str) -> MissingExtraError:
    """The error for an optional dependency that is not installed."""
    return MissingExtraError(f"{package} is not installed; run: pip install 'tamis[{extra}]'")
