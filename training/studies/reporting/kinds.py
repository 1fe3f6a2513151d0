"""What the columns of the run table mean in words, kind by kind of study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Words(NamedTuple):
    """Of one kind."""

    share: str = "kept, % of all"
    """What ``keep`` is, for an axis."""
    whole: str = "all examples"
    """What the way ``all`` trains on."""
    done: str = "kept"
    """What a way does with what it chooses."""


USUAL = Words()
WORDS: Mapping[str, Words] = {
    "augmentation": Words("added, % of what the pool offers", "the labelled examples alone", "added"),
    "corpus": Words("kept, % of all", "all documents"),
    "online": Words("trained on, % of what is drawn", "all examples", "trained on"),
}


def words_of(kind: str) -> Words:
    """Of a kind by its name in the run table."""
    return WORDS.get(kind, USUAL)
