"""Batches of similar length: padding is most of the cost of naive batches on real text."""

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def plan_batches(
    lengths_N: npt.NDArray[np.integer],
    batch_size: int,
    max_tokens: int | None = None,
    sort: bool = True,
) -> list[IntArray]:
    """Rows 0..N-1 cut into batches, longest first so that a lack of memory shows at once.

    A batch holds at most ``batch_size`` rows and at most ``max_tokens`` padded tokens, but at least one row.
    ``sort=False`` keeps the given order (the naive plan that benchmarks compare against).
    """
    lengths = np.asarray(lengths_N)
    order = np.argsort(-lengths, kind="stable") if sort else np.arange(len(lengths))
    batches: list[IntArray] = []
    start = 0
    while start < len(order):
        stop = min(start + batch_size, len(order))
        if max_tokens is not None:
            widest = np.maximum.accumulate(lengths[order[start:stop]])
            padded = widest * np.arange(1, stop - start + 1)
            stop = start + max(1, int(np.searchsorted(padded, max_tokens, side="right")))
        batches.append(order[start:stop].astype(np.int64))
        start = stop
    return batches
