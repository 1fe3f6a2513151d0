"""Class imbalance: some classes keep all of their rows, others few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.hashing import derive_seed
from scoring.order import hash_order
from training.interventions.counts import check_rate, class_counts, class_names, labels_of, nearest_count
from training.interventions.intervention import Intervened

OWNER = "imbalance"
Profile = Literal["exponential", "step"]


@dataclass(frozen=True)
class Imbalance:
    """Classes keep different shares of their rows; which rows is a hash of (seed, id).

    Attributes:
        factor: rho >= 1, how many times the share of the first class is that of the last. In the ``exponential``
            profile class i of C keeps rho^(-i / (C - 1)) of its rows (Cui et al. 2019, section 5.1: n_i mu^i).
        profile: ``exponential`` (long-tailed), or ``step`` (Buda et al. 2018): the last classes keep 1 / rho, the
            others all.
        minority: The share of classes that a step takes from, to the nearest whole number of classes.
        order: Class names from head to tail, those left out last in their own order; ``random`` is the order of a hash
            of (seed, class name); by default that of the classes.
        shares: Instead of a factor, the share of its rows that each named class keeps; the others keep all.

    Counts are rounded to the nearest, ties up (the authors' code cuts off), and a class that has rows keeps one at
    least. With the same seed and order, a higher factor keeps a subset of what a lower one keeps. Nothing is planted.
    """

    factor: float | None = None
    profile: Profile = "exponential"
    minority: float = 0.5
    order: Sequence[str] | str | None = None
    shares: Mapping[str, float] | None = None

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        labels = labels_of(examples, OWNER)
        before = np.bincount(labels, minlength=examples.num_classes)
        kept = np.zeros(len(examples), dtype=bool)
        for label, share in enumerate(self._shares(examples, seed)):
            rows = np.flatnonzero(labels == label)
            rows = rows[hash_order(examples.ids[rows], derive_seed(OWNER, seed))]
            kept[rows[: max(1, nearest_count(round(float(share), 12), int(before[label])))]] = True
        rows = np.flatnonzero(kept)
        after = examples.take(rows)
        left = np.bincount(labels[rows], minlength=examples.num_classes)
        told = {
            "name": OWNER, "rows": len(rows), "removed": len(examples) - len(rows),
            "factor": float(left[left > 0].max() / left[left > 0].min()),
            "classes": class_counts(labels[rows], examples.label_names),
        }  # fmt: skip
        return Intervened(after, np.zeros(len(rows), dtype=bool), (told,), (), rows)

    def _shares(self, examples: Examples, seed: int) -> npt.NDArray[np.float64]:
        """What every class keeps, (C,)."""
        names = examples.label_names
        if (self.factor is None) == (self.shares is None):
            raise InputError(f"{OWNER}: give either factor or shares.")
        if self.shares is not None:
            return self._given(names)
        if (
            isinstance(self.factor, bool)
            or not isinstance(self.factor, int | float)
            or not 1 <= self.factor < float("inf")
        ):
            raise bad_value("factor", OWNER, self.factor, "a number of at least 1")
        if self.profile not in get_args(Profile):
            raise unknown_name("profile", OWNER, str(self.profile), get_args(Profile))
        check_rate(self.minority, OWNER, "minority")
        classes = len(names)
        if self.profile == "step":
            few = nearest_count(self.minority, classes)
            by_rank = np.where(np.arange(classes) < classes - few, 1.0, 1 / self.factor)
        else:
            by_rank = self.factor ** (-np.arange(classes) / max(1, classes - 1))
        shares = np.empty(classes)
        shares[self._ranked(names, seed)] = by_rank
        return shares

    def _given(self, names: tuple[str, ...]) -> npt.NDArray[np.float64]:
        if not isinstance(self.shares, Mapping):
            raise bad_value("shares", OWNER, self.shares, "shares by class, such as {cat: 0.1}")
        shares = np.ones(len(names))
        for name, share in self.shares.items():
            if str(name) not in names:
                raise unknown_name("class", OWNER, str(name), names)
            if not isinstance(share, int | float) or not 0 < share <= 1:
                raise bad_value(f"the share of {name}", OWNER, share, "above 0 and at most 1")
            shares[names.index(str(name))] = share
        return shares

    def _ranked(self, names: tuple[str, ...], seed: int) -> npt.NDArray[np.int64]:
        """Class indices from head to tail."""
        if self.order is None:
            return np.arange(len(names))
        if self.order == "random":
            return hash_order(np.array(names, dtype=object), derive_seed("imbalance order", seed))
        first = class_names(self.order, OWNER, "order")
        for name in first:
            if name not in names:
                raise unknown_name("a class of order", OWNER, name, names)
        if len(set(first)) < len(first):
            raise InputError(f"{OWNER}: order must not repeat a class.")
        ranked = [*first, *(name for name in names if name not in first)]
        return np.array([names.index(name) for name in ranked], dtype=np.int64)
