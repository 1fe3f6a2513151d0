"""Which runs are averaged together: disjoint groups of k runs, or halves; all of them or seeded random ones."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Bools
from scoring.hashing import derive_seed

Groups = npt.NDArray[np.int64]
Halves = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

MEANS = 24
"""Random groups are drawn until there are at least this many; at up to this many, all groups are taken."""
ALL_SIZES = 6
"""All sizes up to this one are looked at; beyond it every next one is 1.4 times as large."""
EVERY = 12
"""Up to so many runs all splits into halves are listed before some are drawn: 924 of 12."""


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


def half_splits(runs: int, most: int, seed: int) -> list[Halves]:
    """Different splits of 0..runs-1 into halves, the larger one first; all of them if there are at most ``most``.

    Which ones are drawn depends on ``runs`` and ``seed`` alone. Fewer than two runs have none.
    """
    if runs < 2:
        return []
    size = (runs + 1) // 2
    rng = np.random.default_rng(derive_seed("half_splits", seed, runs))
    if runs <= EVERY:
        halves = [np.array(half) for half in combinations(range(runs), size)]
        if 2 * size == runs:
            halves = halves[: len(halves) // 2]  # the others are their complements
        if len(halves) > most:
            halves = [halves[i] for i in np.sort(rng.choice(len(halves), most, replace=False))]
    else:
        halves = [np.sort(rng.permutation(runs)[:size]) for _ in range(most)]
    return [(half, np.setdiff1d(np.arange(runs), half)) for half in halves]
