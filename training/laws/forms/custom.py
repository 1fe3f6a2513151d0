"""The user's own law, written as an arithmetic expression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import torch

from scoring.errors import InputError
from training.laws.expression import parsed
from training.laws.form import Form, Parameter, Values

STARTS = (0.01, 1.0, 100.0)


def custom(
    expression: str,
    inputs: Sequence[str],
    parameters: Sequence[Parameter] | None = None,
    name: str = "custom",
) -> Form:
    """A law from text, ``custom("E + A / N^alpha", ["N"])``; every other name is a parameter.

    ``parameters`` states scales, bounds, starts and units of some of them; the others are positive, on the log scale,
    without units, between 1e-12 and 1e12, started at 0.01, 1 and 100. Where no units are declared inputs are used as
    they are given, so the starts have to suit their size. The expression must be positive; where it is not, parameters
    are refused.
    """
    read = parsed(expression)
    unknown = [column for column in inputs if column not in read.names]
    if unknown:
        raise InputError(f"custom law: {unknown[0]!r} is an input but does not stand in {expression!r}.")
    stated: Mapping[str, Parameter] = {p.name: p for p in parameters or ()}
    names = [word for word in read.names if word not in inputs]
    absent = [word for word in stated if word not in names]
    if absent:
        raise InputError(f"custom law: {absent[0]!r} is a parameter but does not stand in {expression!r}.")

    def formula(p: Values, x: Values) -> torch.Tensor:
        return torch.log(read({word: (x if word in inputs else p)[word] for word in read.names}))

    chosen = tuple(stated.get(word, Parameter(word, starts=STARTS)) for word in names)
    recipe = {
        "name": name,
        "expression": expression,
        "inputs": list(inputs),
        "parameters": [asdict(p) for p in stated.values()],
    }
    return Form(name, tuple(inputs), chosen, formula, recipe=recipe)
