"""Agreement of scores within runs, between runs, between architectures, and of scores averaged over runs.

Kwok et al. 2024 (arXiv 2401.01867) compare scores that come from the same run, from different runs, and after averaging
over runs. Within a run two scores also share what happened in that run; between runs they share only what the
examples are, and the diagonal is the reliability of a score. Corrected values (``attenuation``) say how the two would
agree without the noise of runs. All intervals are 95 %, over examples and runs (``crossed_error``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.compare.agreement.attenuation import disattenuated
from scoring.compare.agreement.averaged import averaged_correlations, mean_of_runs
from scoring.compare.agreement.cell_correlations import cell_correlations
from scoring.compare.agreement.kendall import MOST_ROWS as KENDALL_ROWS
from scoring.compare.agreement.kendall import hashed_rows, tau_b_matrix
from scoring.compare.agreement.run_pairs import RunPairs
from scoring.compare.intervals.crossed_error import Estimates, estimate, jackknife_variance
from scoring.compare.intervals.spearman_error import (
    MOST_ROWS,
    mean_influences,
    standard_ranks,
    variance_of_mean,
)
from scoring.compare.kept_sets import jaccard, jaccard_by_chance
from scoring.compare.ranks import Floats, chance_in_top
from scoring.compare.run_scores import RunScores


@dataclass(frozen=True)
class Corrected:
    """Correlations between runs, (G, G), raw and corrected for attenuation.

    Attributes:
        between: Mean Spearman correlation of g in one run and h in another; the diagonal is the reliability of single
            runs. NaN where there are no two runs.
        corrected: ``between`` corrected, not cut at 1; 1 on the diagonal. NaN where a reliability is too low, and
            where the whole interval lies above 1.
        impossible: The latter, (G, G) bool: the errors of two runs are not independent.
    """

    between: Estimates
    corrected: Estimates
    impossible: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Averaged:
    """Agreement of C averaged columns, (C, C): scores of one architecture, or one score in several."""

    rho: Estimates
    """Spearman."""
    kendall: Floats
    """Tau-b over ``kendall_rows`` examples."""
    kendall_rows: int
    jaccard: Floats
    """Of the ``kept`` hardest."""
    kept: int
    jaccard_chance: float


@dataclass(frozen=True)
class CellAgreement:
    """Agreement of S scores in the runs of one architecture; matrices are (S, S) in the order of ``names``."""

    architecture: str
    names: tuple[str, ...]
    runs: int
    averaged: Averaged
    within: Estimates | None
    """Mean Spearman correlation of two scores of the same run; None with one run, as all below."""
    between: Corrected | None
    jaccard_within: Floats | None
    jaccard_between: Floats | None


@dataclass(frozen=True)
class AcrossAgreement:
    """Agreement of one score between A architectures; matrices are (A, A) in the order of ``architectures``."""

    score: str
    architectures: tuple[str, ...]
    averaged: Averaged
    single: Corrected
    """A run of one against a run of the other; reliabilities and corrected values need two runs of both."""


def cell_agreement(
    scores: RunScores, architecture: str, *, keep: float = 0.3, seed: int = 0
) -> CellAgreement:
    """How the scores of one architecture agree; ``keep`` is the share of hardest examples whose sets are compared."""
    cells = cell_correlations(scores, keep)
    pairs, common = cells.rho[architecture], cells.common[architecture]
    rows = hashed_rows(scores.ids, MOST_ROWS, seed)
    means, z_CN = _read(scores, [(score, architecture) for score in scores.scores], rows)
    averaged = _averaged(scores, means, pairs, cells.kept, rows, seed)
    runs = len(scores.runs[architecture])
    if runs < 2:
        return CellAgreement(architecture, scores.scores, runs, averaged, None, None, None, None)
    influence = mean_influences(z_CN, pairs.block_C, pairs.run_C, True)
    jaccard_within = jaccard(common.within(), cells.kept)
    np.fill_diagonal(jaccard_within, 1.0)
    return CellAgreement(
        architecture=architecture,
        names=scores.scores,
        runs=runs,
        averaged=averaged,
        within=_estimate(pairs.within(), influence, pairs.replicates(pairs.within), len(scores)),
        between=between_estimates(pairs, z_CN, len(scores)),
        jaccard_within=jaccard_within,
        jaccard_between=jaccard(common.between(), cells.kept),
    )


def across_agreement(scores: RunScores, score: str, *, keep: float = 0.3, seed: int = 0) -> AcrossAgreement:
    """How one score agrees between the architectures, of which there must be at least two."""
    cells, names = cell_correlations(scores, keep), scores.architectures
    rows = hashed_rows(scores.ids, MOST_ROWS, seed)
    means, z_CN = _read(scores, [(score, name) for name in names], rows)
    return AcrossAgreement(
        score=score,
        architectures=names,
        averaged=_averaged(scores, means, cells.across[score], cells.kept, rows, seed),
        single=between_estimates(cells.across[score], z_CN, len(scores)),
    )


def corrected_estimates(
    between: Floats, influence: Floats, replicates: Sequence[Floats], examples: int
) -> Estimates:
    """Correlations corrected for attenuation with intervals, (G, G), by the delta method and the jackknife.

    Args:
        between: Means between runs, reliabilities on the diagonal.
        influence: Of every example on them, (G, G, n).
        replicates: Without one run each, (R, G, G) for every set of runs.
        examples: N.
    """
    found = _correct(between)
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = influence / between[:, :, None]
        own = np.einsum("ggn->gn", relative)
        moved = (relative - own[:, None] / 2 - own / 2) * found[:, :, None]
    return estimate(
        found,
        variance_of_mean(moved, examples),
        examples,
        [(jackknife_variance(np.stack([_correct(one) for one in each])), len(each)) for each in replicates],
        bounded=False,
    )


def _correct(between: Floats) -> Floats:
    own = np.diagonal(between)
    return disattenuated(between, own[:, None], own)


def between_estimates(pairs: RunPairs, z_CN: Floats, examples: int) -> Corrected:
    """Correlations between runs with intervals; ``z_CN`` are standard ranks of the same columns, of some examples."""
    between, replicates = pairs.between(), pairs.replicates(pairs.between)
    influence = mean_influences(z_CN, pairs.block_C, pairs.run_C, False)
    corrected = corrected_estimates(between, influence, replicates, examples)
    impossible = corrected.low > 1 + 1e-9
    return Corrected(
        between=_estimate(between, influence, replicates, examples),
        corrected=Estimates(
            *(
                np.where(impossible, np.nan, each)
                for each in (corrected.values, corrected.low, corrected.high)
            )
        ),
        impossible=impossible,
    )


def _estimate(values: Floats, influence: Floats, replicates: Sequence[Floats], examples: int) -> Estimates:
    over_runs = [(jackknife_variance(each), len(each)) for each in replicates]
    return estimate(values, variance_of_mean(influence, examples), examples, over_runs)


def _read(
    scores: RunScores, cells: Sequence[tuple[str, str]], rows: npt.NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Means over runs of some (score, architecture), (C, N), and standard ranks of all their runs on some rows."""
    means, sampled = [], []
    for score, architecture in cells:
        values = scores.values(score, architecture)
        means.append(mean_of_runs(values))
        sampled.append(values[:, rows])
    return np.stack(means), standard_ranks(np.concatenate(sampled))


def _averaged(
    scores: RunScores,
    means_CN: Floats,
    pairs: RunPairs,
    kept: int,
    rows: npt.NDArray[np.int64],
    seed: int,
) -> Averaged:
    few = hashed_rows(scores.ids, KENDALL_ROWS, seed)
    sets = np.stack([chance_in_top(values, kept) for values in means_CN])
    overlap = jaccard(sets @ sets.T, kept)
    np.fill_diagonal(overlap, 1.0)
    return Averaged(
        rho=averaged_correlations(means_CN, pairs, rows).estimates(),
        kendall=tau_b_matrix(means_CN[:, few]),
        kendall_rows=len(few),
        jaccard=overlap,
        kept=kept,
        jaccard_chance=jaccard_by_chance(kept, len(scores)),
    )
