"""Do two runs predict the same? Disagreement, total variation, shared errors, for every pair of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import pdist, squareform

from scoring.compare.intervals.over_runs import Estimate, mean_between, mean_of_pairs
from scoring.compare.ranks import Floats

if TYPE_CHECKING:
    from scoring.compare.predictions.probabilities import Predictions


@dataclass(frozen=True)
class PredictionAgreement:
    """Of every pair of M runs, over N examples; all matrices (M, M) are symmetric.

    Attributes:
        architectures: names.
        owner_M: which architecture each run belongs to; the runs of the first one come first.
        rows: N.
        disagreement_MM: share of examples whose predicted classes (argmax, ties to the lowest index) differ.
        variation_MM: mean total variation 1/2 sum_c |p_c - q_c|, from 0 (equal) to 1.
        kappa_MM: Cohen's kappa of the predicted classes (Cohen 1960): agreement beyond that of two runs that predict
            every class as often, but on other examples. NaN where both always predict one class.
        error_consistency_MM: Geirhos et al. 2020 (arXiv 2006.16736, eq. 1-3): kappa of being right or wrong. 0 where
            errors coincide as often as accuracies alone explain, 1 where the same examples are wrong, negative where
            other ones are. NaN where both are right, or wrong, everywhere. None without labels.
        accuracy_M: None without labels.
    """

    architectures: tuple[str, ...]
    owner_M: npt.NDArray[np.int64]
    rows: int
    disagreement_MM: Floats
    variation_MM: Floats
    kappa_MM: Floats
    error_consistency_MM: Floats | None
    accuracy_M: Floats | None

    def mean(self, matrix_MM: Floats, a: str, b: str) -> Estimate:
        """Mean of one of the matrices over pairs of runs of two architectures, or of different runs of one."""
        of_a, of_b = (self.owner_M == self.architectures.index(name) for name in (a, b))
        part = matrix_MM[np.ix_(of_a, of_b)]
        return mean_of_pairs(part) if a == b else mean_between(part)


def prediction_agreement(predictions: Predictions) -> PredictionAgreement:
    """Compare every pair of runs, reading a few MB of probabilities at a time; the time goes as M^2 N C."""
    runs, classes, rows = len(predictions.owner_M), len(predictions.label_names), len(predictions)
    labels_N = predictions.labels_N
    differ, apart = np.zeros(runs * (runs - 1) // 2), np.zeros(runs * (runs - 1) // 2)
    right_MM = np.zeros((runs, runs))
    counts_MC = np.zeros((runs, classes))
    for block, probabilities_MBC in predictions.blocks():
        predicted_MB = probabilities_MBC.argmax(axis=2)
        for run, predicted_B in enumerate(predicted_MB):
            counts_MC[run] += np.bincount(predicted_B, minlength=classes)
        size = predicted_MB.shape[1]
        if runs > 1:
            differ += np.rint(pdist(predicted_MB.astype(np.float64), "hamming") * size)
            apart += pdist(probabilities_MBC.reshape(runs, -1), "cityblock")
        if labels_N is not None:
            right_MB = (predicted_MB == labels_N[block]).astype(np.float64)
            right_MM += right_MB @ right_MB.T
    disagreement_MM = _square(differ, runs) / rows
    shares_MC = counts_MC / rows
    accuracy_M = None if labels_N is None else right_MM.diagonal() / rows
    return PredictionAgreement(
        architectures=predictions.architectures,
        owner_M=predictions.owner_M,
        rows=rows,
        disagreement_MM=disagreement_MM,
        variation_MM=_square(apart, runs) / (2 * rows),
        kappa_MM=_beyond_chance(1 - disagreement_MM, shares_MC @ shares_MC.T),
        error_consistency_MM=None if accuracy_M is None else error_consistency(right_MM / rows, accuracy_M),
        accuracy_M=accuracy_M,
    )


def error_consistency(both_right_MM: npt.ArrayLike, accuracy_M: npt.ArrayLike) -> Floats:
    """Kappa of being right, (M, M), from the share both are right on and the accuracies."""
    both, accuracy = np.asarray(both_right_MM, dtype=np.float64), np.asarray(accuracy_M, dtype=np.float64)
    sums = accuracy[:, None] + accuracy[None, :]
    observed = 1 - sums + 2 * both
    expected = 1 - sums + 2 * np.outer(accuracy, accuracy)
    return _beyond_chance(observed, expected)


def _beyond_chance(observed: Floats, expected: Floats) -> Floats:
    room = 1 - expected
    possible = room > 1e-12
    found: Floats = np.where(possible, (observed - expected) / np.where(possible, room, 1.0), np.nan)
    return found


def _square(pairs: Floats, runs: int) -> Floats:
    return np.asarray(squareform(pairs)) if runs > 1 else np.zeros((1, 1))
