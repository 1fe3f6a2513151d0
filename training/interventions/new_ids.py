"""Ids for rows that an intervention adds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.examples import Examples
from scoring.hashing import derive_seed, hash64


def new_ids(examples: Examples, stems: Sequence[int | str], owner: str) -> npt.NDArray[Any]:
    """An id for every stem that the examples do not have, (M,): ``<stem>~1``, or a hash where ids are whole numbers.

    The number is the first that is free, so a new id depends on nothing but its stem and what is there already.
    """
    taken = set(examples.ids.tolist())
    whole = examples.ids.dtype.kind == "i"
    made: list[Any] = []
    for stem in stems:
        number = 1
        while (name := _name(stem, number, whole, owner)) in taken:
            number += 1
        taken.add(name)
        made.append(name)
    array = np.empty(len(made), dtype=np.int64 if whole else object)
    array[:] = made
    return array


def _name(stem: int | str, number: int, whole: bool, owner: str) -> int | str:
    if not whole:
        return f"{stem}~{number}"
    return int(hash64(derive_seed(owner, number), np.array([stem]))[0] >> np.uint64(1))
