"""How to spend compute when unique data are few: the best model size and number of epochs, with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from scoring.errors import InputError, bad_value
from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.line_minimum import line_minimum
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.delta_method import delta_interval
from training.laws.uncertainty.interval import Interval


@dataclass(frozen=True)
class Allocation:
    """The best N and epochs for the compute ``C`` = 6 N D and ``U`` unique tokens, D = U epochs, and the loss there."""

    C: float
    U: float
    N: Interval
    epochs: Interval
    loss: Interval


def allocate(law: Fit | Bootstrap, C: float, U: float, level: float = 0.95) -> Allocation:
    """Where a fitted :func:`~training.laws.forms.repetition.data_constrained` is least on 6 N D = C.

    With more unique tokens than are worth using, epochs are below 1 and the answer is Chinchilla's; with fewer, model
    and epochs grow together (Muennighoff et al. 2023, section 5). Found numerically. Intervals are of the bootstrap
    where one is given, else of the delta method; NaN where the loss falls to one end, that of one parameter or token.
    """
    for name, value in (("C", C), ("U", U)):
        if not (value > 0 and np.isfinite(value)):
            raise bad_value(name, "allocate", value, "above 0")
    form = (law.fitted if isinstance(law, Bootstrap) else law).form
    if form.inputs != ("N", "D", "epochs"):
        raise InputError(f"form {form.name}: it does not say what repetition costs; fit data_constrained.")
    ln_ND = float(np.log(C / 6))

    def loss_at(p: Mapping[str, Array], ln_D: Array) -> Array:
        inputs = {"N": np.exp(ln_ND - ln_D), "D": np.exp(ln_D), "epochs": np.exp(ln_D) / U}
        return form.ln_prediction(p, inputs)

    def ln_tokens(p: Mapping[str, Array]) -> Array:
        low = torch.zeros(np.shape(p["A"]), dtype=torch.float64)
        found = line_minimum(lambda ln_D: torch.from_numpy(loss_at(p, ln_D.numpy())), low, low + ln_ND)
        return np.asarray(found.numpy())

    def interval(quantity: Callable[[Mapping[str, Array]], Array]) -> Interval:
        if isinstance(law, Bootstrap):
            return law.derived(quantity, level)
        return delta_interval(law, quantity, level)

    return Allocation(
        C,
        U,
        interval(lambda p: np.exp(ln_ND - ln_tokens(p))),
        interval(lambda p: np.exp(ln_tokens(p)) / U),
        interval(lambda p: np.exp(loss_at(p, ln_tokens(p)))),
    )
