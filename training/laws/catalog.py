"""Laws by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from scoring.errors import unknown_name
from scoring.places import load_place
from training.laws.form import Form

FORMS = {
    "power": "training.laws.forms.power:power",
    "power_offset": "training.laws.forms.power:power_offset",
    "m3": "training.laws.forms.power:m3",
    "m4": "training.laws.forms.power:m4",
    "broken_power": "training.laws.forms.broken_power:broken_power",
    "chinchilla": "training.laws.forms.chinchilla:chinchilla",
    "kaplan": "training.laws.forms.kaplan:kaplan",
    "kaplan_offset": "training.laws.forms.kaplan:kaplan_offset",
    "over_training": "training.laws.forms.over_training:over_training",
    "shifted_power": "training.laws.forms.shifted_power:shifted_power",
    "error_decay": "training.laws.forms.downstream:error_decay",
    "sigmoid": "training.laws.forms.downstream:sigmoid",
    "log_sigmoid": "training.laws.forms.downstream:log_sigmoid",
    "soft_min": "training.laws.forms.downstream:soft_min",
    "single_step": "training.laws.forms.downstream:single_step",
    "log_law": "training.laws.forms.downstream:log_law",
    "compute_power": "training.laws.forms.compute_power:compute_power",
    "coverage": "training.laws.forms.pass_rates:coverage",
    "pass_until": "training.laws.forms.pass_rates:pass_until",
}


def form_named(name: str, **options: object) -> Form:
    """The form of this name; ``options`` go to its function (``breaks`` of ``broken_power``)."""
    if name not in FORMS:
        raise unknown_name("form", "laws", name, FORMS)
    build = cast(Callable[..., Form], load_place(FORMS[name], f"the form {name}"))
    return build(**options)
