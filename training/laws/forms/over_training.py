"""Over-training (Gadre et al. 2024, equation 4): Chinchilla with one exponent, in compute C and token multiplier M."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from scoring.errors import bad_value
from training.laws.form import Form, Parameter
from training.laws.forms.chinchilla import FLOOR


def over_training() -> Form:
    """L = E + (a M^eta + b M^-eta) C^-eta with M = D / N and C = 6 N D: over-training moves the constant alone."""
    return Form(
        "over_training",
        ("C", "M"),
        (
            Parameter("a", starts=(0.05, 0.3), units={"C": "eta", "M": "-eta", "y": 1}),
            Parameter("b", starts=(0.05, 0.3), units={"C": "eta", "M": "eta", "y": 1}),
            FLOOR,
            Parameter("eta", scale="linear", low=0.0, high=10.0, starts=(0.1, 0.3)),
        ),
        lambda p, x: torch.log(
            p.E
            + torch.exp(p.ln_a + p.eta * (x.ln_M - x.ln_C))
            + torch.exp(p.ln_b - p.eta * (x.ln_M + x.ln_C))
        ),
        inverses={"C": lambda p, x, y: ((p.a * x.M**p.eta + p.b * x.M**-p.eta) / (y - p.E)) ** (1 / p.eta)},
        # the loss is least at M* = (b / a)^(1 / (2 eta)), whatever the compute; C = 6 M N^2
        optimum=lambda p, C: torch.sqrt(C / 6) * torch.exp((p.ln_a - p.ln_b) / (4 * p.eta)),
    )


def to_chinchilla(parameters: Mapping[str, float]) -> dict[str, float]:
    """The same law as Chinchilla with alpha = beta = 2 eta: A = a 6^-eta, B = b 6^-eta."""
    shrink = 6.0 ** -parameters["eta"]
    exponent = 2 * parameters["eta"]
    return {
        "A": parameters["a"] * shrink,
        "B": parameters["b"] * shrink,
        "E": parameters["E"],
        "alpha": exponent,
        "beta": exponent,
    }


def from_chinchilla(parameters: Mapping[str, float]) -> dict[str, float]:
    """A Chinchilla law with alpha = beta as an over-training law; others have no such form."""
    if parameters["alpha"] != parameters["beta"]:
        raise bad_value("beta", "from_chinchilla", parameters["beta"], f"alpha, {parameters['alpha']!r}")
    eta = parameters["alpha"] / 2
    return {
        "a": parameters["A"] * 6.0**eta,
        "b": parameters["B"] * 6.0**eta,
        "E": parameters["E"],
        "eta": eta,
    }
