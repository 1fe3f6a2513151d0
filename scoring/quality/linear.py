"""Logistic regression as plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.quality.features import Features, FloatArray

BoolArray = npt.NDArray[np.bool_]

GRID = (0.1, 1.0, 10.0, 100.0)
"""Values of c that ``best_c`` tries."""


@dataclass(frozen=True)
class LinearClassifier:
    """Log-odds of good = intercept + weights . features, dense ones first scaled as those it was fitted to."""

    mean_D: FloatArray
    scale_D: FloatArray
    dense_D: FloatArray
    hashed_K: FloatArray
    intercept: float

    def log_odds(self, features: Features) -> FloatArray:
        """ln P(good) / P(bad), (B,)."""
        scaled_BD = (features.dense_BD - self.mean_D) / self.scale_D
        # row by row, so that the other rows of a batch do not change how a sum is ordered
        dense_B = (scaled_BD * self.dense_D).sum(axis=1)
        return np.asarray(dense_B + features.hashed_BK @ self.hashed_K + self.intercept)


def fit_linear(features: Features, good_M: BoolArray, c: float) -> LinearClassifier:
    """Logistic regression with an L2 penalty: least sum of squared weights / 2 + ``c`` sum of log losses.

    Dense features are standardised and divided by the root of their number, so that a document is about as long in them
    as in hashed ones, and one ``c`` suits both. The intercept is not penalised. By scikit-learn (L-BFGS).
    """
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    dense_MD = features.dense_BD
    mean_D, scale_D = dense_MD.mean(axis=0), dense_MD.std(axis=0)
    scale_D = np.where(scale_D > 1e-12 * (1 + np.abs(mean_D)), scale_D, 1.0) * np.sqrt(
        max(1, dense_MD.shape[1])
    )
    scaled_MD = (dense_MD - mean_D) / scale_D
    whole, hashed_MK = scaled_MD, features.hashed_BK
    occur = np.unique(hashed_MK.indices)  # the other columns have weight 0
    if len(occur):
        whole = sparse.hstack([sparse.csr_matrix(scaled_MD), hashed_MK[:, occur]], format="csr")
    if not whole.shape[1]:
        whole = np.zeros((len(good_M), 1))
    model = LogisticRegression(C=c, max_iter=10_000, tol=1e-5).fit(whole, good_M)
    weights, width = model.coef_[0].astype(np.float64), len(mean_D)
    hashed_K = np.zeros(hashed_MK.shape[1])
    hashed_K[occur] = weights[width : width + len(occur)]
    return LinearClassifier(mean_D, scale_D, weights[:width], hashed_K, float(model.intercept_[0]))


def best_c(features: Features, good_M: BoolArray, fold_M: npt.NDArray[np.int64]) -> float:
    """The value of ``GRID`` with the least log loss on parts that were left out; the smaller one of equals."""

    def loss(c: float) -> float:
        total = 0.0
        for fold in np.unique(fold_M):
            out = fold_M == fold
            if len(np.unique(good_M[~out])) < 2:
                continue
            log_odds = fit_linear(features.take(~out), good_M[~out], c).log_odds(features.take(out))
            total += float(np.logaddexp(0, np.where(good_M[out], -log_odds, log_odds)).sum())
        return total

    return min(GRID, key=loss)


Fit = Callable[[Features, BoolArray], LinearClassifier]
