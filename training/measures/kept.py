"""What a selection kept: every class' share against before, and the planted rows among it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from training.measures.classification import Measure


def kept_measures(
    labels_N: npt.NDArray[np.int64],
    label_names: Sequence[str],
    kept_K: npt.NDArray[np.int64],
    planted_N: npt.NDArray[np.bool_],
) -> list[Measure]:
    """Measures of the rows ``kept_K`` among N.

    ``representation`` of a class is (share among the kept) / (share among all) - 1: -1 where nothing was kept, 0 where
    the class kept its share (Anand et al. 2023, section 5); a class without rows has none. ``planted`` is the share of
    planted rows among the kept.

    Raises:
        InputError: Nothing was kept, so there are no shares.
    """
    if len(kept_K) == 0:
        raise InputError("measures: nothing was kept, so no class has a share of it.")
    before = np.bincount(labels_N, minlength=len(label_names)) / len(labels_N)
    after = np.bincount(labels_N[kept_K], minlength=len(label_names)) / len(kept_K)
    found = [
        Measure(f"class:{name}", "representation", float(after[label] / before[label] - 1))
        for label, name in enumerate(label_names)
        if before[label] > 0
    ]
    return [*found, Measure("", "planted", float(planted_N[kept_K].mean()))]
