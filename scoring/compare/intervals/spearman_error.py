"""Standard errors of Spearman correlations over examples: the influence of every example, ties included.

Spearman's correlation is a functional of the joint distribution of two columns; its influence function has a term for
the example's own ranks, two for the ranks that it shifts, and one for the spread of the ranks where there are ties.
The mean square of the influences over N is the variance of the estimate (Hampel 1974; the infinitesimal jackknife).
Because the influence of a mean of correlations is the mean of influences, it costs one sort per column, whatever the
number of pairs.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scoring.compare.agreement.rank_gram import centred_ranks
from scoring.compare.ranks import Floats

MOST_ROWS = 4096
"""Of more examples a sample by hash gives the variance of one example's influence, to about 3 %."""

Ints = npt.NDArray[np.int64]


def standard_ranks(values_CN: Floats) -> Floats:
    """Ranks of every column (row of the array) with mean 0 and variance 1, (C, N); NaN where it is constant."""
    ranks = np.stack([centred_ranks(values) for values in values_CN])
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = ranks / np.sqrt((ranks**2).mean(axis=1, keepdims=True))
    return found


def mean_influences(z_CN: Floats, block_C: Ints, run_C: Ints, same_run: bool) -> Floats:
    """Influence of every example on the mean correlation between two blocks of columns, (G, G, N); mean 0 over N.

    The mean is over the pairs of a column of block g and one of block h that come from the same run (``same_run``), or
    from different runs; NaN where there is none.

    Args:
        z_CN: ``standard_ranks`` of C columns.
        block_C: 0..G-1, which block a column belongs to (a score, say).
        run_C: The run it comes from; a block has at most one column of a run.
    """
    blocks, runs = int(block_C.max()) + 1, int(run_C.max()) + 1
    columns, rows = z_CN.shape
    member_GC = np.zeros((blocks, columns))
    member_GC[block_C, np.arange(columns)] = 1
    of_run = np.full((runs, blocks), -1)
    of_run[run_C, block_C] = np.arange(columns)
    sums_GN = np.zeros((blocks, rows))
    np.add.at(sums_GN, block_C, z_CN)
    total_GGN = np.zeros((blocks, blocks, rows))
    products_GGN = np.zeros((blocks, blocks, rows))
    pairs_GG = np.zeros((blocks, blocks))
    for column in range(columns):
        own, partners = block_C[column], of_run[run_C[column]]
        partners_GN = np.where((partners >= 0)[:, None], z_CN[partners], 0.0)
        partner_GN = partners_GN if same_run else sums_GN - partners_GN
        pairs_GG[own] += (partners >= 0) if same_run else member_GC.sum(axis=1) - (partners >= 0)
        z = z_CN[column]
        shifted = _shifts(z, np.vstack([partner_GN, z]))
        spread = z**2 + 2 * shifted[-1] - 3
        rho_G = partner_GN @ z / rows
        total_GGN[own] += shifted[:-1] - 0.5 * rho_G[:, None] * spread
        products_GGN[own] += partner_GN * z
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = (
            products_GGN
            + total_GGN
            + total_GGN.transpose(1, 0, 2)
            - 3 * products_GGN.mean(axis=2, keepdims=True)
        ) / pairs_GG[:, :, None]
    return found


def _shifts(z_N: Floats, partners_MN: Floats) -> Floats:
    """How adding an example shifts the ranks of a column, felt through its partners, (M, N).

    E[sign(x' - x_k) y'] / (2 sigma) over the examples x', with sigma the deviation of the ranks scaled to (0, 1); the
    partners y have mean 0.
    """
    rows = len(z_N)
    order = np.argsort(z_N, kind="stable")
    ranked = z_N[order]
    new = np.append(True, ranked[1:] != ranked[:-1])
    group = np.cumsum(new) - 1
    first = np.flatnonzero(new)
    last = np.append(first[1:], rows)
    running = np.zeros((len(partners_MN), rows + 1))
    np.cumsum(partners_MN[:, order], axis=1, out=running[:, 1:])
    sizes = np.diff(np.append(first, rows)) / rows
    sigma = np.sqrt((1 - (sizes**3).sum()) / 12)
    by_group = (running[:, -1:] - running[:, last] - running[:, first]) / (2 * sigma * rows)
    found = np.empty_like(partners_MN)
    found[:, order] = by_group[:, group]
    return found


def variance_of_mean(influence: Floats, examples: int) -> Floats:
    """Variance of an estimate over ``examples`` from influences of some of them (..., n), (...)."""
    found: Floats = influence.var(axis=-1, ddof=1) / examples
    return found
