"""What an intervention is: examples in, changed examples out, with what was planted and what was realised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from scoring.examples import Examples
from scoring.hashing import derive_seed, hash_ids

Kind = Literal["labels", "copies", "foreign"]
"""What is wrong with planted rows: their labels, that they stand there twice, or that they belong elsewhere."""


@dataclass(frozen=True)
class Planted:
    """The rows that one intervention planted: what a score may be asked to find.

    Attributes:
        name: That of the intervention; a second one of the same name is ``duplicates 2``.
        rows_N: Which they are, (N,) bool.
        kind: What is wrong with them.
        families_N: Rows that are copies of each other share a number, (N,) int64: which of them is the copy cannot be
            told, so finding any of a family is finding it. None where every row stands for itself.
    """

    name: str
    rows_N: npt.NDArray[np.bool_]
    kind: Kind = "labels"
    families_N: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Intervened:
    """Examples after interventions.

    Attributes:
        examples: What is trained on; ids of rows that stay are those of before.
        planted_N: True for rows that an intervention changed or added, (N,) bool.
        realised: One record per intervention: its ``name``, and what it really came to (``rate`` of changed labels,
            ``rows`` added or removed ...), which is seldom exactly what was asked for.
        planted: What each intervention planted, those that planted nothing left out. Copies of rows that an earlier
            one planted are planted by it, too.
        origin_N: Where every row was in the examples before, -1 for rows from elsewhere, (N,) int64; copies come from
            the row that they are copies of. None: found by id.
    """

    examples: Examples
    planted_N: npt.NDArray[np.bool_]
    realised: tuple[Mapping[str, Any], ...] = ()
    planted: tuple[Planted, ...] = ()
    origin_N: npt.NDArray[np.int64] | None = None


class Intervention(Protocol):
    """A frozen dataclass with the options of one intervention."""

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """Change the examples. Randomness is a hash of (seed, id); ids of rows that stay are kept."""
        ...


def intervene(examples: Examples, interventions: Sequence[Intervention], seed: int = 0) -> Intervened:
    """Apply one after the other; a row is planted if any of them changed or added it, or added a copy of such a row."""
    planted_N = np.zeros(len(examples), dtype=bool)
    realised: list[Mapping[str, Any]] = []
    planted: list[Planted] = []
    origin_N: npt.NDArray[np.int64] | None = np.arange(len(examples))
    names: Counter[str] = Counter()
    for number, each in enumerate(interventions):
        done = each.apply(examples, derive_seed("intervention", seed, number) if number else seed)
        from_N = _origin(examples, done)
        planted_N = done.planted_N | _carried(planted_N, from_N)
        planted = [_carry(one, from_N, done.examples) for one in planted]
        for one in _told(each, done):
            names[one.name] += 1
            again = names[one.name]
            planted.append(one if again == 1 else replace(one, name=f"{one.name} {again}"))
        realised += done.realised
        assert origin_N is not None
        origin_N = np.where(from_N >= 0, origin_N[from_N], -1)
        examples = done.examples
    return Intervened(examples, planted_N, tuple(realised), tuple(planted), origin_N)


def family_numbers(examples: Examples) -> npt.NDArray[np.int64]:
    """A number for every row that is a family of its own, (N,): the hash of its id."""
    return hash_ids(examples.ids).view(np.int64)


def _origin(before: Examples, done: Intervened) -> npt.NDArray[np.int64]:
    if done.origin_N is not None:
        return done.origin_N
    places = {each: row for row, each in enumerate(before.ids.tolist())}
    return np.array([places.get(each, -1) for each in done.examples.ids.tolist()], dtype=np.int64)


def _carried(mask_N: npt.NDArray[np.bool_], from_N: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    return np.where(from_N >= 0, mask_N[from_N], False)


def _carry(one: Planted, from_N: npt.NDArray[np.int64], after: Examples) -> Planted:
    families = one.families_N
    if families is not None:
        families = np.where(from_N >= 0, families[from_N], family_numbers(after))
    return replace(one, rows_N=_carried(one.rows_N, from_N), families_N=families)


def _told(each: Intervention, done: Intervened) -> tuple[Planted, ...]:
    """What an intervention says it planted; one that only marks rows planted those."""
    if done.planted or not done.planted_N.any():
        return done.planted
    name = str(done.realised[-1]["name"]) if done.realised else type(each).__name__
    return (Planted(name, done.planted_N),)
