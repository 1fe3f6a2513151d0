"""The best model size and token count for a compute budget, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scoring.errors import InputError, bad_value
from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.inputs import complete
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.delta_method import delta_interval
from training.laws.uncertainty.interval import Interval


@dataclass(frozen=True)
class Optimum:
    """The compute-optimal N*, D* = C / (6 N*) and loss at ``C``, and the exponents of N* ~ C^a, D* ~ C^(1 - a)."""

    C: float
    N: Interval
    D: Interval
    loss: Interval
    a: Interval

    @property
    def tokens_per_parameter(self) -> float:
        return self.D.value / self.N.value


def compute_optimal(law: Fit | Bootstrap, C: float, level: float = 0.95) -> Optimum:
    """Where a fitted law is least on 6 N D = C.

    For Chinchilla N* = G (C / 6)^a with a = beta / (alpha + beta) and G = (alpha A / (beta B))^(1 / (alpha + beta))
    (Hoffmann et al. 2022, equation 4); Kaplan's forms have the same exponent, over-training a = 1/2. Intervals are of
    the bootstrap where one is given, else of the delta method.
    """
    if not C > 0:
        raise bad_value("C", "compute_optimal", C, "above 0")
    fitted = law.fitted if isinstance(law, Bootstrap) else law
    form = fitted.form
    if form.optimum is None:
        raise InputError(f"the law {form.name} has no compute-optimal model size.")

    def size(p: Mapping[str, Array], budget: float = C) -> Array:
        return form.optimal_size(p, budget)

    def tokens(p: Mapping[str, Array]) -> Array:
        return C / (6 * size(p))

    def loss(p: Mapping[str, Array]) -> Array:
        found: Array = np.exp(form.ln_prediction(p, complete({"N": size(p), "D": tokens(p)}, form.inputs)))
        return found

    def exponent(p: Mapping[str, Array]) -> Array:
        found: Array = np.log(size(p, np.e * C) / size(p))
        return found

    def interval(quantity) -> Interval:  # type: ignore[no-untyped-def]
        with np.errstate(divide="ignore", invalid="ignore"):
            if isinstance(law, Bootstrap):
                return law.derived(quantity, level)
            return delta_interval(law, quantity, level)

    return Optimum(C, interval(size), interval(tokens), interval(loss), interval(exponent))
