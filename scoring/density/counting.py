"""Counts of hashed rows as sums that merge: a table of counts for many rows, their codes as they are for a few.

A table may be far larger than the codes of a batch; adding one per batch would cost more than hashing it.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Sums = Mapping[str, Tensor]


def of_codes(codes_RB: Tensor) -> dict[str, Tensor]:
    """Codes of B rows, as a sum: ``codes`` (B, R) int32, and no ``counts`` yet."""
    return {"codes": codes_RB.T.int(), "counts": torch.empty(0, 0, dtype=torch.int64)}


def merged(a: Sums, b: Sums, buckets: int) -> dict[str, Tensor]:
    """Of the rows of both; codes become counts once they are as many as the ``buckets`` of a function."""
    codes_NR = torch.cat([a["codes"], b["codes"]])
    tables = [each["counts"] for each in (a, b) if each["counts"].numel()]
    counts_RB = tables[0] + tables[1] if len(tables) == 2 else (tables or [a["counts"]])[0]
    both = {"codes": codes_NR, "counts": counts_RB}
    if len(codes_NR) < buckets:
        return both
    return {"codes": codes_NR[:0], "counts": table(both, buckets)}


def table(sums: Sums, buckets: int) -> Tensor:
    """How many rows each function put into each bucket, (R, buckets) int64."""
    codes_NR, counts_RB = sums["codes"], sums["counts"]
    if counts_RB.numel():
        counts_RB = counts_RB.clone()
    else:
        counts_RB = torch.zeros(codes_NR.shape[1], buckets, dtype=torch.int64)
    for codes_BR in torch.split(codes_NR, 1024):
        codes_RB = codes_BR.T.long()
        counts_RB.scatter_add_(1, codes_RB, torch.ones_like(codes_RB))
    return counts_RB
