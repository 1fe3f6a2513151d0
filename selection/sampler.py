"""A torch sampler of kept rows: seeded, stateless from epoch to epoch, and blind to the order of the rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from scoring.errors import InputError
from scoring.hashing import Ids, derive_seed, uniform
from scoring.order import hash_order


class SubsetSampler(Sampler[int]):
    """Row positions of a subset, one epoch per iteration; ``set_epoch`` chooses which.

    Without weights every kept row comes once, in an order that is a hash of (seed, epoch, id). With ``weighted`` as
    many rows are drawn with replacement, each with chance in proportion to its weight. Neither touches torch's
    generator.
    """

    def __init__(
        self,
        rows: npt.NDArray[np.int64],
        ids: Ids,
        weights: npt.NDArray[np.float64],
        *,
        seed: int = 0,
        weighted: bool = False,
    ) -> None:
        if weighted and not weights.sum() > 0:
            raise InputError("Subset.sampler: weights must have a positive sum to sample by them, got none.")
        order = hash_order(ids, 0)
        self.rows, self.ids, self.weights = rows[order], ids[order], weights[order]
        self.seed = seed
        self.weighted = weighted
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[int]:
        seed = derive_seed("sampler", self.seed, self.epoch)
        if self.weighted:
            ends = np.cumsum(self.weights)
            draws = uniform(seed, np.arange(len(self))) * ends[-1]
            positions = np.minimum(np.searchsorted(ends, draws, side="right"), len(self) - 1)
        else:
            positions = hash_order(self.ids, seed)
        return iter(self.rows[positions].tolist())
