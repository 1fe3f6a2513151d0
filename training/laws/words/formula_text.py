"""A fitted law as a formula with its numbers: L = 1.817 + 477.8 / N^0.3473 + 2,143 / D^0.3672."""

from __future__ import annotations

import re

from training.laws.fit import Fit
from training.laws.words.quantities import digits

FORMULAS = {
    "power": "y = {beta} x^{c}",
    "power_offset": "y = {e} + {beta} x^{c}",
    "m3": "y = {beta} (1/x + {gamma})^{c}",
    "m4": "(y - {e}) / ({e0} - y)^{alpha} = {beta} x^{c}",
    "chinchilla": "L = {E} + {A} / N^{alpha} + {B} / D^{beta}",
    "kaplan": "L = (({A} / N)^({alpha} / {beta}) + {B} / D)^{beta}",
    "kaplan_offset": "L = {E} + (({A} / N)^({alpha} / {beta}) + {B} / D)^{beta}",
    "over_training": "L = {E} + ({a} M^{eta} + {b} M^-{eta}) C^-{eta}",
    "shifted_power": "y = {E1} + {K} (x - {E0})^{kappa}",
    "error_decay": "Err = {epsilon} - {k} exp(-{gamma} L)",
    "sigmoid": "acc = {a} / (1 + exp(-{k} (L - {x0}))) + {b}",
    "compute_power": "L = {E} + {A} / C^{alpha}",
    "coverage": "y = exp(-{a} k^-{b})",
    "pass_until": "y = exp(-{c} N^-{alpha})",
    "momentum": "L = {L0} + {A} S1^-{alpha} - {C} S2",
    "momentum_size": "L = {L0} + {A} S1^-{alpha} + {B} N^-{beta} - {C} S2",
}
"""Forms that fit on a line; ``{A}`` is replaced by the value of A."""


def formula_text(fitted: Fit, count: int = 4) -> str:
    """The law in numbers of so many significant digits; of a form not listed here its name and its parameters.

    A formula of the user's own stands as it was written, with the values in it. A floor of zero is left out. What is
    fitted to ``E1`` or ``x`` of one case is nobody's loss in another: the symbols are those of the form.
    """
    values = {name: digits(value, count).replace(",", "") for name, value in fitted.parameters.items()}
    pattern = FORMULAS.get(fitted.form.name)
    if own := fitted.form.recipe.get("expression"):
        return "y = " + re.sub(r"[A-Za-z_]\w*", lambda found: values.get(found[0], found[0]), own)
    if pattern is None:
        named = ", ".join(f"{name} = {value}" for name, value in values.items())
        return f"{fitted.form.name}({', '.join(fitted.form.inputs)}) with {named}"
    written = re.sub(r"\{(\w+)\}", lambda found: values[found[1]], pattern)
    return written.replace("= 0 + ", "= ")
