"""Task results from loss: error or accuracy of a model that is known by one loss, training or task loss."""

from __future__ import annotations

import torch
from torch.nn.functional import softplus

from training.laws.form import Form, Parameter, Values

SHARPNESS = 10.0
"""The soft minimum of Brandfonbrener et al. 2024: softmin(u, v) = -ln(exp(-10 u) + exp(-10 v)) / 10."""

SLOPE = Parameter("a", scale="linear", low=-1.0, high=0.0, starts=(-0.7,))
MIDDLE = Parameter("x0", scale="linear", low=0.0, high=1e3, starts=(0.5, 1.0, 2.0, 4.0))
STEEPNESS = Parameter("k", scale="linear", low=0.0, high=1e4, starts=(1.0, 4.0, 10.0))
BEST = Parameter("b", scale="linear", low=0.0, high=1.0, starts=(1.0,))


def error_decay() -> Form:
    """Err = epsilon - k exp(-gamma L): error falls from epsilon, that of a model without skill, as the loss falls.

    Gadre et al. 2024, equation 5.
    """
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


def sigmoid() -> Form:
    """acc = a / (1 + exp(-k (L - x0))) + b with -1 <= a <= 0, x0, k >= 0 and 0 <= b <= 1 (Bhagia et al. 2024).

    b is the accuracy far below the loss x0, a + b that far above it. Accuracies are shares, and the loss is used as it
    is (it may be 0, where the paper puts accuracy 1), so neither is reduced: starts suit losses from 0.2 to 10. Where
    a + b is negative, losses far above those fitted have no prediction (NaN).
    """
    return Form(
        "sigmoid",
        ("L",),
        (SLOPE, MIDDLE, STEEPNESS, BEST),
        lambda p, x: torch.log(p.a * torch.sigmoid(p.k * (x.L - p.x0)) + p.b),
        inverses={"L": lambda p, x, y: p.x0 + torch.logit((y - p.b) / p.a) / p.k},
    )


def log_sigmoid() -> Form:
    """acc = 1 - a ln(1 - 1 / (1 + exp(-k (L - x0)))) with a <= 0 and x0, k >= 0: accuracy 1 at the lowest losses.

    The variant that the code of Bhagia et al. 2024 fits to a task's cross-entropy over its choices. Above x0 it falls
    along a line, a k (L - x0), and has no prediction (NaN) where that reaches 0. Not reduced, see :func:`sigmoid`.
    """
    return Form(
        "log_sigmoid",
        ("L",),
        (
            Parameter("a", scale="linear", low=-1e3, high=0.0, starts=(-0.03, -0.1, -0.3)),
            MIDDLE,
            STEEPNESS,
        ),
        lambda p, x: torch.log1p(p.a * softplus(p.k * (x.L - p.x0))),
        inverses={"L": lambda p, x, y: p.x0 + torch.log(torch.expm1((y - 1) / p.a)) / p.k},
    )


def soft_min() -> Form:
    """err = softmin_10(e, b (L - E)^a + d): a shifted power of the loss, capped at the error e of chance.

    Brandfonbrener et al. 2024, error against loss; E is the floor of the loss (freeze it at that of a fitted law), d
    the error there. The soft minimum lies below the minimum by up to ln 2 / 10 = 0.07, where both are equal. It is
    positive unless both are about that small. Errors are shares and not reduced, as 10 is per unit of error.
    """
    return Form(
        "soft_min",
        ("L",),
        (
            Parameter("e", scale="linear", low=0.0, high=1.0, starts=(0.75,)),
            Parameter("b", starts=(0.2, 1.0), units={"L": "-a"}),
            Parameter("a", scale="linear", low=0.0, high=20.0, starts=(0.5, 1.0, 2.0)),
            Parameter("E", scale="linear", low=0.0, high=1e6, starts=(0.0, 0.4), units={"L": 1}),
            Parameter("d", scale="linear", low=0.0, high=1.0, starts=(0.05, 0.3)),
        ),
        _ln_soft_min,
        inverses={"L": _soft_min_inverse},
    )


def _ln_soft_min(p: Values, x: Values) -> torch.Tensor:
    power = torch.exp(p.ln_b + p.a * torch.log(x.L - p.E)) + p.d
    return torch.log(-torch.logaddexp(-SHARPNESS * p.e, -SHARPNESS * power) / SHARPNESS)


def _soft_min_inverse(p: Values, x: Values, y: torch.Tensor) -> torch.Tensor:
    power = -torch.log(torch.exp(-SHARPNESS * y) - torch.exp(-SHARPNESS * p.e)) / SHARPNESS
    return p.E + ((power - p.d) / p.b) ** (1 / p.a)


def single_step() -> Form:
    """acc = a / (1 + exp(-(A / N^alpha + B / D^beta + E))) + b: a task straight from size and data, without its loss.

    The single-step variant of Bhagia et al. 2024 (their p, q are a, b here), -1 <= a <= 0, 0 <= b <= 1, E free.
    """
    return Form(
        "single_step",
        ("N", "D"),
        (
            Parameter("A", starts=(0.5, 2.0), units={"N": "alpha"}),
            Parameter("B", starts=(0.5, 2.0), units={"D": "beta"}),
            Parameter("alpha", scale="linear", low=0.0, high=10.0, starts=(0.2, 0.6)),
            Parameter("beta", scale="linear", low=0.0, high=10.0, starts=(0.2, 0.6)),
            Parameter("E", scale="linear", low=-1e3, high=1e3, starts=(-4.0, -2.0, 0.0)),
            SLOPE,
            BEST,
        ),
        _ln_single_step,
    )


def _ln_single_step(p: Values, x: Values) -> torch.Tensor:
    inner = torch.exp(p.ln_A - p.alpha * x.ln_N) + torch.exp(p.ln_B - p.beta * x.ln_D) + p.E
    return torch.log(p.a * torch.sigmoid(inner) + p.b)


def log_law() -> Form:
    """score = (ln(A D^alpha))^beta for D tokens of pretraining data: BLEU after fine-tuning (Isik et al. 2024).

    Holds for ln(A D^alpha) > 0 only: less data have no prediction (NaN). ``beta`` stands first and any unit of the
    score goes into A and alpha. The paper's law of the loss, L = E + A / D^alpha, is ``power_offset``.
    """
    return Form(
        "log_law",
        ("D",),
        (
            Parameter("beta", low=1e-3, high=1e3, starts=(0.5, 1.0, 3.0)),
            Parameter("A", low=1e-300, high=1e300, starts=(2.0, 20.0, 1e4), units={"D": "-alpha"}),
            Parameter("alpha", scale="linear", low=0.0, high=100.0, starts=(0.1, 0.5, 2.0)),
        ),
        lambda p, x: p.beta * torch.log(p.ln_A + p.alpha * x.ln_D),
        inverses={"D": lambda p, x, y: torch.exp((y ** (1 / p.beta) - p.ln_A) / p.alpha)},
    )
