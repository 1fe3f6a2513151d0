"""Ways to part runs into two halves."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

from scoring.hashing import derive_seed

Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
EVERY = 12
"""Up to so many runs all splits are listed before some are drawn: 924 of 12."""


def half_splits(runs: int, most: int, seed: int) -> list[Split]:
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
