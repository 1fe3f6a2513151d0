"""What the runs of several architectures predict for the same examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.hashing import Ids


@dataclass(frozen=True)
class Predictions:
    """Probabilities of every run, memory-mapped or in memory.

    Attributes:
        ids: (N,).
        labels_N: gold classes, (N,) int64, or None.
        label_names: names of the C classes.
        runs: architecture -> names of its runs.
        probabilities: architecture -> (R, N, C) float32 or float64; rows sum to 1.
    """

    ids: Ids
    labels_N: npt.NDArray[np.int64] | None
    label_names: Sequence[str]
    runs: Mapping[str, Sequence[str]]
    probabilities: Mapping[str, npt.NDArray[np.floating]]
