"""How narrow the kernel should be, and how many anchors are enough: found on a sample of the corpus."""

from __future__ import annotations

import torch
from torch import Tensor

from scoring.density.kernel_sums import ELEMENTS, FLOOR, Anchors
from scoring.density.kernels import Kernel, power
from scoring.density.weights import effective_share

LADDER: tuple[int, ...] = (*range(1, 17), 18, 20, 22, 24, 26, 28, 30, 32, 36, 40, 44, 48, 56, 64)
"""Numbers of concatenated hashes that are tried."""
NEIGHBOUR = 1.0
"""Kernel sum over other rows that is worth one copy of the row."""
QUERIES = 2048
"""Rows of the sample whose sums are looked at."""
ANCHORS = (1_000, 2_000, 4_000, 8_000)
AGREEMENT = 0.98
"""Spearman correlation of the sums over anchors with those over other rows, at which anchors are enough."""


def shares_and_medians(sample_MP: Tensor, kernel: Kernel) -> list[tuple[float, float]]:
    """ESS / N of weights 1 / S in the sample, and the median of S over its other rows, for every rung of ``LADDER``."""
    queries_QP = sample_MP[:QUERIES]
    sums_LQ = torch.full((len(LADDER), len(queries_QP)), -1.0, dtype=torch.float64)  # without the row itself
    step = max(1, ELEMENTS // len(queries_QP))
    for start in range(0, len(sample_MP), step):
        base_QM = kernel.one_hash(queries_QP, sample_MP[start : start + step])
        powers_QM, reached = torch.ones_like(base_QM), 0
        for rung, concatenations in enumerate(LADDER):
            powers_QM *= power(base_QM, concatenations - reached)
            sums_LQ[rung] += powers_QM.sum(1)
            reached = concatenations
    means_LQ = (sums_LQ / max(1, len(sample_MP) - 1)).clamp(min=FLOOR)
    return [
        (effective_share(means_Q), float(sums_Q.median()))
        for means_Q, sums_Q in zip(means_LQ, sums_LQ, strict=True)
    ]


def concatenations_for(sample_MP: Tensor, kernel: Kernel, ess: float) -> int:
    """The widest kernel with ESS / N of at most ``ess``; where there is none, that with the smallest.

    Of those alone that leave the middle row of the sample at least ``NEIGHBOUR`` among the others: in a small or even
    corpus a kernel that is narrow enough for ``ess`` sees only who happens to have one near neighbour.
    """
    wide = [
        (share, concatenations)
        for concatenations, (share, median) in zip(LADDER, shares_and_medians(sample_MP, kernel), strict=True)
        if median >= NEIGHBOUR
    ]
    if not wide:
        return LADDER[0]
    return next((concatenations for share, concatenations in wide if share <= ess), min(wide)[1])


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
