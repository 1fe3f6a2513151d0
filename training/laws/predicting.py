"""What a saved law says of runs that were not made: losses, what it takes to reach a loss, the best size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, unknown_name
from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.inputs import RULES, complete, derivable
from training.laws.law_file import SavedLaw
from training.laws.measured_range import inside, reach
from training.laws.uncertainty.bootstrap import Bootstrap, bootstrap
from training.laws.uncertainty.delta_method import is_known
from training.laws.uncertainty.interval import Interval, level_checked

ROUNDED = 0.01
"""Inputs that follow from each other may differ by this share."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of K runs with the ends of their intervals, and which lie among the runs the law was fitted to.

    ``beyond_K`` is how many times the largest compute (or only input) of these runs each reaches; NaN where a law has
    no compute.
    """

    inputs: Mapping[str, Array]
    value_K: Array
    low_K: Array
    high_K: Array
    inside_K: npt.NDArray[np.bool_]
    beyond_K: Array
    level: float


def predict(
    law: SavedLaw, inputs: Mapping[str, npt.ArrayLike], *, level: float = 0.95, noise: bool = True
) -> Predictions:
    """The outcome of runs; ``noise``: the interval is for a new run, else for the law itself.

    Of N, D, C and M (and of D, U and epochs) any that follow from the others may be left out; they must not disagree.
    """
    form = law.fitted.form
    derived = ("N", "D", "C", "M", *(("U",) if "epochs" in form.inputs else ()))
    unknown = [name for name in inputs if name not in form.inputs and name not in derived]
    if unknown:
        raise unknown_name("input", f"the law {form.name}", unknown[0], form.inputs)
    columns = np.broadcast_arrays(*(np.atleast_1d(c) for c in complete(inputs, form.inputs).values()))
    given = {name: np.asarray(column, dtype=np.float64) for name, column in zip(form.inputs, columns)}
    for name, column in given.items():
        if not np.isfinite(column).all() or (name in form.scaled and not (column > 0).all()):
            raise InputError(f"predict: {name} must be finite and above 0, got {column.tolist()[:3]}.")
    _agree(inputs)
    value, low, high = _resampled(law).predict(given, level, noise)
    single = ({name: column[k : k + 1] for name, column in given.items()} for k in range(len(value)))
    beyond = np.array([reach(law.fitted, each)[1] for each in single])
    return Predictions(given, value, low, high, inside(law.fitted, given), beyond, level)


def solve_for(
    law: SavedLaw, wanted: str, y: float, inputs: Mapping[str, float] | None = None, *, level: float = 0.95
) -> Interval:
    """The value of one input at which the law reaches ``y``, the others given; NaN where it never does.

    A resample that never reaches ``y`` counts as beyond the end towards which it comes closest to it: a loss below its
    floor would need more than any D, an accuracy above its best a loss below all. Where that cannot be told, it
    counts as beyond both.
    """
    level_checked(level)
    form = law.fitted.form
    if wanted not in form.inputs:
        raise unknown_name("input", f"the law {form.name}", wanted, form.inputs)
    if wanted not in form.inverses:
        raise InputError(f"the law {form.name} cannot be solved for {wanted}.")
    others = {name: np.asarray(value, dtype=np.float64) for name, value in (inputs or {}).items()}
    for name in others:
        if name == wanted:
            raise InputError(f"solve_for: {wanted} is what is solved for and cannot be given.")
        if name not in form.inputs:
            raise unknown_name("input", f"the law {form.name}", name, form.inputs)
    missing = [name for name in form.inputs if name != wanted and name not in others]
    if missing:
        raise InputError(f"solve_for: {missing[0]} is missing; {wanted} depends on it.")
    resampled = _resampled(law)
    samples = form.inverse(wanted, resampled.samples, np.asarray(y), others)
    value = float(np.ravel(law.fitted.inverse(wanted, y, others))[0])
    if np.isfinite(value) and not is_known(law.fitted, lambda p: form.inverse(wanted, p, y, others)):
        return Interval(value, -np.inf, np.inf, level)
    samples = np.where(np.isnan(samples), _beyond(resampled, wanted, y, others), samples)
    tail = (1 - level) / 2
    low = float(np.quantile(np.where(np.isnan(samples), -np.inf, samples), tail, method="inverted_cdf"))
    high = float(np.quantile(np.where(np.isnan(samples), np.inf, samples), 1 - tail, method="inverted_cdf"))
    return Interval(value, low, high, level)


def _agree(inputs: Mapping[str, npt.ArrayLike]) -> None:
    """Raise where what was given follows from other inputs and is another number."""
    for name in inputs:
        others = {other: column for other, column in inputs.items() if other != name}
        if name not in RULES or not derivable(name, others):
            continue
        stated, follows = np.broadcast_arrays(
            np.asarray(inputs[name], float), complete(others, (name,))[name]
        )
        if not np.allclose(stated, follows, rtol=ROUNDED, atol=0):
            raise InputError(
                f"predict: {name} = {stated.flat[0]:.6g} was given, but {follows.flat[0]:.6g} follows from the others "
                "(C = 6 N D, M = D / N, epochs = D / U); leave one of them out."
            )


def _beyond(law: Bootstrap, wanted: str, y: float, others: Mapping[str, Array]) -> Array:
    """Where every resample (B,) that does not reach ``y`` would look for it: plus or minus infinity, NaN if unknown."""
    own = law.fitted.inputs[wanted]
    first, last = (
        law.fitted.form.ln_prediction(law.samples, {**others, wanted: np.asarray(end)})
        for end in (own.min(), own.max())
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        ln_y = np.log(y)
    side = np.where(ln_y > np.maximum(first, last), 1.0, np.where(ln_y < np.minimum(first, last), -1.0, 0.0))
    towards = side * np.sign(last - first)
    return np.where(towards > 0, np.inf, np.where(towards < 0, -np.inf, np.nan))


def _resampled(law: SavedLaw) -> Bootstrap:
    return bootstrap(law.fitted) if law.resampled is None else law.resampled


def measured(fitted: Fit) -> dict[str, tuple[float, float]]:
    """The smallest and largest value of every input among the runs."""
    return {name: (float(column.min()), float(column.max())) for name, column in fitted.inputs.items()}
