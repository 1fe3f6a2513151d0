"""Farseer (Li et al. 2025, arXiv 2506.10972): Chinchilla whose floor, data term and data exponent follow model size."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

from scoring.errors import bad_value
from training.laws.form import Form, Parameter, Values
from training.laws.line_minimum import line_minimum

SMALLEST_POWER = 1e-9
"""Powers nearer to zero are taken as a logarithm, their limit."""
COARSE = 257
MOST_TOKENS = 20.0
"""The optimum is looked for from e^20 tokens per parameter down to one."""


def farseer(N0: float = 1e9, D0: float = 2e10) -> Form:
    """L(N, D) = e^(a3 N^gamma + b3) + e^(a2 N^beta + b2) D^(-e^(a1 N^alpha + b1)), fitted about the point (N0, D0).

    In the published coefficients a_i and b_i nearly cancel (17.6 and -14.0 at a billion parameters) and the data term
    is stated at one token. The same law is fitted, exactly, by what it says at N0 parameters and D0 tokens: the term
    ``E`` of model size alone, the data term ``T``, its exponent in data ``k``; their slopes per ln N, ``E_slope``,
    ``T_slope`` and ``k_slope``; and the powers gamma, beta and alpha of N, by which a logarithm a N^p + b is written
    u + v ((N / N0)^p - 1) / p (Box and Cox 1964), which for p = 0 is a power law in N. :func:`coefficients` and
    :func:`from_coefficients` convert.

    Every (N0, D0) gives the same family of laws; the search is easy where they lie amid the runs. D is in tokens and is
    not rescaled: in another unit of data this formula is another law.
    """
    for name, value in (("N0", N0), ("D0", D0)):
        if not (value > 0 and np.isfinite(value)):
            raise bad_value(name, "farseer", value, "above 0")
    ln_N0, ln_D0 = float(np.log(N0)), float(np.log(D0))

    def terms(p: Values, ln_N: torch.Tensor, ln_D: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logarithms of the two terms."""
        n = ln_N - ln_N0
        k = p.k * torch.exp(p.k_slope * _box_cox(n, p.alpha))
        at_one_token = p.ln_T + p.k * ln_D0 + (p.T_slope + p.k * p.k_slope * ln_D0) * _box_cox(n, p.beta)
        return p.ln_E + p.E_slope * _box_cox(n, p.gamma), at_one_token - k * ln_D

    def optimum(p: Values, C: torch.Tensor) -> torch.Tensor:
        """The first minimum on the way from small models, found numerically; NaN if there is none with D >= N.

        Far beyond any run the formula lets every loss vanish (a3 N^gamma goes to minus infinity), so the lowest loss
        of all is at the largest N and means nothing.
        """
        ln_ND = torch.log(C / 6) + torch.zeros_like(p.k)

        def loss(ln_N: torch.Tensor) -> torch.Tensor:
            return torch.logaddexp(*terms(p, ln_N, ln_ND - ln_N))

        steps = torch.linspace(0, 1, COARSE, dtype=torch.float64).reshape(-1, *[1] * ln_ND.ndim)
        ln_N = (ln_ND - MOST_TOKENS * (1 - steps)) / 2
        falls = loss(ln_N).diff(dim=0) < 0
        turns = falls[:-1] & ~falls[1:]
        first = turns.to(torch.int64).argmax(0, keepdim=True)  # the first of those that are true
        found = line_minimum(loss, ln_N.gather(0, first)[0], ln_N.gather(0, first + 2)[0])
        return torch.exp(torch.where(turns.any(0), found, torch.nan))

    slope, power = (-0.3, 0.0), (-0.2, 0.2)
    return Form(
        "farseer",
        ("N", "D"),
        (
            Parameter("E", starts=(0.4, 0.7), units={"y": 1}),
            Parameter("T", starts=(0.1, 0.4), units={"y": 1}),
            Parameter("k", low=1e-6, high=10.0, starts=(0.2, 0.5)),
            Parameter("E_slope", scale="linear", low=-5.0, high=5.0, starts=slope),
            Parameter("T_slope", scale="linear", low=-5.0, high=5.0, starts=(0.0, 0.3)),
            Parameter("k_slope", scale="linear", low=-5.0, high=5.0, starts=slope),
            Parameter("gamma", scale="linear", low=-3.0, high=3.0, starts=power),
            Parameter("beta", scale="linear", low=-3.0, high=3.0, starts=power),
            Parameter("alpha", scale="linear", low=-3.0, high=3.0, starts=power),
        ),
        lambda p, x: torch.logaddexp(*terms(p, x.ln_N, x.ln_D)),
        inverses={"D": lambda p, x, y: _tokens(terms, p, x, y)},
        optimum=optimum,
        recipe={"name": "farseer", "options": {"N0": N0, "D0": D0}},
    )


def coefficients(parameters: Mapping[str, float], N0: float = 1e9, D0: float = 2e10) -> dict[str, float]:
    """The published a1, b1, alpha, a2, b2, beta, a3, b3, gamma; a power of exactly 0 has none."""
    p, ln_D0 = parameters, np.log(D0)
    values = {
        "1": (np.log(p["k"]), p["k_slope"], p["alpha"]),
        "2": (np.log(p["T"]) + p["k"] * ln_D0, p["T_slope"] + p["k"] * p["k_slope"] * ln_D0, p["beta"]),
        "3": (np.log(p["E"]), p["E_slope"], p["gamma"]),
    }
    found = {name: p[name] for name in ("alpha", "beta", "gamma")}
    for i, (u, v, power) in values.items():
        if power == 0:
            raise bad_value(f"the power of N of e^(a{i} N^p + b{i})", "farseer", power, "other than 0")
        found |= {f"a{i}": float(v / power * N0**-power), f"b{i}": float(u - v / power)}
    return found


def from_coefficients(published: Mapping[str, float], N0: float = 1e9, D0: float = 2e10) -> dict[str, float]:
    """The parameters of ``farseer(N0, D0)`` from the published coefficients."""
    c, ln_D0 = published, np.log(D0)
    powers = {"1": c["alpha"], "2": c["beta"], "3": c["gamma"]}
    u = {i: c[f"a{i}"] * N0**power + c[f"b{i}"] for i, power in powers.items()}
    v = {i: c[f"a{i}"] * power * N0**power for i, power in powers.items()}
    k = float(np.exp(u["1"]))
    return {
        "E": float(np.exp(u["3"])),
        "T": float(np.exp(u["2"] - k * ln_D0)),
        "k": k,
        "E_slope": v["3"],
        "T_slope": float(v["2"] - k * v["1"] * ln_D0),
        "k_slope": v["1"],
        **{name: c[name] for name in ("gamma", "beta", "alpha")},
    }


def _box_cox(n: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """(e^(power n) - 1) / power, n where the power is 0."""
    small = power.abs() < SMALLEST_POWER
    safe = torch.where(small, torch.ones_like(power), power)
    return torch.where(small, n * (1 + power * n / 2), torch.expm1(safe * n) / safe)


def _tokens(terms, p: Values, x: Values, y: torch.Tensor) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """D from the loss above the term of model size: the data term is linear in ln D."""
    zero = torch.zeros_like(x.ln_N)
    of_size, at_one = terms(p, x.ln_N, zero)
    _, at_e = terms(p, x.ln_N, zero + 1)
    return torch.exp((at_one - torch.log(y - torch.exp(of_size))) / (at_one - at_e))
