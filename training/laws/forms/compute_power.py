"""Loss from compute alone: enough where all runs follow one recipe, a baseline where they do not."""

from __future__ import annotations

import torch

from training.laws.form import Form, Parameter
from training.laws.forms.chinchilla import FLOOR


def compute_power() -> Form:
    """L = E + A / C^alpha with C in FLOPs: two runs of one compute have one loss, however it is shared over N and D."""
    return Form(
        "compute_power",
        ("C",),
        (
            Parameter("A", starts=(0.1, 0.5), units={"C": "alpha", "y": 1}),
            FLOOR,
            Parameter("alpha", scale="linear", low=0.0, high=10.0, starts=(0.1, 0.3, 0.7)),
        ),
        lambda p, x: torch.log(p.E + torch.exp(p.ln_A - p.alpha * x.ln_C)),
        inverses={"C": lambda p, x, y: (p.A / (y - p.E)) ** (1 / p.alpha)},
    )
