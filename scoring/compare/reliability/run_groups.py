"""Which runs are averaged together: disjoint groups of k runs, all of them or seeded random ones."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Bools

Groups = npt.NDArray[np.int64]

MEANS = 24
"""Random groups are drawn until there are at least this many; at up to this many, all groups are taken."""
ALL_SIZES = 6
"""All sizes up to this one are looked at; beyond it every next one is 1.4 times as large."""


def group_sizes(runs: int) -> list[int]:
    """Sizes k of disjoint groups to look at, from 1 to runs // 2, both included; the larger, the fewer."""
    largest = runs // 2
    sizes = set(range(1, min(ALL_SIZES, largest) + 1)) | {largest}
    size = float(ALL_SIZES)
    while (size := size * 2**0.5) < largest:
        sizes.add(round(size))
    return sorted(sizes)


def run_groups(runs: int, size: int, rng: np.random.Generator) -> list[Groups]:
    """Blocks of groups of ``size`` runs, each (G, size); only groups of one block are compared.

    With few runs one block of all groups, so that all disjoint pairs occur. Else random partitions of the runs into
    disjoint groups, so that G means give G (G - 1) / 2 comparisons.
    """
    assert 1 <= size <= runs // 2, f"two groups of {size} of {runs} runs"
    if size == 1 or comb(runs, size) <= MEANS:
        return [np.array(list(combinations(range(runs), size)), dtype=np.int64)]
    per_block = runs // size
    blocks = -(-MEANS // per_block)
    shuffled = (rng.permutation(runs)[: per_block * size] for _ in range(blocks))
    return [np.sort(order.reshape(per_block, size), axis=1) for order in shuffled]


def disjoint(groups_GK: Groups) -> Bools:
    """Which pairs of groups share no run, (G, G), True above the diagonal only."""
    member_GR = np.zeros((len(groups_GK), int(groups_GK.max()) + 1))
    np.put_along_axis(member_GR, groups_GK, 1.0, axis=1)
    return np.asarray(np.triu(member_GR @ member_GR.T == 0, 1), dtype=np.bool_)
