"""Routed language models (Clark et al. 2022): loss from model size and number of experts, and what size it is worth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from scoring.errors import bad_value
from training.laws.form import Array, Form, Parameter, Values


def routed(N0: float = 1e8) -> Form:
    """ln L = a ln N + b ln Ehat + c ln N ln Ehat + d, 1 / Ehat = 1 / (E - 1 + 1 / (1/E_start - 1/E_max)) + 1 / E_max.

    N is the size of the model without its extra experts, E the number of experts, 1 for a dense model, where Ehat is
    E_start; Ehat never exceeds E_max (Clark et al. 2022, equation 1 with Ehat for E; their logarithms are decimal, so
    their c is ours times ln 10 and their d ours over ln 10). The same law is fitted by what it says at N0 parameters:
    ``L0`` = e^d N0^a, the loss there at Ehat = 1, and ``b0`` = b + c ln N0, the exponent of Ehat there. Every N0 gives
    the same family; the search is easy where it lies amid the runs. :func:`coefficients` and :func:`from_coefficients`
    convert.
    """
    if not (N0 > 0 and np.isfinite(N0)):
        raise bad_value("N0", "routed", N0, "above 0")
    ln_N0 = float(np.log(N0))

    def ln_loss(p: Values, x: Values) -> torch.Tensor:
        if bool((x.E < 1 - 1e-9).any()):  # 1 from an inverse comes back rounded
            raise bad_value("E", "routed", float(x.E.min()), "a number of experts, at least 1")
        n, ln_experts = x.ln_N - ln_N0, _ln_saturated(p, x.E)
        return p.ln_L0 + p.a * n + (p.b0 + p.c * n) * ln_experts

    def size(p: Values, x: Values, y: torch.Tensor) -> torch.Tensor:
        ln_experts = _ln_saturated(p, x.E)
        n = (torch.log(y) - p.ln_L0 - p.b0 * ln_experts) / (p.a + p.c * ln_experts)
        return torch.exp(ln_N0 + n)

    def experts(p: Values, x: Values, y: torch.Tensor) -> torch.Tensor:
        n = x.ln_N - ln_N0
        inverse = torch.exp(-(torch.log(y) - p.ln_L0 - p.a * n) / (p.b0 + p.c * n))
        u, v = 1 / p.E_start - 1 / p.E_max, inverse - 1 / p.E_max
        return torch.where((v > 0) & (inverse <= 1 / p.E_start * (1 + 1e-12)), 1 + 1 / v - 1 / u, torch.nan)

    return Form(
        "routed",
        ("N", "E"),
        (
            Parameter("L0", starts=(1.0, 1.5), units={"y": 1}),
            Parameter("a", scale="linear", low=-5.0, high=0.0, starts=(-0.05, -0.15)),
            Parameter("b0", scale="linear", low=-5.0, high=5.0, starts=(-0.05, -0.2)),
            Parameter("c", scale="linear", low=-2.0, high=2.0, starts=(0.0, 0.02)),
            Parameter("E_start", low=1e-2, high=1e3, starts=(1.1, 3.0)),
            Parameter("E_max", low=1.0, high=1e8, starts=(50.0, 500.0, 5e3)),
        ),
        ln_loss,
        inverses={"N": size, "E": experts},
        recipe={"name": "routed", "options": {"N0": N0}},
    )


def effective_parameters(
    parameters: Mapping[str, npt.ArrayLike], N: npt.ArrayLike, E: npt.ArrayLike, N0: float = 1e8
) -> Array:
    """The size of the dense model (E = 1) with the loss of one of size N with E experts: Clark's effective count.

    N^(A(Ehat) / A(E_start)) (Ehat / E_start)^(b / A(E_start)) with A(Ehat) = a + c ln Ehat. NaN where the law does not
    make larger dense models better. Interval: ``bootstrap(law).derived(lambda p: effective_parameters(p, N, E))``.
    """
    p = Values({name: torch.as_tensor(np.asarray(v, np.float64)) for name, v in parameters.items()}, {})
    size, experts = (torch.as_tensor(np.asarray(column, np.float64)) for column in (N, E))
    ln_many, ln_one = _ln_saturated(p, experts), torch.log(p.E_start)
    dense, n = p.a + p.c * ln_one, torch.log(size) - np.log(N0)
    ln_ratio = ((p.a + p.c * ln_many) * n + p.b0 * (ln_many - ln_one)) / dense
    return np.asarray((torch.where(dense < 0, torch.exp(ln_ratio), torch.nan) * N0).numpy())


def coefficients(parameters: Mapping[str, float], N0: float = 1e8) -> dict[str, float]:
    """The a, b, c, d of the formula in natural logarithms, with E_start and E_max."""
    p, ln_N0 = parameters, np.log(N0)
    own = {name: p[name] for name in ("a", "c", "E_start", "E_max")}
    return own | {"b": float(p["b0"] - p["c"] * ln_N0), "d": float(np.log(p["L0"]) - p["a"] * ln_N0)}


def from_coefficients(stated: Mapping[str, float], N0: float = 1e8) -> dict[str, float]:
    """The parameters of ``routed(N0)`` from a, b, c, d in natural logarithms, with E_start and E_max."""
    s, ln_N0 = stated, np.log(N0)
    own = {name: s[name] for name in ("a", "c", "E_start", "E_max")}
    return own | {"b0": float(s["b"] + s["c"] * ln_N0), "L0": float(np.exp(s["d"] + s["a"] * ln_N0))}


def _ln_saturated(p: Values, E: torch.Tensor) -> torch.Tensor:
    """ln Ehat; NaN where E_max is not above E_start."""
    u = 1 / p.E_start - 1 / p.E_max
    u = torch.where(u > 0, u, torch.nan)
    return -torch.log(u / (1 + u * (E - 1)) + 1 / p.E_max)
