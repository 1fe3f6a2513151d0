"""Means over groups of runs, and how alike they rank and keep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.compare.agreement.rank_gram import centred_ranks, correlations
from scoring.compare.ranks import Bools, Floats, chance_in_top
from scoring.compare.reliability.run_groups import Groups, disjoint

FAR = 1e300
"""An infinity counts as more than any sum of numbers; an example that is infinite in more runs is the harder one."""


@dataclass(frozen=True)
class Compared:
    """Groups of one block against each other."""

    pairs_GG: Bools
    """Which pairs share no run, above the diagonal."""
    rho_GG: Floats
    """Spearman's correlation of their means; NaN where one is constant."""
    overlap_GG: Floats
    """Expected share of the kept set in common, ties at the cut broken at random."""
    by_lot_G: Floats
    """Share of the kept set that is drawn by lot."""
    tie_loss_G: Floats
    """Share of the variance of ranks that ties take: sum (t^3 - t) / (N^3 - N) over tied groups of t examples."""


def compare_groups(values_RN: Floats, groups_GK: Groups, kept: int) -> Compared:
    """Compare means over groups of K runs; ``values_RN`` without NaN and infinities, ``kept`` examples are kept."""
    if groups_GK.shape[1] == 1:
        sums_GN = values_RN.copy()
    else:
        sums_GN = np.stack([_tie_rounding(values_RN[group].sum(axis=0)) for group in groups_GK])
    chance_GN = np.stack([chance_in_top(sums, kept) for sums in sums_GN])
    overlap_GG = chance_GN @ chance_GN.T / kept
    drawn_GN = (chance_GN > 0) & (chance_GN < 1)
    lots_G = np.where(drawn_GN, chance_GN, 0).sum(axis=1)
    by_lot_G = np.minimum(lots_G, drawn_GN.sum(axis=1) - lots_G) / kept
    del chance_GN, drawn_GN
    for sums in sums_GN:
        sums[:] = centred_ranks(sums)
    gram, rows = sums_GN @ sums_GN.T, sums_GN.shape[1]
    tie_loss_G = 1 - 3 * np.diagonal(gram) / (rows**3 - rows)
    return Compared(disjoint(groups_GK), correlations(gram), overlap_GG, by_lot_G, tie_loss_G)


def _tie_rounding(sums_N: Floats) -> Floats:
    """Sums without their last 12 of 52 bits: those of 1/30 and 2/30, or 3/30 and 0, are to tie as counts do."""
    bits = np.ascontiguousarray(sums_N).view(np.int64)
    return np.asarray(((bits + (1 << 11)) & ~np.int64(0xFFF)).view(np.float64))
