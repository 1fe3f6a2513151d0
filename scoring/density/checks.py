"""What options and embeddings must be."""

from __future__ import annotations

from torch import Tensor

from scoring.errors import InputError, bad_value
from scoring.hashing import Ids


def check_counts(owner: str, scorer: object, **least: int) -> None:
    """Refuse options of a scorer that are no whole numbers, or smaller than their ``least``."""
    for name, smallest in least.items():
        value = getattr(scorer, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < smallest:
            raise bad_value(name, owner, value, f"a whole number from {smallest}")


def check_finite(rows_BD: Tensor, ids_B: Ids) -> None:
    """Refuse embeddings with NaN or infinity."""
    bad_B = ~rows_BD.isfinite().all(dim=1)
    if bad_B.any():
        first = ids_B[int(bad_B.nonzero()[0, 0])]
        raise InputError(
            f"score: the embedding of document {first!s} is not finite, so its density is not known; embed it again, "
            "or leave the document out."
        )
