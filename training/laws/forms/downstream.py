"""Task error from loss (Gadre et al. 2024, equation 5)."""

from __future__ import annotations

import torch

from training.laws.form import Form, Parameter


def error_decay() -> Form:
    """Err = epsilon - k exp(-gamma L): error falls from epsilon, that of a model without skill, as the loss falls."""
    return Form(
        "error_decay",
        ("L",),
        (
            Parameter("epsilon", scale="linear", low=0.0, high=1e6, starts=(1.1, 1.5), units={"y": 1}),
            Parameter("k", starts=(0.5, 3.0), units={"y": 1}),
            Parameter("gamma", scale="linear", low=0.0, high=100.0, starts=(0.5, 2.0, 5.0), units={"L": -1}),
        ),
        lambda p, x: torch.log(p.epsilon - torch.exp(p.ln_k - p.gamma * x.L)),
        inverses={"L": lambda p, x, y: torch.log(p.k / (p.epsilon - y)) / p.gamma},
    )
