"""Columns of runs as float64, and what follows from others: C = 6 N D, M = D / N, epochs = D / U."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.form import Array

SIX = 6.0
"""Compute of a training run as the literature counts it: C = 6 N D (Kaplan et al. 2020, equation 2.2)."""


RULES: dict[str, list[tuple[tuple[str, str], Callable[[Array, Array], Array]]]] = {
    "C": [(("N", "D"), lambda N, D: SIX * N * D)],
    "D": [
        (("N", "C"), lambda N, C: C / (SIX * N)),
        (("N", "M"), lambda N, M: N * M),
        (("U", "epochs"), lambda U, epochs: U * epochs),
    ],
    "N": [
        (("D", "C"), lambda D, C: C / (SIX * D)),
        (("D", "M"), lambda D, M: D / M),
        (("C", "M"), lambda C, M: np.sqrt(C / (SIX * M))),
    ],
    "M": [(("N", "D"), lambda N, D: D / N)],
    "epochs": [(("D", "U"), lambda D, U: D / U)],
    "U": [(("D", "epochs"), lambda D, epochs: D / epochs)],
}
"""What follows from which two others."""


def complete(inputs: Mapping[str, npt.ArrayLike], wanted: Sequence[str]) -> dict[str, Array]:
    """The wanted columns; of N, D, C = 6 N D and M = D / N any two that were given yield the others.

    Likewise of D, epochs and U = D / epochs, the unique tokens.
    """
    given = {name: np.asarray(column, dtype=np.float64) for name, column in inputs.items()}
    found = {name: _derive(name, given, frozenset()) for name in wanted}
    for name, column in found.items():
        if column is None:
            named = ", ".join(sorted(inputs))
            why = f"does not follow from {named}" if named else "nothing is known that it follows from"
            raise InputError(f"laws: the input {name!r} is missing and {why}.")
    return {name: column for name, column in found.items() if column is not None}


def derivable(name: str, inputs: Mapping[str, npt.ArrayLike]) -> bool:
    """Whether a column is given or follows from others."""
    return (
        _derive(name, {other: np.asarray(c, dtype=np.float64) for other, c in inputs.items()}, frozenset())
        is not None
    )


def _derive(name: str, given: Mapping[str, Array], asked: frozenset[str]) -> Array | None:
    if name in given or name in asked:
        return given.get(name)
    for sources, rule in RULES.get(name, []):
        first, second = (_derive(source, given, asked | {name}) for source in sources)
        if first is not None and second is not None:
            with np.errstate(
                divide="ignore", invalid="ignore"
            ):  # what is not finite is refused by its name later
                return rule(first, second)
    return None


def checked(inputs: Mapping[str, Array], y: Array, positive: Sequence[str], logs: bool) -> None:
    """Raise where columns differ in length, are not finite, or must be positive and are not."""
    for name, column in {**inputs, "y": y}.items():
        if column.shape != (len(y),) or column.ndim != 1:
            raise bad_value(name, "laws", column.shape, f"one number per run, ({len(y)},)")
        if not np.isfinite(column).all():
            raise InputError(
                f"laws: {name} is not finite for {int((~np.isfinite(column)).sum())} runs; drop them first."
            )
        must_be = name in positive or (name == "y" and logs)
        if must_be and not (column > 0).all():
            raise bad_value(name, "laws", float(column.min()), "above 0 for every run")
