"""The class-stratified baseline: any of the draw, every class in proportion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from scoring.hashing import uniform
from training.online.rule import Candidates, FloatArray


@dataclass(frozen=True)
class Stratified:
    """A random part of the draw in which every class has its share of the draw, up to rounding.

    Row r (from 0, in the order of the hashes) of a class with n rows stands at (r + u) / n, u uniform in [0, 1) once
    per class and update, and the lowest are taken: systematic sampling within classes. The start u keeps small classes
    alive; with 1/2 in its place a class with one row in the draw would never be chosen when less than half is kept.
    """

    needs: ClassVar[frozenset[str]] = frozenset()

    def values(self, candidates: Candidates) -> FloatArray:
        """See ``Rule``."""
        labels_L = candidates.labels_L
        order = np.lexsort((candidates.hashes_L, labels_L))
        classes, first, counts = np.unique(labels_L[order], return_index=True, return_counts=True)
        ranks = np.arange(len(labels_L)) - np.repeat(first, counts)
        starts = np.repeat(uniform(candidates.seed, classes), counts)
        values_L = np.empty(len(labels_L))
        values_L[order] = -(ranks + starts) / np.repeat(counts, counts)
        return values_L
