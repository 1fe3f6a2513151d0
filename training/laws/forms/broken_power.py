"""Broken neural scaling law (Caballero et al. 2023, equation 1): powers joined by smooth breaks."""

from __future__ import annotations

import torch

from scoring.errors import bad_value
from training.laws.form import Form, Parameter, Values

BREAK_STARTS = ((0.3, 3.0), (1.0, 5.0), (10.0,))


def broken_power(breaks: int = 1) -> Form:
    """y = a + b x^-c0 prod_i (1 + (x / d_i)^(1 / f_i))^(-c_i f_i), with 1 to 3 breaks at d_i of sharpness f_i."""
    if breaks not in (1, 2, 3):
        raise bad_value("breaks", "broken_power", breaks, "1, 2 or 3")
    parameters = [
        Parameter("a", scale="linear", low=0.0, high=1e6, starts=(0.0, 0.5), units={"y": 1}),
        Parameter("b", starts=(0.2, 0.8), units={"x": "c0", "y": 1}),
        Parameter("c0", scale="linear", low=-20.0, high=20.0, starts=(0.0, 0.3)),
    ]
    for i in range(1, breaks + 1):
        parameters += [
            Parameter(f"c{i}", scale="linear", low=-20.0, high=20.0, starts=(0.3, -0.3)),
            Parameter(f"d{i}", starts=BREAK_STARTS[i - 1], units={"x": 1}),
            Parameter(f"f{i}", scale="linear", low=0.02, high=10.0, starts=(0.3,)),
        ]

    def formula(p: Values, x: Values) -> torch.Tensor:
        log = p.ln_b - p.c0 * x.ln_x
        for i in range(1, breaks + 1):
            softened = torch.nn.functional.softplus((x.ln_x - p[f"ln_d{i}"]) / p[f"f{i}"])
            log = log - p[f"c{i}"] * p[f"f{i}"] * softened
        return torch.log(p.a + torch.exp(log))

    return Form(f"broken_power_{breaks}", ("x",), tuple(parameters), formula)
