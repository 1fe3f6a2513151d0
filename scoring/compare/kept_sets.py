"""How much two kept sets have in common: Jaccard's index of the hardest examples, and what chance gives."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats


def kept_count(keep: float, rows: int) -> int:
    """How many examples the share ``keep`` is: rounded half up, at least one."""
    return max(1, int(np.floor(keep * rows + 0.5)))


def jaccard(common: npt.ArrayLike, kept: int) -> Floats:
    """|A and B| / |A or B| of two sets of ``kept`` examples with so many in common: c / (2 k - c).

    ``common`` is the expected number where ties at the cut are broken at random, in each set by itself.
    """
    shared = np.asarray(common, dtype=np.float64)
    found: Floats = shared / (2 * kept - shared)
    return found


def jaccard_by_chance(kept: int, rows: int) -> float:
    """Jaccard's index of the expected overlap k^2 / N of two independent sets: k / (2 N - k)."""
    return kept / (2 * rows - kept)
