"""Rows of which it shows only while they are read that they cannot be: images that cannot be decoded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from scoring.errors import InputError
from scoring.examples import Examples

Found = TypeVar("Found")


def readable(examples: Examples, compute: Callable[[Examples], Found]) -> tuple[Found | None, dict[int, str]]:
    """What is computed from all examples that can be read, and position -> error of the others.

    None where not one can be.
    """
    try:
        return compute(examples), {}
    except InputError:
        broken = _undecodable(examples)
        if not broken:
            raise
        good = np.setdiff1d(np.arange(len(examples)), list(broken))
        return (compute(examples.take(good)) if len(good) else None), broken


def _undecodable(examples: Examples) -> dict[int, str]:
    """Position and error of every image that cannot be decoded."""
    broken: dict[int, str] = {}
    if examples.kind == "image":
        for position in range(len(examples)):
            try:
                examples.images([position])
            except (InputError, OSError) as error:
                broken[position] = str(error).removesuffix(".")
    return broken
