"""Loss from loss (Brandfonbrener et al. 2024): a power law between what two losses have above their floors."""

from __future__ import annotations

import torch

from training.laws.form import Form, Parameter


def shifted_power() -> Form:
    """y = K (x - E0)^kappa + E1; usually with E0, and often E1, frozen at the floors of laws fitted before."""
    return Form(
        "shifted_power",
        ("x",),
        (
            Parameter("K", starts=(0.3, 1.0), units={"x": "-kappa", "y": 1}),
            Parameter("kappa", scale="linear", low=0.0, high=20.0, starts=(0.5, 1.0, 1.5)),
            Parameter("E0", scale="linear", low=0.0, high=1e6, starts=(0.0, 0.4), units={"x": 1}),
            Parameter("E1", scale="linear", low=0.0, high=1e6, starts=(0.0, 0.4), units={"y": 1}),
        ),
        lambda p, x: torch.log(p.E1 + torch.exp(p.ln_K + p.kappa * torch.log(x.x - p.E0))),
        inverses={"x": lambda p, x, y: p.E0 + ((y - p.E1) / p.K) ** (1 / p.kappa)},
    )
