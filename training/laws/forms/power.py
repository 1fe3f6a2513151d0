"""Learning curves in one variable: M1 to M4 of Alabdulmohsin et al. 2022 (section 3)."""

from __future__ import annotations

import torch

from training.laws.form import Form, Parameter, Values

EXPONENTS = (-0.1, -0.3, -0.7)
OFFSET = Parameter("e", scale="linear", low=0.0, high=1e6, starts=(0.0, 0.4, 0.8), units={"y": 1})
LONGEST_SOLVE = 200


def power() -> Form:
    """M1: y = beta x^c."""
    return Form(
        "power",
        ("x",),
        (
            Parameter("beta", starts=(1.0,), units={"x": "-c", "y": 1}),
            Parameter("c", scale="linear", low=-20.0, high=20.0, starts=(*EXPONENTS, 0.3)),
        ),
        lambda p, x: p.ln_beta + p.c * x.ln_x,
        inverses={"x": lambda p, x, y: (y / p.beta) ** (1 / p.c)},
    )


def power_offset() -> Form:
    """M2: y = beta x^c + e with c <= 0 and e >= 0, the level that no x removes."""
    return Form(
        "power_offset",
        ("x",),
        (
            Parameter("beta", starts=(0.1, 0.5), units={"x": "-c", "y": 1}),
            Parameter("c", scale="linear", low=-20.0, high=0.0, starts=EXPONENTS),
            OFFSET,
        ),
        lambda p, x: torch.log(p.e + torch.exp(p.ln_beta + p.c * x.ln_x)),
        inverses={"x": lambda p, x, y: ((y - p.e) / p.beta) ** (1 / p.c)},
    )


def m3() -> Form:
    """M3: y = beta (1/x + gamma)^c with c >= 0 (Bansal et al. 2022): a power that levels off at beta gamma^c."""
    return Form(
        "m3",
        ("x",),
        (
            Parameter("beta", starts=(0.5, 1.0), units={"x": "c", "y": 1}),
            Parameter("gamma", scale="linear", low=0.0, high=1e6, starts=(0.0, 0.1, 1.0), units={"x": -1}),
            Parameter("c", scale="linear", low=0.0, high=20.0, starts=(0.1, 0.3, 0.7)),
        ),
        lambda p, x: p.ln_beta + p.c * torch.log(torch.exp(-x.ln_x) + p.gamma),
        inverses={"x": lambda p, x, y: 1 / ((y / p.beta) ** (1 / p.c) - p.gamma)},
    )


def m4() -> Form:
    """M4: (y - e) / (e0 - y)^alpha = beta x^c with c <= 0: from chance level e0 down to e, solved for y.

    ``alpha`` = 0 is M2. The root in (e, e0) is found by bisection on the share (y - e) / (e0 - e) and made
    differentiable by one Newton step from it (implicit function theorem).
    """
    return Form(
        "m4",
        ("x",),
        (
            Parameter("beta", starts=(0.1, 0.5), units={"x": "-c", "y": "1 - alpha"}),
            Parameter("c", scale="linear", low=-20.0, high=0.0, starts=EXPONENTS),
            OFFSET,
            Parameter("e0", scale="linear", low=1e-3, high=1e6, starts=(1.5, 3.0), units={"y": 1}),
            Parameter("alpha", scale="linear", low=0.0, high=10.0, starts=(0.3, 1.0)),
        ),
        _ln_m4,
        inverses={
            "x": lambda p, x, y: ((y - p.e) / ((p.e0 - y) ** p.alpha * p.beta)) ** (1 / p.c),
        },
    )


def _ln_m4(p: Values, x: Values) -> torch.Tensor:
    # with the share z = (y - e) / (e0 - e): ln z - alpha ln(1 - z) = ln beta + c ln x - (1 - alpha) ln(e0 - e)
    span = p.e0 - p.e
    target = p.ln_beta + p.c * x.ln_x - (1 - p.alpha) * torch.log(span)
    with torch.no_grad():
        low = torch.full_like(target, -60.0)  # bounds of the logit of z
        high = torch.full_like(target, 60.0)
        for _ in range(LONGEST_SOLVE):
            middle = (low + high) / 2
            below = _left(middle, p.alpha) < target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
            if bool((high - low).max() < 1e-14):
                break
    logit = (low + high) / 2
    share = torch.sigmoid(logit)
    slope = (1 - share) + p.alpha.detach() * share
    logit = logit - (_left(logit, p.alpha) - target) / slope
    return torch.log(p.e + span * torch.sigmoid(logit))


def _left(logit: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.logsigmoid(logit) - alpha * torch.nn.functional.logsigmoid(-logit)
