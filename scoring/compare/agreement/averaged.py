"""Scores averaged over runs, how their ranks correlate, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.compare.agreement.rank_gram import centred_ranks, correlations
from scoring.compare.agreement.run_pairs import RunPairs
from scoring.compare.intervals.crossed_error import Estimates, estimate, jackknife_variance
from scoring.compare.intervals.spearman_error import mean_influences, standard_ranks
from scoring.compare.ranks import Floats, average_ranks

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AveragedCorrelations:
    """Spearman correlations of C columns, each a score averaged over runs, and their covariances over draws.

    Attributes:
        rho: (C, C); NaN where a column is constant.
        examples_covariance: Over examples, of the P pairs above the diagonal, (P, P).
        run_replicates: The correlations of mean ranks without one run each, (R, C, C), for every set of at least 3
            runs. They stand for those of mean values, which would have to be ranked again R times.
        examples: N.
    """

    rho: Floats
    examples_covariance: Floats
    run_replicates: tuple[Floats, ...]
    examples: int

    @property
    def pairs(self) -> tuple[Ints, Ints]:
        """Rows and columns of the P pairs."""
        return np.triu_indices(len(self.rho), 1)

    def runs_covariance(self) -> Floats:
        """Jackknife covariance of the pairs over runs, (P, P); 0 where nothing is known of it."""
        total = np.zeros_like(self.examples_covariance)
        for each in self.run_replicates:
            chosen = each[:, *self.pairs]
            centred = chosen - chosen.mean(axis=0)
            total += centred.T @ centred * (len(each) - 1) / len(each)
        return total

    def estimates(self) -> Estimates:
        """The correlations with intervals, (C, C)."""
        over_examples = np.zeros_like(self.rho)
        over_examples[self.pairs] = np.diagonal(self.examples_covariance)
        return estimate(
            self.rho,
            over_examples + over_examples.T,
            self.examples,
            [(jackknife_variance(each), len(each)) for each in self.run_replicates],
        )


def mean_of_runs(values_RN: Floats) -> Floats:
    """Mean over the runs, (N,); where infinities of both signs meet, the mean of the ranks stands in.

    As in the authors' protocol values are averaged, then ranked. With an example that is +inf in one run and -inf in
    another there is no mean, and all examples get the mean of their ranks.
    """
    with np.errstate(invalid="ignore"):
        mean: Floats = values_RN.mean(axis=0)
    return np.stack([average_ranks(run) for run in values_RN]).mean(axis=0) if np.isnan(mean).any() else mean


def averaged_correlations(columns_CN: Floats, runs: RunPairs, rows: Ints) -> AveragedCorrelations:
    """Correlations of C averaged columns; ``runs`` are those of single runs.

    ``rows`` are the examples whose influence is measured, for the variance over examples.
    """
    ranks = np.stack([centred_ranks(values) for values in columns_CN])
    count = len(ranks)
    influence = mean_influences(
        standard_ranks(columns_CN[:, rows]), np.arange(count), np.zeros(count, np.int64), True
    )[np.triu_indices(count, 1)]
    covariance = np.atleast_2d(np.cov(influence)) if len(influence) else np.zeros((0, 0))
    return AveragedCorrelations(
        rho=correlations(ranks @ ranks.T),
        examples_covariance=covariance / columns_CN.shape[1],
        run_replicates=tuple(runs.replicates(runs.mean_ranks)),
        examples=columns_CN.shape[1],
    )
