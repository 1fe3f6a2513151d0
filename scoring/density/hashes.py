"""Random hashes whose collision probability is a kernel: signs, or pieces of a line, of random projections."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from scoring.density.kernels import Kernel
from scoring.hashing import UInt64Array, combine, derive_seed, hash64, uniform

ELEMENTS = 1 << 22
"""Projections in a block."""


@dataclass(frozen=True)
class Hashes:
    """R functions from rows of D numbers to B buckets, each of P hashes together.

    Random numbers are hashes of (seed, position), so that a sketch can be continued anywhere. P sign bits are the
    bucket themselves where 2^P buckets are no more than ``buckets``. Otherwise the codes are mixed and folded
    (``folded``), so that different codes meet with probability 1 / B; the sketch corrects for that. One piece of a line
    is folded by its remainder, so that pieces meet only beyond B widths.
    """

    kernel: Kernel
    rows: int
    buckets: int
    width: int
    seed: int = 0

    @property
    def folded(self) -> bool:
        """Whether different codes may share a bucket at random."""
        if self.kernel.kind == "angular":
            return 1 << self.kernel.concatenations > self.buckets
        return self.kernel.concatenations > 1

    @property
    def used_buckets(self) -> int:
        """B: as many as can be reached."""
        if self.kernel.kind == "angular" and not self.folded:
            return 1 << self.kernel.concatenations
        return self.buckets

    @cached_property
    def directions_PDR(self) -> Tensor:
        """Gaussian directions, float64."""
        shape = (self.kernel.concatenations, self.width, self.rows)
        normal: Tensor = torch.special.ndtri(self._uniform("directions", math.prod(shape)))
        return normal.reshape(shape)

    @cached_property
    def shifts_PR(self) -> Tensor:
        """Where the first piece of each line begins, in widths, [0, 1); of l2 hashes only."""
        shape = (self.kernel.concatenations, self.rows)
        return self._uniform("shifts", math.prod(shape)).reshape(shape)

    def codes(self, rows_BD: Tensor) -> Tensor:
        """The bucket of every row under every function, (R, B) int64."""
        step = max(1, ELEMENTS // self.rows)
        blocks = [self._codes(rows_BD[start : start + step]) for start in range(0, len(rows_BD), step)]
        return torch.cat(blocks, dim=1) if blocks else torch.empty(self.rows, 0, dtype=torch.int64)

    def _codes(self, rows_BD: Tensor) -> Tensor:
        codes_BR = torch.zeros(len(rows_BD), self.rows, dtype=torch.int64)
        mixed_BR = np.broadcast_to(self._salts_R, codes_BR.shape)
        for p in range(self.kernel.concatenations):
            projected_BR = rows_BD @ self.directions_PDR[p]
            if self.kernel.kind == "angular":
                code_BR = (projected_BR >= 0).long()
            else:
                code_BR = projected_BR.div_(self.kernel.width).add_(self.shifts_PR[p]).floor_().long()
            if self.folded:
                mixed_BR = combine(mixed_BR, code_BR.numpy().view(np.uint64))
            else:
                codes_BR = codes_BR.mul_(2).add_(code_BR)
        if self.folded:
            codes_BR = torch.from_numpy((mixed_BR >> np.uint64(1)).view(np.int64))
        return codes_BR.remainder_(self.used_buckets).T.contiguous()

    @property
    def _salts_R(self) -> UInt64Array:
        """Each function mixes in its own way: else codes that meet by chance would meet in all functions."""
        return hash64(derive_seed("race", "salts", self.seed), np.arange(self.rows))

    def _uniform(self, name: str, count: int) -> Tensor:
        """In (0, 1): the middle of the 2^53 values that ``uniform`` takes."""
        values = uniform(derive_seed("race", name, self.seed), np.arange(count)) + 2.0**-54
        return torch.from_numpy(np.minimum(values, 1 - 2.0**-53))


@lru_cache(maxsize=4)
def make_hashes(kernel: Kernel, rows: int, buckets: int, width: int, seed: int) -> Hashes:
    """The functions, whose random numbers are made once and shared by all batches."""
    return Hashes(kernel, rows, buckets, width, seed)
