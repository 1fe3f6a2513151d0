"""How right single runs, their ensemble and their majority vote are, by architecture and over all runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scoring.compare.intervals.over_runs import Estimate, mean_over_runs
from scoring.compare.predictions.consensus import Consensus, dichotomous
from scoring.compare.ranks import Floats

if TYPE_CHECKING:
    from scoring.compare.predictions.probabilities import Predictions


@dataclass(frozen=True)
class VoteRecord:
    """Shares of the examples on which a group of runs is right, and dichotomous difficulty.

    Attributes:
        name: the architecture; None for all runs of all architectures, each with one vote.
        single: mean accuracy of single runs; the interval speaks of other runs. None for all runs: they are not
            draws of one kind.
        ensemble: of the class of the largest mean probability.
        majority: of the class that most runs predict.
        all_right, some_right, none_right: counts of ddd = +1, 0, -1.
        all_by_chance, none_by_chance: the counts to expect if runs were right independently of each other: products
            of accuracies (Meding et al. 2022).
    """

    name: str | None
    runs: int
    single: Estimate
    ensemble: float
    majority: float
    all_right: int
    some_right: int
    none_right: int
    all_by_chance: float
    none_by_chance: float


def vote_records(predictions: Predictions, found: Consensus, accuracy_M: Floats) -> list[VoteRecord]:
    """One record per architecture and, where there are several, one of all runs last."""
    labels_N, owner_M = predictions.labels_N, predictions.owner_M
    assert labels_N is not None and found.right_AN is not None and found.right_N is not None
    groups = [
        (name, owner_M == kind, found.ensemble_AN[kind], found.majority_AN[kind], found.right_AN[kind])
        for kind, name in enumerate(predictions.architectures)
    ]
    everyone = (None, owner_M >= 0, found.ensemble_N, found.label_N, found.right_N)
    records = []
    for name, members_M, ensemble_N, majority_N, right_N in [
        *groups,
        *([everyone] if len(groups) > 1 else []),
    ]:
        accuracies, ddd_N = accuracy_M[members_M], dichotomous(right_N)
        mean = Estimate(float(accuracies.mean())) if name is None else mean_over_runs(accuracies)
        records.append(
            VoteRecord(
                name=name,
                runs=int(members_M.sum()),
                single=mean.within(0, 1),
                ensemble=float((ensemble_N == labels_N).mean()),
                majority=float((majority_N == labels_N).mean()),
                all_right=int((ddd_N == 1).sum()),
                some_right=int((ddd_N == 0).sum()),
                none_right=int((ddd_N == -1).sum()),
                all_by_chance=float(np.prod(accuracies)) * len(labels_N),
                none_by_chance=float(np.prod(1 - accuracies)) * len(labels_N),
            )
        )
    return records
