"""Chinchilla (Hoffmann et al. 2022, approach 3, equation 2): what model size and data each leave over."""

from __future__ import annotations

import numpy as np
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
    columns = (p.ln_A, p.ln_B, p.E, p.alpha, p.beta, x.ln_N, x.ln_D)
    found: torch.Tensor = _LnLoss.apply(*columns)  # type: ignore[no-untyped-call]
    return found


class _LnLoss(torch.autograd.Function):
    """ln(E + A / N^alpha + B / D^beta) with its derivatives written out, exponentials and logarithms by NumPy.

    On 24,000 points NumPy's take a third and a sixth of the time of torch's, which were half of a fit.
    """

    @staticmethod
    def forward(ctx, ln_A, ln_B, E, alpha, beta, ln_N, ln_D):  # type: ignore[no-untyped-def]
        # in reduced units and within the bounds no term can overflow, so the maximum need not be taken out first
        of_size, of_data = _exp_(ln_A - alpha * ln_N), _exp_(ln_B - beta * ln_D)
        loss = of_size + of_data + E
        ctx.shapes = [value.shape for value in (ln_A, ln_B, E, alpha, beta)]
        ctx.save_for_backward(of_size, of_data, loss, ln_N, ln_D)
        with np.errstate(divide="ignore", invalid="ignore"):
            return torch.from_numpy(np.asarray(np.log(loss.numpy())))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, pull):  # type: ignore[no-untyped-def]
        of_size, of_data, loss, ln_N, ln_D = ctx.saved_tensors
        share = pull / loss
        of_size, of_data = share * of_size, share * of_data
        slopes = (of_size, of_data, share, -of_size * ln_N, -of_data * ln_D)
        return (*(slope.sum_to_size(shape) for slope, shape in zip(slopes, ctx.shapes)), None, None)


def _exp_(exponent: torch.Tensor) -> torch.Tensor:
    values = exponent.numpy()
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        np.exp(values, out=values)
    return exponent


def _optimum(p: Values, C: torch.Tensor) -> torch.Tensor:
    """N* = G (C / 6)^(beta / (alpha + beta)), G = (alpha A / (beta B))^(1 / (alpha + beta)) (equation 4)."""
    total = p.alpha + p.beta
    ln_G = (torch.log(p.alpha / p.beta) + p.ln_A - p.ln_B) / total
    return torch.exp(ln_G + p.beta / total * torch.log(C / 6))
