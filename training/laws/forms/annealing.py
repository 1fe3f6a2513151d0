"""Loss along training under a learning-rate schedule: the momentum law and the multi-power law.

Both read S1, the sum of the rates so far (:class:`~training.laws.annealing.schedules.Schedule`), which takes the place
of tokens seen: A S1^-alpha is what training at a constant rate brings; the rest is what lowering the rate adds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import InputError
from training.laws.annealing.schedules import Schedule
from training.laws.form import Form, Parameter, Values
from training.laws.forms.annealed_sum import Terms, annealed_terms

LIMIT = Parameter("L0", low=1e-3, starts=(0.2, 0.7), units={"y": 1})
"""On the log scale, where more starts reach the best minimum; below a thousandth of the loss it is at its bound."""
FORWARD = Parameter("A", starts=(0.1, 0.3), units={"S1": "alpha", "y": 1})
EXPONENT = Parameter("alpha", scale="linear", low=0.0, high=5.0, starts=(0.3, 0.6))


def momentum() -> Form:
    """L = L0 + A S1^-alpha - C S2 (Tissue et al. 2024, equation 1).

    S2 depends on the decay factor lambda, which is therefore no parameter of the form; ``fit_curves`` chooses it.
    S2 may be 0 (a constant rate); it is not reduced, so C has the units of the outcome per S2.
    """
    return Form(
        "momentum",
        ("S1", "S2"),
        _momentum_parameters(),
        lambda p, x: torch.log(_momentum(p, x)),
        inverses={"S1": lambda p, x, y: ((y - p.L0 + p.C * x.S2) / p.A) ** (-1 / p.alpha)},
    )


def momentum_size() -> Form:
    """L = L0 + A S1^-alpha + B N^-beta - C S2 (Tissue et al. 2024, section 4.3): curves of several model sizes."""
    return Form(
        "momentum_size",
        ("S1", "S2", "N"),
        (
            *_momentum_parameters(),
            Parameter("B", starts=(0.1, 0.3), units={"N": "beta", "y": 1}),
            Parameter("beta", scale="linear", low=0.0, high=5.0, starts=(0.2, 0.5)),
        ),
        lambda p, x: torch.log(_momentum(p, x) + torch.exp(p.ln_B - p.beta * x.ln_N)),
        inverses={
            "S1": lambda p, x, y: ((y - p.L0 + p.C * x.S2 - p.B * x.N**-p.beta) / p.A) ** (-1 / p.alpha),
        },
    )


def _momentum_parameters() -> tuple[Parameter, ...]:
    return (
        LIMIT,
        FORWARD,
        EXPONENT,
        Parameter("C", scale="linear", low=0.0, high=1e12, starts=(0.0, 0.1), units={"y": 1}),
    )


def _momentum(p: Values, x: Values) -> torch.Tensor:
    return p.L0 + torch.exp(p.ln_A - p.alpha * x.ln_S1) - p.C * x.S2


def multi_power(points: Sequence[tuple[Schedule, npt.ArrayLike]]) -> Form:
    """L(t) = L0 + A S1(t)^-alpha + B sum_k (lr_k - lr_(k-1)) (1 - (1 + C lr_k^-gamma (S1(t) - S1(k-1)))^-beta).

    Luo et al. 2025, equation 4, over all steps k = 1 ... t, warm-up included (as their code does). The form is built
    for given points: schedules, each with its steps. Its inputs are ``point``, the place 0, 1, ... of a point in their
    order, and ``S1`` there; :func:`point_inputs` gives both.
    """
    checked = [(schedule, schedule.at(steps)) for schedule, steps in points]
    if not checked or not any(len(steps) for _, steps in checked):
        raise InputError("multi_power: at least one schedule with one step is needed.")
    terms = annealed_terms(checked)
    own_ln_S1 = torch.from_numpy(np.log(point_inputs(points)["S1"]))
    highest = max(float(schedule.lr_T.max()) for schedule, _ in checked)
    steps = float(own_ln_S1.mean().exp()) / highest  # about how many steps at the highest rate

    def formula(p: Values, x: Values) -> torch.Tensor:
        point = x.point.long()
        # rates are in the units of S1, and what S1 was divided by is the same for all points
        shift = float((x.ln_S1 - own_ln_S1[point]).mean())
        shape = torch.broadcast_tensors(  # type: ignore[no-untyped-call]
            p.ln_C + (1 - p.gamma) * shift, p.gamma, p.beta
        )
        lowered = AnnealedSum.apply(*shape, terms)  # type: ignore[no-untyped-call]
        lowered = p.B * np.exp(shift) * lowered[..., point]
        return torch.log(p.L0 + torch.exp(p.ln_A - p.alpha * x.ln_S1) + lowered)

    return Form(
        "multi_power",
        ("point", "S1"),
        (
            LIMIT,
            FORWARD,
            EXPONENT,
            Parameter(
                "B", low=5e-6 * steps, high=500 * steps, starts=(0.05 * steps,), units={"S1": -1, "y": 1}
            ),
            Parameter("C", starts=(steps**0.5 / 100, steps**0.5 / 10), units={"S1": "gamma - 1"}),
            Parameter("beta", scale="linear", low=0.01, high=20.0, starts=(0.5,)),
            Parameter("gamma", scale="linear", low=-2.0, high=5.0, starts=(0.5,)),
        ),
        formula,
    )


def point_inputs(points: Sequence[tuple[Schedule, npt.ArrayLike]]) -> dict[str, npt.NDArray[np.float64]]:
    """The inputs of :func:`multi_power` built for the same points."""
    S1 = np.concatenate([schedule.S1_T[schedule.at(steps)] for schedule, steps in points])
    return {"point": np.arange(len(S1), dtype=np.float64), "S1": S1}


class AnnealedSum(torch.autograd.Function):
    """sum_k weight_k (1 - (1 + exp(ln C - gamma ln lr_k + ln span_k))^-beta) of every point, with its derivatives.

    Parameters (..., 1) -> (..., n), natural units. By hand and row by row: with a hundred terms to a point the
    intermediate arrays of a whole batch leave the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, ln_C: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, terms: Terms
    ) -> torch.Tensor:
        ln_lr, ln_span, weights = map(torch.from_numpy, (terms.ln_lr_M, terms.ln_span_M, terms.weights_M))
        rows = torch.stack([ln_C, gamma, beta]).reshape(3, -1).T.tolist()
        with_slopes = any(ctx.needs_input_grad[:3])
        sums = np.empty((len(rows), 4 if with_slopes else 1, len(terms.starts_n)))
        for row, (c, g, b) in enumerate(rows):
            ln_x = torch.add(ln_span, ln_lr, alpha=-g).add_(c)
            z = torch.nn.functional.softplus(ln_x, threshold=40.0)
            gone = weights * torch.expm1(-b * z)
            left, parts = weights + gone, [-gone]
            if with_slopes:
                by_ln_C = b * left * torch.sigmoid(ln_x)
                parts += [by_ln_C, -by_ln_C * ln_lr, left * z]
            for part, summed in zip(parts, sums[row]):
                np.add.reduceat(part.numpy(), terms.starts_n, out=summed)
        found = torch.from_numpy(sums).reshape(*ln_C.shape[:-1], *sums.shape[1:])
        ctx.save_for_backward(found[..., 1:, :])
        return found[..., 0, :]

    @staticmethod
    def backward(ctx: Any, pull: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (slopes,) = ctx.saved_tensors
        along = (pull[..., None, :] * slopes).sum(-1)
        return along[..., 0:1], along[..., 1:2], along[..., 2:3], None
