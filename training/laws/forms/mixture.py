"""Data mixing law (Ye et al. 2024): the loss on one validation set as proportions of domains change."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from scoring.errors import bad_value
from training.laws.form import OUTCOME, Form, Parameter, Values

SMALL = 6
"""Up to so many domains every t starts at two values, which are 2^(M-1) starts."""


def exponential_mixture(domains: int | Sequence[str] = 3) -> Form:
    """L = c + k exp(sum_j t_j r_j) of the proportions r_j of M domains; their names, or r1, r2, ... for a number.

    Proportions sum to one, so adding a constant to all t_j and dividing k by its exponential changes nothing; the t of
    the last domain is therefore zero and has no parameter. k is then what the last domain alone leaves above c, and
    exp(t_j) how many times that domain j alone leaves. k > 0 as in the paper's code; c >= 0.
    """
    names = tuple(f"r{j}" for j in range(1, domains + 1)) if isinstance(domains, int) else tuple(domains)
    wrong = isinstance(domains, str) or len(names) < 2 or len(set(names)) < len(names) or OUTCOME in names
    if wrong or not all(isinstance(name, str) for name in names):
        allowed = f"at least 2, or a list of at least 2 different names, none of them {OUTCOME!r}"
        raise bad_value("domains", "exponential_mixture", domains, allowed)
    free = names[:-1]
    starts = (-1.0, 1.0) if len(names) <= SMALL else (0.0,)

    def formula(p: Values, x: Values) -> torch.Tensor:
        total: torch.Tensor = p.ln_k + sum(p[f"t_{name}"] * x[name] for name in free)
        return torch.log(p.c + torch.exp(total))

    return Form(
        "exponential_mixture",
        names,
        (
            Parameter("k", starts=(0.1, 0.5), units={"y": 1}),
            Parameter("c", scale="linear", low=0.0, high=1e6, starts=(0.2, 0.6, 0.9), units={"y": 1}),
            *(Parameter(f"t_{name}", scale="linear", low=-100.0, high=100.0, starts=starts) for name in free),
        ),
        formula,
    )
