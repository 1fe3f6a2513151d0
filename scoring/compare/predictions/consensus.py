"""What many runs agree on: ensembles and votes, consensus labels, dichotomous difficulty, suspected label errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.compare.ranks import Floats
from scoring.hashing import hash_ids

if TYPE_CHECKING:
    from scoring.compare.predictions.probabilities import Predictions

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Consensus:
    """Of N examples over all M runs, each with one vote, and over the runs of each of A architectures.

    Attributes:
        label_N: consensus label (Kwok et al. 2024): the class that most runs predict, ties to the lowest index, as the
            scorer ``consensus_label`` has it.
        votes_N: share of all runs that predict it.
        entropy_N: entropy of the mean probabilities over all runs, nats.
        ensemble_N: class of the largest mean probability over all runs.
        ensemble_AN, majority_AN: the same, and the majority vote, of every architecture's runs.
        right_N, right_AN: share of runs that are right; None without labels, as all that follows.
        label_probability_N: mean probability of the gold label over all runs.
    """

    label_N: Ints
    votes_N: Floats
    entropy_N: Floats
    ensemble_N: Ints
    ensemble_AN: Ints
    majority_AN: Ints
    right_N: Floats | None
    right_AN: Floats | None
    label_probability_N: Floats | None


def consensus(predictions: Predictions) -> Consensus:
    """What the runs agree on, in one pass over their probabilities."""
    rows, kinds, classes = len(predictions), len(predictions.runs), len(predictions.label_names)
    owner_M, labels_N = predictions.owner_M, predictions.labels_N
    starts = np.searchsorted(owner_M, np.arange(kinds))
    label_N, ensemble_N = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    votes_N, entropy_N = np.empty(rows), np.empty(rows)
    ensemble_AN, majority_AN = (np.empty((kinds, rows), dtype=np.int64) for _ in range(2))
    right_N = right_AN = probability_N = None
    if labels_N is not None:
        right_N, right_AN, probability_N = np.empty(rows), np.empty((kinds, rows)), np.empty(rows)
    for block, probabilities_MBC in predictions.blocks():
        predicted_MB = probabilities_MBC.argmax(axis=2)
        mean_BC = probabilities_MBC.mean(axis=0)
        counts_ABC = np.stack([_votes(predicted_MB[owner_M == kind], classes) for kind in range(kinds)])
        counts_BC = counts_ABC.sum(axis=0)
        label_N[block] = counts_BC.argmax(axis=1)
        votes_N[block] = counts_BC.max(axis=1) / len(owner_M)
        entropy_N[block] = -(mean_BC * np.log(np.where(mean_BC > 0, mean_BC, 1.0))).sum(axis=1)
        ensemble_N[block] = mean_BC.argmax(axis=1)
        ensemble_AN[:, block] = np.add.reduceat(probabilities_MBC, starts, axis=0).argmax(axis=2)
        majority_AN[:, block] = counts_ABC.argmax(axis=2)
        if labels_N is not None:
            assert right_N is not None and right_AN is not None and probability_N is not None
            right_MB = (predicted_MB == labels_N[block]).astype(np.float64)
            right_N[block] = right_MB.mean(axis=0)
            for kind in range(kinds):
                right_AN[kind, block] = right_MB[owner_M == kind].mean(axis=0)
            probability_N[block] = mean_BC[np.arange(len(mean_BC)), labels_N[block]]
    return Consensus(
        label_N, votes_N, entropy_N, ensemble_N, ensemble_AN, majority_AN, right_N, right_AN, probability_N
    )


def dichotomous(right_N: npt.ArrayLike) -> Ints:
    """Dichotomous data difficulty from the share of runs that are right: +1 all, -1 none, 0 some.

    Meding et al. 2022 ("Trivial or Impossible"), section 3; ``ddd`` of Kwok et al. 2024. High is easy.
    """
    share = np.asarray(right_N)
    found: Ints = (share == 1).astype(np.int64) - (share == 0).astype(np.int64)
    return found


def suspected_errors(found: Consensus, predictions: Predictions) -> Ints:
    """Rows whose consensus label is not the gold label, the most suspect first.

    Most votes first, then the lowest mean probability of the gold label, then by hash of the id. They are suspects, no
    more: classes that are truly hard to tell apart look the same.
    """
    assert predictions.labels_N is not None and found.label_probability_N is not None
    rows = np.flatnonzero(found.label_N != predictions.labels_N)
    keys = (hash_ids(predictions.ids[rows]), found.label_probability_N[rows], -found.votes_N[rows])
    ordered: Ints = rows[np.lexsort(keys)]
    return ordered


def _votes(predicted_RB: Ints, classes: int) -> Ints:
    """How many runs predict each class, (B, C)."""
    rows = predicted_RB.shape[1]
    cells = (np.arange(rows) * classes + predicted_RB).ravel()
    return np.bincount(cells, minlength=rows * classes).reshape(rows, classes)
