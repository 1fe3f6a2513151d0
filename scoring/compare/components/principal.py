"""How much is one difficulty: principal components and one factor of ranked scores.

Kwok et al. 2024 rank every score, averaged over runs, and take principal components. Components explain the variance
of the scores, noise of each included; a factor explains only what they share. Both are of the Spearman matrix. Its
sampling error is that of all its entries jointly, over examples and runs (``averaged``); intervals come from matrices
drawn with that covariance, decomposed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scoring.compare.agreement.averaged import averaged_correlations, mean_of_runs
from scoring.compare.agreement.cell_correlations import cell_correlations
from scoring.compare.agreement.kendall import hashed_rows
from scoring.compare.components.one_factor import LEAST_SCORES, OneFactor, factor_loadings, one_factor
from scoring.compare.intervals.crossed_error import Estimates, estimate
from scoring.compare.intervals.spearman_error import MOST_ROWS
from scoring.compare.ranks import Floats
from scoring.compare.run_scores import RunScores
from scoring.hashing import derive_seed

NULL_DRAWS = 1000


@dataclass(frozen=True)
class Components:
    """Principal components and one factor of S scores of an architecture, averaged over runs, ranked; high = hard.

    Attributes:
        names: the S scores that take part.
        constant: scores that give every example the same value and do not.
        rho: (S, S) Spearman correlations.
        explained: (S,) shares of the variance, falling; they sum to 1.
        first_share: ``explained[0]`` with its interval, ().
        loadings: (S, S) correlation of score s (row) with component k (column); every column has a positive sum.
        first_loadings: the first column with intervals, (S,).
        to_99: fewest components that explain 99 % of the variance.
        chance: (S,) shares of which 95 % of unrelated scores stay below (parallel analysis, Horn 1965).
        beyond_chance: leading components above ``chance``.
        factor: None of fewer than 3 scores.
        factor_share: the factor's share of the variance with its interval, ().
        factor_loadings: with intervals, (S,).
    """

    architecture: str
    names: tuple[str, ...]
    constant: tuple[str, ...]
    runs: int
    rho: Floats
    explained: Floats
    first_share: Estimates
    loadings: Floats
    first_loadings: Estimates
    to_99: int
    chance: Floats
    beyond_chance: int
    factor: OneFactor | None
    factor_share: Estimates | None
    factor_loadings: Estimates | None


def components(
    scores: RunScores,
    architecture: str,
    among: Sequence[str] | None = None,
    *,
    keep: float = 0.3,
    resamples: int = 200,
    seed: int = 0,
) -> Components | None:
    """Components of the scores (or those ``among``) of one architecture; None where fewer than two of them vary.

    ``keep`` decides nothing here; with that of ``cell_agreement`` the correlations of runs are not measured twice.
    """
    chosen = scores.scores if among is None else tuple(among)
    averaged = {score: mean_of_runs(scores.values(score, architecture)) for score in chosen}
    names = tuple(score for score, values in averaged.items() if values.min() < values.max())
    if len(names) < 2:
        return None
    runs = cell_correlations(scores, keep).rho[architecture].only([scores.scores.index(n) for n in names])
    measured = averaged_correlations(
        np.stack([averaged[name] for name in names]), runs, hashed_rows(scores.ids, MOST_ROWS, seed)
    )
    rho, count = measured.rho, len(names)
    explained, loadings = principal_components(rho)
    chance = parallel_analysis(count, len(scores), seed)
    above = explained > chance
    numbers = [_numbers(rho[None])[0]]
    over_examples, over_runs = (
        _variances(rho, covariance, resamples, derive_seed("components", seed, part))
        for part, covariance in enumerate((measured.examples_covariance, measured.runs_covariance()))
    )
    sets = [(over_runs, len(each)) for each in measured.run_replicates]
    found = estimate(numbers[0], over_examples, len(scores), sets, bounded=False)
    shares, first, factor_share, factor = _parts(found, count)
    fits = count >= LEAST_SCORES
    return Components(
        architecture=architecture,
        names=names,
        constant=tuple(score for score in chosen if score not in names),
        runs=len(scores.runs[architecture]),
        rho=rho,
        explained=explained,
        first_share=shares,
        loadings=loadings,
        first_loadings=first,
        to_99=int(np.searchsorted(np.cumsum(explained), 0.99 - 1e-12)) + 1,
        chance=chance,
        beyond_chance=count if above.all() else int(np.argmin(above)),
        factor=one_factor(rho) if fits else None,
        factor_share=factor_share if fits else None,
        factor_loadings=factor if fits else None,
    )


def principal_components(rho_SS: Floats) -> tuple[Floats, Floats]:
    """Shares of the variance (S,), falling, and loadings (S, S) of a correlation matrix without NaN.

    A loading is the correlation of a score (row) with a component (column); every column has a positive sum.
    """
    values, vectors = np.linalg.eigh(rho_SS)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    loadings = vectors * np.sqrt(values)
    return values / len(rho_SS), loadings * np.where(loadings.sum(axis=0) < 0, -1, 1)


def parallel_analysis(scores: int, examples: int, seed: int = 0) -> Floats:
    """Shares of the variance that components of unrelated scores stay below 95 times of 100, (S,) (Horn 1965).

    Spearman correlations of unrelated scores have mean 0 and variance 1 / (N - 1), whatever the scores, and no
    correlation among each other; they are drawn as normal numbers with these moments, not by shuffling examples.
    """
    rng = np.random.default_rng(derive_seed("parallel analysis", seed))
    upper = np.triu_indices(scores, 1)
    drawn = np.zeros((NULL_DRAWS, scores, scores))
    drawn[:, *upper] = rng.normal(size=(NULL_DRAWS, len(upper[0]))) / np.sqrt(examples - 1)
    drawn = np.clip(drawn + drawn.transpose(0, 2, 1), -1, 1) + np.eye(scores)
    found: Floats = np.quantile(np.linalg.eigvalsh(drawn)[:, ::-1], 0.95, axis=0) / scores
    return found


def congruence(a: Floats, b: Floats) -> float:
    """Tucker's phi of two vectors of loadings, in [-1, 1]: their cosine.

    From .95 on factors count as equal, from .85 as fairly similar (Lorenzo-Seva and Ten Berge 2006).
    """
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _numbers(rho_BSS: Floats) -> Floats:
    """First share, first loadings, factor share, factor loadings of B matrices, (B, 2 + 2 S)."""
    values, vectors = np.linalg.eigh(rho_BSS)
    first = vectors[:, :, -1] * np.sqrt(values[:, -1:])
    first = first * np.where(first.sum(axis=1, keepdims=True) < 0, -1, 1)
    factor = factor_loadings(rho_BSS, 1e-6) if rho_BSS.shape[1] >= LEAST_SCORES else np.zeros_like(first)
    share = values[:, -1:] / rho_BSS.shape[1]
    return np.concatenate([share, first, (factor**2).mean(axis=1, keepdims=True), factor], axis=1)


def _variances(rho: Floats, covariance_PP: Floats, resamples: int, seed: int) -> Floats:
    """Of the numbers of ``_numbers``; NaN where some covariance is, as with a score that is constant in a run."""
    if np.isnan(covariance_PP).any():
        return np.full(2 + 2 * len(rho), np.nan)
    found: Floats = _numbers(_drawn(rho, covariance_PP, resamples, seed)).var(axis=0, ddof=1)
    return found


def _drawn(rho: Floats, covariance_PP: Floats, resamples: int, seed: int) -> Floats:
    """Correlation matrices around ``rho`` whose P entries have that covariance, (B, S, S).

    The normal numbers are made to have covariance 1 exactly, so that few draws give no error in what is linear; there
    are at least twice as many of them as entries.
    """
    values, vectors = np.linalg.eigh(covariance_PP)
    drawn_count = max(resamples, 2 * len(values))
    normal = np.random.default_rng(seed).normal(size=(drawn_count, len(values)))
    orthogonal, _ = np.linalg.qr(normal - normal.mean(axis=0))
    noise = orthogonal * np.sqrt(drawn_count - 1) * np.sqrt(np.maximum(values, 0)) @ vectors.T
    drawn = np.zeros((drawn_count, *rho.shape))
    drawn[:, *np.triu_indices(len(rho), 1)] = noise
    found: Floats = np.clip(rho + drawn + drawn.transpose(0, 2, 1), -1, 1)
    return found


def _parts(found: Estimates, count: int) -> list[Estimates]:
    """The numbers of ``_numbers`` again as shares in [0, 1] and loadings in [-1, 1]."""
    spans: list[tuple[int | slice, float]] = [
        (0, 0.0), (slice(1, count + 1), -1.0), (count + 1, 0.0), (slice(count + 2, None), -1.0),
    ]  # fmt: skip
    return [
        Estimates(*(np.clip(each[span], least, 1.0) for each in (found.values, found.low, found.high)))
        for span, least in spans
    ]
