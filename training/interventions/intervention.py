"""What an intervention is: examples in, changed examples out, with a mask of what was planted and what was realised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from scoring.examples import Examples
from scoring.hashing import derive_seed


@dataclass(frozen=True)
class Intervened:
    """Examples after interventions.

    Attributes:
        examples: What is trained on; ids of rows that stay are those of before.
        planted_N: True for rows that an intervention changed or added, (N,) bool: what a score may be asked to find.
        realised: One record per intervention: its ``name``, and what it really came to (``rate`` of changed labels,
            ``rows`` added or removed ...), which is seldom exactly what was asked for.
    """

    examples: Examples
    planted_N: npt.NDArray[np.bool_]
    realised: tuple[Mapping[str, Any], ...] = ()


class Intervention(Protocol):
    """A frozen dataclass with the options of one intervention."""

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """Change the examples. Randomness is a hash of (seed, id); ids of rows that stay are kept."""
        ...


def intervene(examples: Examples, interventions: Sequence[Intervention], seed: int = 0) -> Intervened:
    """Apply one after the other; a row is planted if any of them changed or added it."""
    planted = np.zeros(len(examples), dtype=bool)
    realised: list[Mapping[str, Any]] = []
    for number, each in enumerate(interventions):
        before = dict(zip(examples.ids.tolist(), planted.tolist()))
        done = each.apply(examples, derive_seed("intervention", seed, number) if number else seed)
        examples = done.examples
        earlier = np.array([before.get(one, False) for one in examples.ids.tolist()], dtype=bool)
        planted = done.planted_N | earlier
        realised += done.realised
    return Intervened(examples, planted, tuple(realised))
