"""What speaks against a fitted law: found by the fit itself, and said in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from training.laws.fitting.problem import Problem, Scales
from training.laws.fitting.solve import solve
from training.laws.form import OUTCOME, Form, Parameter
from training.laws.uncertainty.delta_method import standard_errors

if TYPE_CHECKING:
    from training.laws.fit import Fit

Code = Literal[
    "few_runs", "at_bound", "wide", "starts_disagree", "unrelated", "flat", "extrapolation", "misfit"
]

SPARE_RUNS = 3
WIDEST_FACTOR = 3.0
CHANCE = 1e-3
"""A law is called unrelated unless chance explains as much in a smaller share of cases."""
EQUAL = 1e-12
"""Outcomes that differ by a smaller share are equal but for rounding."""


@dataclass(frozen=True)
class Caution:
    """A reason not to trust a law: a code to test for, a sentence to read, and the parameter it is about, if one."""

    code: Code
    text: str
    parameter: str = ""

    def __str__(self) -> str:
        return self.text


def cautions_of(fitted: Fit) -> tuple[Caution, ...]:
    """Everything found against a fit."""
    found = [few_runs(fitted), at_bound(fitted), starts_disagree(fitted), unrelated(fitted), *wide(fitted)]
    return tuple(caution for caution in found if caution)


def few_runs(fitted: Fit) -> Caution | None:
    """At most 3 runs of positive weight more than free parameters: 8 runs do not identify 5 parameters."""
    runs, size = fitted.runs, len(fitted.form.free)
    if runs > size + SPARE_RUNS:
        return None
    return Caution(
        "few_runs",
        f"{runs} runs for {size} free parameters; up to {size + SPARE_RUNS} the law follows the noise.",
    )


def at_bound(fitted: Fit) -> Caution | None:
    """A parameter at a bound: its term vanished or ran away, and its uncertainty is not that of the others."""
    if not fitted.at_bounds:
        return None
    named = ", ".join(f"{name} = {fitted.parameters[name]:.4g}" for name in fitted.at_bounds)
    return Caution("at_bound", f"at a bound: {named}; the runs do not determine it inside its range.")


def starts_disagree(fitted: Fit) -> Caution | None:
    """Only one of several starts reached the best objective."""
    if len(fitted.starts_S) < 2 or fitted.agreeing > 1:
        return None
    return Caution(
        "starts_disagree",
        f"only one of {len(fitted.starts_S)} starts reached the best objective; there may be a better one.",
    )


def wide(fitted: Fit) -> list[Caution]:
    """Positive parameters whose 95 % interval spans more than a factor of 3.

    In reduced units: A of A / N^alpha is judged at the typical N of the runs, where it is the size of the term. In
    natural units it speaks of a model with one parameter, and the factor would depend on the unit of N.
    """
    found, errors = [], standard_errors(fitted)
    for p, value in zip(fitted.form.free, fitted.theta_P):
        spread = 1.96 * errors[p.name]
        if p.low < 0 or p.name in fitted.at_bounds:
            continue
        with np.errstate(over="ignore"):
            factor = (
                np.exp(2 * spread) if p.scale == "log" else (value + spread) / max(value - spread, 1e-300)
            )
        if not factor <= WIDEST_FACTOR:
            said = f"a factor of {factor:.1f}" if factor < 1e3 else "all sizes"
            text = f"{p.name} is hardly determined: its 95 % interval spans {said}."
            found.append(Caution("wide", text, p.name))
    return found


def constant_outcome(fitted: Fit) -> bool:
    """Whether the outcome is the same in all runs, but for rounding."""
    y = fitted.y_N[fitted.weights_N > 0]
    return bool(np.ptp(y) <= EQUAL * np.abs(y).max())


def unrelated(fitted: Fit) -> Caution | None:
    """The law explains no more than chance would: a robust likelihood-ratio test against a constant.

    The fall of the objective over E psi^2 / (2 E psi') is chi-squared in the linear case (Hampel et al. 1986, section
    7.2, the tau test); with estimated scale it is compared with F. Where runs are few the test has no power and is not
    made; ``few_runs`` is said instead. Of outcomes that are all equal every law is right that is nearly constant.
    """
    from scipy.special import fdtrc

    size, runs = len(fitted.form.free), fitted.runs
    if size < 2 or runs <= size + SPARE_RUNS:
        return None
    if constant_outcome(fitted):
        return Caution(
            "unrelated", "the outcome is the same in all runs, so they show nothing of the inputs."
        )
    constant = Form("constant", (), (Parameter("c", starts=(0.9,), units={OUTCOME: 1}),), lambda p, x: p.ln_c)
    flat = Problem(constant, {}, fitted.y_N, fitted.minimised, Scales({OUTCOME: fitted.scales.outcome}))
    ln_typical = float(torch.log(flat.y.mean()))
    weights = fitted.relative_weights_N
    null = solve(flat, np.array([[ln_typical]]), weights[None])
    reduced = fitted.problem.residuals(fitted.theta_P[None])[0]
    best = fitted.minimised.total(reduced, weights)
    alone = fitted.minimised.total(flat.residuals(null.best_BP)[0], weights)
    square, slope = fitted.minimised.moments(reduced, weights)
    if square <= 0:
        return None
    fall = 2 * (alone - best) * slope / square / (size - 1) * (runs - size) / runs
    chance = float(fdtrc(size - 1, runs - size, max(fall, 0.0)))
    if chance < CHANCE:
        return None
    said = f"the inputs explain the outcome hardly better than chance, which does as well in {chance:.2g} of cases."
    return Caution("unrelated", said)
