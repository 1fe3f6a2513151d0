"""A sample of rows that does not depend on order or shards: those with the lowest hash of (seed, id)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from scoring.density.checks import check_finite
from scoring.hashing import Ids, hash64

Sums = Mapping[str, Tensor]


def keys_of(ids_B: Ids, seed: int) -> Tensor:
    """Hash of (seed, id) as int64 in the same order, (B,)."""
    return torch.from_numpy((hash64(seed, ids_B) ^ np.uint64(1 << 63)).view(np.int64))


def first_look(rows_BD: Tensor, ids_B: Ids, seed: int, most: int) -> dict[str, Tensor]:
    """``keys`` (m,) ascending and ``rows`` (m, D) of the sample, and how many rows there were in ``count``.

    Raises:
        InputError: An embedding is not finite.
    """
    check_finite(rows_BD, ids_B)
    keys_B = keys_of(ids_B, seed)
    order = keys_B.argsort(stable=True)[:most]
    return {"keys": keys_B[order], "rows": rows_BD[order], "count": torch.tensor(len(rows_BD))}


def merged(a: Sums, b: Sums, most: int) -> dict[str, Tensor]:
    """The sample of both parts: the lowest keys of the two samples."""
    keys = torch.cat([a["keys"], b["keys"]])
    order = keys.argsort(stable=True)[:most]
    count = a["count"] + b["count"]
    kept = len(a["keys"])
    if len(order) == kept and bool((order < kept).all()):  # nothing new: the rows need not be copied
        return {"keys": a["keys"], "rows": a["rows"], "count": count}
    return {"keys": keys[order], "rows": torch.cat([a["rows"], b["rows"]])[order], "count": count}
