"""Space: embeddings scaled to length 1, reduced to their main directions, and scaled to length 1 again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST = 1e-6
"""Shorter than that, what is left of a row of length 1 is rounding, and no direction."""
BLOCK = 8192


@dataclass(frozen=True, eq=False)
class Space:
    """Scales rows to length 1, subtracts ``centre_D``, projects on ``axes_DP`` and scales again.

    Small directions are noise in which all distances are alike; without them, rare and frequent topics differ more.

    The centre is 0 unless asked for. Embeddings of some encoders point into one narrow cone, and centring widens it.
    But where one topic dominates, the mean lies inside it: centred and scaled again, its rows point into all directions
    and look rare, while small topics look dense, the reverse of what they are.

    The result has P + 1 coordinates. A row without a direction (zeros, or the centre itself) gets the last one for
    itself, at right angles to all others, so that equal rows are equal, whatever they are.
    """

    centre_D: Tensor
    axes_DP: Tensor

    @classmethod
    def of(cls, sample_MD: Tensor, dims: int, centre: bool = False) -> Space:
        """The ``dims`` principal directions of a sample about the centre; fewer where it has not so many."""
        from scipy.linalg import eigh

        width = sample_MD.shape[1]
        blocks = [sample_MD[start : start + BLOCK] for start in range(0, len(sample_MD), BLOCK)]
        centre_D = torch.zeros(width, dtype=torch.float64)
        if centre:
            centre_D = torch.stack([unit(block).sum(0) for block in blocks]).sum(0) / len(sample_MD)
        products_DD = torch.zeros(width, width, dtype=torch.float64)
        for block in blocks:
            shifted_BD = unit(block) - centre_D
            products_DD += shifted_BD.T @ shifted_BD
        kept = min(dims, width)
        sizes, axes = eigh(products_DD.numpy() / len(sample_MD), subset_by_index=[width - kept, width - 1])
        return cls(centre_D, torch.from_numpy(axes[:, sizes > SMALLEST**2].copy()))

    def place(self, rows_BD: Tensor) -> Tensor:
        """Rows as points, (B, P + 1) float64, each of length 1."""
        placed_BP = (unit(rows_BD) - self.centre_D) @ self.axes_DP
        lengths_B1 = placed_BP.square().sum(1, keepdim=True).sqrt()
        nowhere_B1 = lengths_B1 <= SMALLEST
        unit_BP = torch.where(nowhere_B1, 0.0, placed_BP / torch.where(nowhere_B1, 1.0, lengths_B1))
        return torch.cat([unit_BP, nowhere_B1.double()], dim=1)


def unit(rows_BD: Tensor) -> Tensor:
    """Rows scaled to length 1, float64; zeros stay zeros."""
    wide_BD = rows_BD.double()
    lengths_B1 = wide_BD.square().sum(1, keepdim=True).sqrt()
    return wide_BD / torch.where(lengths_B1 > 0, lengths_B1, 1.0)
