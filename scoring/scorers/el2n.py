"""EL2N, the error vector of the softmax: Paul, Ganguli & Dziugaite 2021, "Deep Learning on a Data Diet"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from scoring.errors import bad_value, unknown_name
from scoring.meaning import Meaning
from scoring.scorer import Outputs, Row, Scorer, TrajectoryScorer
from scoring.signals import Signals, View

FORMS = ("norm", "brier", "l1")


def error_vectors(signals: Signals) -> Tensor:
    """p - onehot(y), (B, C); the gold entry as expm1(log p_y), exact where p_y is near 1."""
    index = signals.labels_B[:, None]
    return signals.probs_BC.scatter(1, index, torch.expm1(signals.log_probs_BC.gather(1, index)))


@dataclass(frozen=True)
class EL2N(Scorer):
    """Distance of the predicted distribution from the label; high means hard (or mislabelled).

    ``norm``: ||p - onehot(y)||_2 in [0, sqrt 2] (Paul et al. 2021, definition 2.2, and their data_diet code), in
    evaluation mode at an early checkpoint, averaged over runs; they use 10. ``brier``: its square, a sum of squares in
    [0, 2], as public re-implementations store it; equal ranks in one run, other ranks after averaging runs. ``l1``:
    sum of absolute errors in [0, 2] (data_diet's ``l1``).
    """

    form: Literal["norm", "brier", "l1"] = "norm"
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "labels"})
    meaning: ClassVar[Meaning] = "hard"
    default_steps: ClassVar[str] = "early"

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise unknown_name("form", "el2n", str(self.form), FORMS)

    def score(self, signals: Signals) -> Tensor:
        """Length of the error vector, (B,)."""
        errors_BC = error_vectors(signals)
        if self.form == "l1":
            return errors_BC.abs().sum(dim=1)
        squares_B = errors_BC.square().sum(dim=1)
        return squares_B if self.form == "brier" else squares_B.sqrt()


@dataclass(frozen=True)
class EL2NSum(TrajectoryScorer):
    """Sum of EL2N norms over the first presentations in training; high means hard.

    As Zheng et al. 2023 ("Coverage-centric Coreset Selection") compute EL2N: over the first 10 epochs, from the
    training-mode (augmented) forward passes of one run. Differs from their code: float64, where they keep fp16
    log-probabilities.
    """

    epochs: int = 10
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "labels"})
    meaning: ClassVar[Meaning] = "hard"
    view: ClassVar[View] = "presentation"
    state: ClassVar[Mapping[str, float]] = {"total": 0.0, "seen": 0.0}

    def __post_init__(self) -> None:
        if not isinstance(self.epochs, int) or isinstance(self.epochs, bool) or self.epochs < 1:
            raise bad_value("epochs", "el2n:ccs-sum", self.epochs, "a whole number from 1")

    def step(self, signals: Signals, row: Row) -> Row:
        """Add the norm while the example has been presented fewer than ``epochs`` times."""
        norms_B = error_vectors(signals).square().sum(dim=1).sqrt()
        early = row["seen"] < self.epochs
        return {"total": torch.where(early, row["total"] + norms_B, row["total"]), "seen": row["seen"] + 1}

    def final(self, row: Row) -> Outputs:
        """The sum."""
        return {"": row["total"]}
