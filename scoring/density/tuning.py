"""How narrow the kernel should be, and how many anchors are enough: found on a sample of the corpus."""

from __future__ import annotations

import torch
from torch import Tensor

from scoring.density.kernel_sums import ELEMENTS, FLOOR, Anchors
from scoring.density.kernels import Kernel, power
from scoring.density.weights import effective_share

LADDER: tuple[int, ...] = (*range(1, 17), 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 56, 64)
"""Numbers of concatenated hashes that are tried."""
QUERIES = 2048
"""Rows of the sample whose sums are looked at."""
ANCHORS = (1_000, 2_000, 4_000, 8_000)
AGREEMENT = 0.98
"""Spearman correlation of the sums over anchors with those over other rows, at which anchors are enough."""


def effective_shares(sample_MP: Tensor, kernel: Kernel) -> list[float]:
    """ESS / N of weights 1 / S in the sample for every rung of the ``LADDER``."""
    queries_QP = sample_MP[:QUERIES]
    sums_LQ = torch.zeros(len(LADDER), len(queries_QP), dtype=torch.float64)
    step = max(1, ELEMENTS // len(queries_QP))
    for start in range(0, len(sample_MP), step):
        base_QM = kernel.one_hash(queries_QP, sample_MP[start : start + step])
        powers_QM, reached = torch.ones_like(base_QM), 0
        for rung, concatenations in enumerate(LADDER):
            powers_QM *= power(base_QM, concatenations - reached)
            sums_LQ[rung] += powers_QM.sum(1)
            reached = concatenations
    means_LQ = ((sums_LQ - 1) / max(1, len(sample_MP) - 1)).clamp(min=FLOOR)
    return [effective_share(means_Q) for means_Q in means_LQ]


def concatenations_for(sample_MP: Tensor, kernel: Kernel, ess: float) -> int:
    """The widest kernel with ESS / N of at most ``ess``; where there is none, that with the smallest."""
    shares = effective_shares(sample_MP, kernel)
    for concatenations, share in zip(LADDER, shares):
        if share <= ess:
            return concatenations
    return LADDER[shares.index(min(shares))]


def anchors_for(sample_MP: Tensor, kernel: Kernel) -> int:
    """How many anchors give sums in the order of those over as many other rows; the most there can be, else.

    Sums over two disjoint parts of a sample agree less with each other than either with the sum over all rows.
    """
    from scipy.stats import spearmanr

    queries_QP, rest_MP = sample_MP[-QUERIES:], sample_MP[:-QUERIES]
    for count in ANCHORS:
        if 2 * count > len(rest_MP):
            break
        some, others = rest_MP[:count], rest_MP[count:]
        ours, theirs = (Anchors(kernel, rows, torch.empty(0)).means(queries_QP) for rows in (some, others))
        if spearmanr(ours.numpy(), theirs.numpy()).statistic >= AGREEMENT:
            return count
    return ANCHORS[-1]
