"""One-factor analysis of a correlation matrix: how much of what scores share is one thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scoring.compare.ranks import Floats

LEAST_SCORES = 3
"""Of fewer scores one factor is not determined."""
ROUNDS = 1000
TOLERANCE = 1e-8
"""A matrix that is far from one factor may stop before; its residuals hardly change by then."""


@dataclass(frozen=True)
class OneFactor:
    """The single factor that explains the correlations of S scores best.

    Attributes:
        loadings: Correlation of every score with the factor, (S,); their sum is positive.
        uniquenesses: 1 - loadings^2, (S,): variance that a score shares with no other.
        share: Of the variance of all scores: mean of loadings^2.
        common_share: Of the variance that scores share: the largest eigenvalue of the correlation matrix with
            loadings^2 on its diagonal, over the sum of its positive ones (explained common variance, Ten Berge and
            Kiers 1991, here with the communalities of one factor). 1 if one factor explains all correlations.
        residual: Root mean square of the correlations that the factor leaves, off the diagonal.
        largest_residual: The largest of them, absolute.
        heywood: Some loading reached 1, its bound: the score is as good as the factor, or one factor does not fit.
    """

    loadings: Floats
    uniquenesses: Floats
    share: float
    common_share: float
    residual: float
    largest_residual: float
    heywood: bool


def one_factor(rho_SS: Floats) -> OneFactor:
    """Minimum residuals (Harman and Jones 1966): loadings l in [-1, 1] that minimise the squares of rho_ij - l_i l_j.

    ``rho_SS`` has at least 3 scores and no NaN. Unlike maximum likelihood this works where scores are copies of each
    other and the matrix is singular; it makes no statement about the probability of the data.
    """
    loadings = factor_loadings(rho_SS[None])[0]
    residual = (rho_SS - np.outer(loadings, loadings))[np.triu_indices(len(rho_SS), 1)]
    reduced = rho_SS.copy()
    np.fill_diagonal(reduced, loadings**2)
    eigenvalues = np.linalg.eigvalsh(reduced)
    positive = eigenvalues[eigenvalues > 0].sum()
    return OneFactor(
        loadings=loadings,
        uniquenesses=1 - loadings**2,
        share=float((loadings**2).mean()),
        common_share=float(eigenvalues[-1] / positive) if positive > 0 else float("nan"),
        residual=float(np.sqrt((residual**2).mean())),
        largest_residual=float(np.abs(residual).max()),
        heywood=bool((np.abs(loadings) >= 1 - 1e-6).any()),
    )


def factor_loadings(rho_BSS: Floats, tolerance: float = TOLERANCE) -> Floats:
    """Minimum-residual loadings of B correlation matrices at once, (B, S), each with a positive sum.

    One loading after the other is set to its best value given the others; the squares fall at every step.
    """
    assert rho_BSS.shape[1] >= LEAST_SCORES, "one factor needs three scores"
    values, vectors = np.linalg.eigh(rho_BSS)
    loadings = vectors[:, :, -1] * np.sqrt(np.maximum(values[:, -1:], 0))
    loadings = np.clip(loadings * np.where(loadings.sum(axis=1, keepdims=True) < 0, -1, 1), -1, 1)
    others_BSS = rho_BSS * (1 - np.eye(rho_BSS.shape[1]))
    moving = np.arange(len(loadings))
    for _ in range(ROUNDS):
        before, current, others = loadings[moving], loadings[moving], others_BSS[moving]
        for i in range(loadings.shape[1]):
            size = (current**2).sum(axis=1) - current[:, i] ** 2
            towards = (others[:, i] * current).sum(axis=1)
            current[:, i] = np.clip(towards / np.where(size > 0, size, 1.0), -1, 1)
        loadings[moving] = current
        moving = moving[np.abs(current - before).max(axis=1) >= tolerance]
        if not len(moving):
            break
    found: Floats = loadings * np.where(loadings.sum(axis=1, keepdims=True) < 0, -1, 1)
    return found
