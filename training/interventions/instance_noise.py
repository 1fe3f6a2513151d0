"""Label errors where the input is ambiguous: rows that a model hesitates over, to the class it confuses them with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.hashing import derive_seed, uniform
from scoring.order import ordered
from training.interventions.ambiguity import FOLDS, cross_fitted
from training.interventions.counts import check_rate, labels_of, nearest_count
from training.interventions.intervention import Intervened
from training.interventions.label_noise import noisy
from training.interventions.noisy_labels import NoisyLabels

OWNER = "instance_noise"
Form = Literal["I", "II", "III"]


@dataclass(frozen=True)
class InstanceNoise:
    """Exactly ``rate`` of the labels become the class that the input could be mistaken for, ambiguous inputs first.

    Polynomial-margin diminishing (PMD) noise, Zhang et al. 2021 ("Learning with Feature-Dependent Label Noise: A
    Progressive Approach"), section 4.1. With m the margin eta_y(x) - eta_s(x) between the class y of a row and the
    most probable other class s, a label turns into s in proportion to

        I: 1/2 - m^2 / 2        II: 1 - m^3        III: 1 - (m^3 + m^2 + m) / 3

    Deliberate differences: eta comes from cross-fitted linear models of the given labels (``ambiguity.cross_fitted``)
    and not from a network that has seen the row; y is the row's own label and not the model's first choice, and where
    the model prefers another class m counts as 0; and the number of flips is exact, where the authors flip each row
    independently with the probability scaled to the wanted rate. It is a draw without replacement with these weights
    (Efraimidis and Spirakis 2006: the lowest of -ln(u) / weight, u = hash(seed, id)), so a lower rate flips a subset of
    what a higher rate flips, to the same classes; at high rates the chances level off.

    Attributes:
        rate: Share of all rows.
        form: Which of the three; I depends most on the margin.
        folds: Of the cross-fitting.
    """

    rate: float
    form: Form = "I"
    folds: int = FOLDS

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        labels = labels_of(examples, OWNER)
        check_rate(self.rate, OWNER)
        if isinstance(self.folds, bool) or not isinstance(self.folds, int):
            raise bad_value("folds", OWNER, self.folds, "a whole number of at least 2")
        if self.form not in get_args(Form):
            raise unknown_name("form", OWNER, str(self.form), get_args(Form))
        if examples.num_classes < 2 or not 2 <= self.folds <= len(examples):
            raise InputError(
                f"{OWNER}: there must be two classes, and folds from 2 to the number of rows, got {self.folds} folds, "
                f"{len(examples):,} rows and {examples.num_classes} classes."
            )
        eta_NC = cross_fitted(examples, seed, self.folds)
        margin_N, other_N = margins(eta_NC, labels)
        weight_N = flip_weights(margin_N, self.form)
        draw_N = 1 - uniform(derive_seed(OWNER, seed), examples.ids)  # in (0, 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            key_N = np.where(weight_N > 0, -np.log(draw_N) / weight_N, np.inf)
        hashes_N = (draw_N * 2.0**53).astype(np.uint64)
        chosen = ordered(key_N, examples.ids, hashes_N)[: nearest_count(self.rate, len(examples))]
        changed = labels.copy()
        changed[chosen] = other_N[chosen]
        return noisy(
            OWNER, examples, NoisyLabels(examples.with_labels(changed), changed != labels), self.rate
        )


def margins(
    eta_NC: npt.NDArray[np.float64], labels_N: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """max(0, eta_y - eta_s) and s, the most probable class other than y (the first of equals), (N,) both."""
    rows = np.arange(len(labels_N))
    others_NC = eta_NC.copy()
    others_NC[rows, labels_N] = -np.inf
    other_N = others_NC.argmax(axis=1)
    return np.maximum(0.0, eta_NC[rows, labels_N] - eta_NC[rows, other_N]), other_N


def flip_weights(margin_N: npt.NDArray[np.float64], form: Form) -> npt.NDArray[np.float64]:
    """tau of PMD noise at margins in [0, 1], (N,)."""
    m = margin_N
    if form == "I":
        return 0.5 - m**2 / 2
    return 1 - m**3 if form == "II" else 1 - (m**3 + m**2 + m) / 3
