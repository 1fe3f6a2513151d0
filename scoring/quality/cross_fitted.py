"""A classifier, and beside it one per fold that did not see the fold: documents it learned from are scored by these."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError
from scoring.hashing import UInt64Array, derive_seed, hash64
from scoring.quality.features import Features, FloatArray
from scoring.quality.linear import LinearClassifier, best_c, fit_linear
from scoring.quality.training_set import TrainingSet

IntArray = npt.NDArray[np.int64]

INNER_FOLDS = 5


class CrossFitted:
    """Classifiers of one training set; each is fitted when it is first needed.

    A document's fold is the hash of (seed, content), so copies are left out together. ``c`` None: chosen by
    ``best_c`` on the documents that the classifier may see.
    """

    def __init__(
        self, training: TrainingSet, features: Features, folds: int, c: float | None, seed: int, owner: str
    ) -> None:
        self.training, self.features, self.c, self.seed, self.owner = training, features, c, seed, owner
        self.fold_M = fold_of(training.content_M, folds, seed) if folds else None
        self._fitted: dict[int, LinearClassifier] = {}

    def log_odds(
        self, features: Features, content_B: UInt64Array, ids_B: UInt64Array | None
    ) -> tuple[FloatArray, FloatArray]:
        """ln P(good) / P(bad), (B,), and 1 where the document was left out of the fit, else 0."""
        fold_B = self.folds_of(content_B, ids_B)
        found_B = np.empty(len(fold_B))
        for fold in np.unique(fold_B).tolist():
            inside = fold_B == fold
            found_B[inside] = self.classifier(fold).log_odds(features.take(inside))
        return found_B, (fold_B >= 0).astype(np.float64)

    def folds_of(self, content_B: UInt64Array, ids_B: UInt64Array | None) -> IntArray:
        """The fold of the training document of the same content, else of the same id; -1 where there is none."""
        by_content, by_id = self._places
        found = [by_content.get(content, -1) for content in content_B.tolist()]
        if ids_B is not None:
            found = [by_id.get(each, -1) if fold < 0 else fold for fold, each in zip(found, ids_B.tolist())]
        return np.array(found, dtype=np.int64)

    def classifier(self, fold: int) -> LinearClassifier:
        """Fitted to all but one fold; to all for -1."""
        if fold not in self._fitted:
            rows = np.flatnonzero(np.ones(len(self.features)) if self.fold_M is None else self.fold_M != fold)
            good_M = self.training.good_M[rows]
            if good_M.all() or not good_M.any():
                raise InputError(
                    f"{self.owner}: every part of the target must hold good and bad documents, and one of "
                    f"{len(rows):,} does not; give more documents, or score its own without folds (folds=0)."
                )
            features = self.features.take(rows)
            inner = fold_of(self.training.content_M[rows], INNER_FOLDS, derive_seed("inner", self.seed))
            c = best_c(features, good_M, inner) if self.c is None else self.c
            self._fitted[fold] = fit_linear(features, good_M, c)
        return self._fitted[fold]

    @cached_property
    def _places(self) -> tuple[dict[int, int], dict[int, int]]:
        if self.fold_M is None:
            return {}, {}
        folds = self.fold_M.tolist()
        return dict(zip(self.training.content_M.tolist(), folds)), dict(
            zip(self.training.ids_M.tolist(), folds)
        )


def fold_of(content_M: UInt64Array, folds: int, seed: int) -> IntArray:
    """0 to ``folds`` - 1 by hash of (seed, content), (M,)."""
    return (hash64(derive_seed("folds", seed), content_M.view(np.int64)) % np.uint64(folds)).astype(np.int64)
