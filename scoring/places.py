"""Objects by place, ``"module:name"``: what a user names, a catalogue lists, or another package adds by entry point."""

from importlib import import_module
from importlib.metadata import entry_points

from scoring.errors import InputError


def load_place(place: str, what: str) -> object:
    """The object at a place that a user or an installed package named, never a file.

    Raises:
        InputError: It cannot be imported; ``what`` says what was asked for.
    """
    module, _, name = place.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:  # ValueError: no module is named
        raise InputError(f"{what} cannot be imported ({error}).") from None


def added_places(group: str) -> dict[str, str]:
    """Name -> place of everything that installed packages add to an entry-point group."""
    return {point.name: point.value for point in entry_points(group=group)}
