"""Kaplan et al. 2020, equation 1.5, and the same with a floor (Brandfonbrener et al. 2024; Fang et al. 2024)."""

from __future__ import annotations

import torch

from training.laws.form import Form, Parameter, Values
from training.laws.forms.chinchilla import FLOOR

LOWEST = 1e-60
"""A and B are what the terms are raised from, (A / N)^alpha: small exponents make them very small."""


def kaplan_offset() -> Form:
    """L = E + ((A / N)^(alpha / beta) + B / D)^beta."""
    return Form(
        "kaplan_offset",
        ("N", "D"),
        (
            Parameter("A", low=LOWEST, starts=(0.02, 0.2), units={"N": 1, "y": "1 / alpha"}),
            Parameter("B", low=LOWEST, starts=(0.02, 0.2), units={"D": 1, "y": "1 / beta"}),
            FLOOR,
            Parameter("alpha", scale="linear", low=0.01, high=10.0, starts=(0.2, 0.6)),
            Parameter("beta", scale="linear", low=0.01, high=10.0, starts=(0.2, 0.6)),
        ),
        lambda p, x: torch.log(p.E + torch.exp(_ln_reducible(p, x))),
        inverses={
            "N": lambda p, x, y: p.A * ((y - p.E) ** (1 / p.beta) - p.B / x.D) ** (-p.beta / p.alpha),
            "D": lambda p, x, y: p.B / ((y - p.E) ** (1 / p.beta) - (p.A / x.N) ** (p.alpha / p.beta)),
        },
        optimum=_optimum,
    )


def kaplan() -> Form:
    """L = ((A / N)^(alpha / beta) + B / D)^beta: A is N_c, B is D_c, alpha_N = alpha, alpha_D = beta of the paper."""
    with_floor = kaplan_offset()
    return Form(
        "kaplan",
        ("N", "D"),
        tuple(p for p in with_floor.parameters if p.name != "E"),
        _ln_reducible,
        inverses={
            "N": lambda p, x, y: p.A * (y ** (1 / p.beta) - p.B / x.D) ** (-p.beta / p.alpha),
            "D": lambda p, x, y: p.B / (y ** (1 / p.beta) - (p.A / x.N) ** (p.alpha / p.beta)),
        },
        optimum=_optimum,
    )


def _ln_reducible(p: Values, x: Values) -> torch.Tensor:
    return p.beta * torch.logaddexp(p.alpha / p.beta * (p.ln_A - x.ln_N), p.ln_B - x.ln_D)


def _optimum(p: Values, C: torch.Tensor) -> torch.Tensor:
    """Where the derivative of (A / N)^r + 6 B N / C is zero, r = alpha / beta: N*^(1 + r) = r A^r C / (6 B)."""
    r = p.alpha / p.beta
    return torch.exp((torch.log(r) + r * p.ln_A + torch.log(C / 6) - p.ln_B) / (1 + r))
