"""Data-constrained training (Muennighoff et al. 2023): what repeated data and excess parameters are worth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import bad_value
from training.laws.form import Array, Form, Parameter, Values
from training.laws.forms.chinchilla import chinchilla

STARTS = (1.0, 8.0, 60.0)


def data_constrained() -> Form:
    """L = E + A / N'^alpha + B / D'^beta in N, D and epochs = D / U, U the unique tokens (equations 5 and 6).

    D' = U (1 + R_D (1 - e^(-(D / U - 1) / R_D))): repeats lose value with the constant ``R_D`` (R_D* of the paper),
    none while epochs <= 1. N' = U_N (1 + R_N (1 - e^(-(N / U_N - 1) / R_N))) with U_N = min(N, N_opt(U)): so do
    parameters beyond N_opt(U) = (alpha A U^beta / (beta B))^(1 / alpha), the size whose compute-optimal data U is.
    Without repetition, and with N <= N_opt, it is :func:`~training.laws.forms.chinchilla.chinchilla`. The authors held
    A, B, E, alpha = beta at a fit without repetition (``.frozen``) and fitted the two constants.
    """
    constants = tuple(
        Parameter(name, low=1e-3, high=1e6, starts=STARTS) for name in ("R_D", "R_N")
    )  # no units: both count repetitions
    return Form(
        "data_constrained",
        ("N", "D", "epochs"),
        (*chinchilla().parameters, *constants),
        _ln_loss,
        inverses={"N": _size},
    )


def effective_data(U: npt.ArrayLike, epochs: npt.ArrayLike, R_D: npt.ArrayLike) -> Array:
    """D' (...): the unique tokens that ``epochs`` passes over ``U`` tokens are worth; U times epochs up to one pass.

    With the published R_D = 15.39: 3.73 U at 4 epochs, 7.81 U at 10, 15.2 U at 40, and never above 16.4 U.
    """
    unique, passes, constant = (np.asarray(value, dtype=np.float64) for value in (U, epochs, R_D))
    for name, value in (("U", unique), ("epochs", passes)):
        if not (value >= 0).all():
            raise bad_value(name, "effective_data", float(value.min()), "at least 0")
    if not (constant > 0).all():
        raise bad_value("R_D", "effective_data", float(constant.min()), "above 0")
    found: Array = unique * np.where(
        passes <= 1, passes, 1 - constant * np.expm1(-np.maximum(passes - 1, 0) / constant)
    )
    return found


def passes_of(epochs: torch.Tensor) -> torch.Tensor:
    """Passes over the unique data that are used: a part of one pass is one, over less data."""
    if bool((epochs <= 0).any()):
        raise bad_value("epochs", "laws of repetition", float(epochs.min()), "above 0")
    return epochs.clamp(min=1)


def optimal_size_of(p: Values, ln_U: torch.Tensor) -> torch.Tensor:
    """ln N_opt(U): where alpha A / N^alpha = beta B / U^beta, so that more parameters and more data gain alike."""
    return (torch.log(p.alpha / p.beta) + p.ln_A - p.ln_B + p.beta * ln_U) / p.alpha


def _ln_loss(p: Values, x: Values) -> torch.Tensor:
    passes = passes_of(x.epochs)
    ln_U = x.ln_D - torch.log(passes)
    ln_data = ln_U + torch.log1p(-p.R_D * torch.expm1(-(passes - 1) / p.R_D))
    ln_full = torch.minimum(x.ln_N, optimal_size_of(p, ln_U))
    excess = torch.expm1(x.ln_N - ln_full)
    ln_size = ln_full + torch.log1p(-p.R_N * torch.expm1(-excess / p.R_N))
    return torch.log(p.E + torch.exp(p.ln_A - p.alpha * ln_size) + torch.exp(p.ln_B - p.beta * ln_data))


def _size(p: Values, x: Values, y: torch.Tensor) -> torch.Tensor:
    """N with this loss: what is beyond N_opt counts less, and never for more than R_N times N_opt."""
    passes = passes_of(x.epochs)
    ln_U = x.ln_D - torch.log(passes)
    data = torch.exp(ln_U) * (1 - p.R_D * torch.expm1(-(passes - 1) / p.R_D))
    effective = (p.A / (y - p.E - p.B * data**-p.beta)) ** (1 / p.alpha)
    full = torch.exp(optimal_size_of(p, ln_U))
    beyond = -p.R_N * torch.log1p(-(effective / full - 1) / p.R_N)
    return torch.where(effective > full, full * (1 + beyond), effective)
