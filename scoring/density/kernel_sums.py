"""Sums of a kernel over rows that are held in memory: all of a small corpus, or anchors drawn from a large one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scoring.density.kernels import Kernel

ELEMENTS = 1 << 20
"""Pairs in a block: it stays in the cache of a processor."""
FLOOR = 2.0**-40
"""The least mean kernel value, so that its inverse is finite: of a row without any other, or opposite to all."""


@dataclass(frozen=True, eq=False)
class Anchors:
    """M placed rows ``rows_MP`` with their ``keys_M``, ascending, that stand for a corpus.

    Where they are all of its rows, means are exact. Where they are a random part, a mean over M anchors estimates the
    mean over all rows without bias, with a variance of at most k (1 - k) / M for a mean kernel value k.
    """

    kernel: Kernel
    rows_MP: Tensor
    keys_M: Tensor

    def means(self, rows_BP: Tensor, keys_B: Tensor | None = None) -> Tensor:
        """Mean kernel value to all anchors but the row itself, (B,) float64, at least ``FLOOR``.

        ``keys_B`` tell which rows are anchors themselves; without them none is.
        """
        sums_B = torch.zeros(len(rows_BP), dtype=torch.float64)
        step = max(1, ELEMENTS // max(1, len(rows_BP)))
        for start in range(0, len(self.rows_MP), step):
            sums_B += self.kernel.between(rows_BP, self.rows_MP[start : start + step]).sum(1)
        counts_B = torch.full((len(rows_BP),), len(self.rows_MP))
        if keys_B is not None and len(self.keys_M):
            places_B = torch.searchsorted(self.keys_M, keys_B).clamp_(max=len(self.keys_M) - 1)
            own_B = self.keys_M[places_B] == keys_B
            sums_B -= own_B.double()  # a row has kernel value 1 to itself
            counts_B -= own_B.long()
        return (sums_B / counts_B.clamp(min=1)).clamp(min=FLOOR)
