"""Chinchilla (Hoffmann et al. 2022, approach 3, equation 2): what model size and data each leave over."""

from __future__ import annotations

import torch

from training.laws.form import Form, Parameter, Values

FLOOR = Parameter("E", scale="linear", low=0.0, high=1e6, starts=(0.2, 0.7), units={"y": 1})


def chinchilla() -> Form:
    """L = E + A / N^alpha + B / D^beta; ``chinchilla().tied(beta="alpha")``, ``.frozen(E=1.69)`` for the variants.

    The prediction is the log-sum-exp of ln E, ln A - alpha ln N and ln B - beta ln D. E itself is the fitted parameter,
    not ln E, so that a law without a floor lies at a bound and says so.
    """
    return Form(
        "chinchilla",
        ("N", "D"),
        (
            Parameter("A", starts=(0.05, 0.3), units={"N": "alpha", "y": 1}),
            Parameter("B", starts=(0.05, 0.3), units={"D": "beta", "y": 1}),
            FLOOR,
            Parameter("alpha", scale="linear", low=0.0, high=10.0, starts=(0.2, 0.6)),
            Parameter("beta", scale="linear", low=0.0, high=10.0, starts=(0.2, 0.6)),
        ),
        _ln_loss,
        inverses={
            "N": lambda p, x, y: (p.A / (y - p.E - p.B * x.D**-p.beta)) ** (1 / p.alpha),
            "D": lambda p, x, y: (p.B / (y - p.E - p.A * x.N**-p.alpha)) ** (1 / p.beta),
        },
        optimum=_optimum,
    )


def _ln_loss(p: Values, x: Values) -> torch.Tensor:
    # in reduced units and within the bounds no term can overflow, so the maximum need not be taken out first
    return torch.log(p.E + torch.exp(p.ln_A - p.alpha * x.ln_N) + torch.exp(p.ln_B - p.beta * x.ln_D))


def _optimum(p: Values, C: torch.Tensor) -> torch.Tensor:
    """N* = G (C / 6)^(beta / (alpha + beta)), G = (alpha A / (beta B))^(1 / (alpha + beta)) (equation 4)."""
    total = p.alpha + p.beta
    ln_G = (torch.log(p.alpha / p.beta) + p.ln_A - p.ln_B) / total
    return torch.exp(ln_G + p.beta / total * torch.log(C / 6))
