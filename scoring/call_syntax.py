"""``name(option=value, other=[1, 2])`` as text: how scorers and models are asked for with options."""

from __future__ import annotations

import json
from typing import Any

from scoring.errors import InputError, bad_value

OPEN, CLOSE = "([{", ")]}"


def split_commas(text: str) -> list[str]:
    """``"el2n,forgetting(runs=mean),mlp(hidden=[64,64])"`` at the commas outside brackets; blanks are dropped."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter in OPEN) - (letter in CLOSE)
        if letter == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def read_options(text: str, owner: str) -> dict[str, Any]:
    """``"never_learned=inf, hidden=[64,64]"`` as a dictionary; a value is JSON where it can be read so, else text."""
    options: dict[str, Any] = {}
    for pair in split_commas(text):
        key, equals, value = (piece.strip() for piece in pair.partition("="))
        if not equals or not key or not value:
            raise bad_value("option", owner, pair, "of the form option=value")
        if key in options:
            raise InputError(f"{owner}: option {key!r} must be given once, got it twice.")
        try:
            options[key] = json.loads(value.lower() if value in ("True", "False") else value)
        except json.JSONDecodeError:
            options[key] = value
    return options
