"""A product of powers: how a good hyper-parameter grows with model and data (Li et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from scoring.errors import bad_value
from training.laws.form import Form, Parameter, Values


def power_product(inputs: Sequence[str] = ("N", "D")) -> Form:
    """y = k prod_i x_i^(e_i), a plane in logarithms; the exponents are called ``e_N``, ``e_D`` after the inputs."""
    names = tuple(inputs)
    if isinstance(inputs, str) or not names or len(set(names)) < len(names):
        raise bad_value("inputs", "power_product", inputs, "a list of different names, at least one")

    def formula(p: Values, x: Values) -> torch.Tensor:
        total: torch.Tensor = p.ln_k + sum(p[f"e_{name}"] * x[f"ln_{name}"] for name in names)
        return total

    return Form(
        "power_product",
        names,
        (
            Parameter("k", starts=(1.0,), units={"y": 1, **{name: f"-e_{name}" for name in names}}),
            *(Parameter(f"e_{name}", scale="linear", low=-20.0, high=20.0, starts=(0.0,)) for name in names),
        ),
        formula,
    )
