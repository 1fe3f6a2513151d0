"""Rates of success with many attempts: the negative logarithm of a rate falls as a power."""

from __future__ import annotations

import torch

from training.laws.form import Form, Parameter


def coverage() -> Form:
    """coverage = exp(-a k^-b) with a, b >= 0, of k attempts per problem (Brown et al. 2024, Large Language Monkeys).

    The paper prints exp(a k^b) with both negative; a here is its -a and b its -b. Always between 0 and 1.
    """
    return Form(
        "coverage",
        ("k",),
        (
            Parameter("a", starts=(0.1, 1.0), units={"k": "b"}),
            Parameter("b", scale="linear", low=0.0, high=20.0, starts=(0.2, 0.5, 1.0)),
        ),
        lambda p, x: -torch.exp(p.ln_a - p.b * x.ln_k),
        inverses={"k": lambda p, x, y: (p.a / -torch.log(y)) ** (1 / p.b)},
    )


def pass_until() -> Form:
    """-ln PU = c N^-alpha: the rate at which a model of N parameters passes (Hu et al. 2024, PassUntil, equation 3)."""
    return Form(
        "pass_until",
        ("N",),
        (
            Parameter("c", starts=(0.5, 3.0), units={"N": "alpha"}),
            Parameter("alpha", scale="linear", low=0.0, high=20.0, starts=(0.1, 0.3, 0.7)),
        ),
        lambda p, x: -torch.exp(p.ln_c - p.alpha * x.ln_N),
        inverses={"N": lambda p, x, y: (p.c / -torch.log(y)) ** (1 / p.alpha)},
    )
