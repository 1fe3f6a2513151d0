"""Laws by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

from scoring.call_syntax import read_options
from scoring.errors import InputError, unknown_name
from scoring.places import load_place
from training.laws.expression import parsed
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
    "farseer": "training.laws.forms.farseer:farseer",
    "routed": "training.laws.forms.routed:routed",
    "data_constrained": "training.laws.forms.repetition:data_constrained",
    "quality_quantity": "training.laws.forms.quality_quantity:quality_quantity",
    "momentum": "training.laws.forms.annealing:momentum",
    "momentum_size": "training.laws.forms.annealing:momentum_size",
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
    "exponential_mixture": "training.laws.forms.mixture:exponential_mixture",
    "power_product": "training.laws.forms.power_product:power_product",
}


def form_named(name: str, **options: object) -> Form:
    """The form of this name; ``options`` go to its function (``breaks`` of ``broken_power``)."""
    if name not in FORMS:
        raise unknown_name("form", "laws", name, FORMS)
    build = cast(Callable[..., Form], load_place(FORMS[name], f"the form {name}"))
    try:
        built = build(**options)
    except TypeError as error:
        raise InputError(f"form {name}: {str(error).partition('() ')[2] or error}.") from None
    return replace(built, recipe={"name": name, "options": options})


def form_of(text: str, columns: Iterable[str]) -> Form:
    """A law as people write it: ``chinchilla``, ``broken_power(breaks=2)``, or a formula of their own.

    In a formula the names of ``columns`` are inputs, all others parameters, positive and without units (see
    :func:`~training.laws.forms.custom.custom`).
    """
    from training.laws.forms.custom import custom

    columns = list(columns)
    name = text.partition("(")[0].strip()
    if name in FORMS:
        inside = text.partition("(")[2].strip().removesuffix(")")
        return form_named(name, **read_options(inside, f"form {name}"))
    if text.strip().isidentifier():
        raise unknown_name("form", "laws", name, FORMS)
    inputs = [column for column in columns if column in parsed(text).names]
    if not inputs:
        named = ", ".join(columns)
        raise InputError(f"laws: the formula {text!r} names none of the columns {named}.")
    return custom(text, inputs)


def describe_laws() -> list[dict[str, Any]]:
    """Name, inputs, parameters and first line of the docstring of every law."""
    rows: list[dict[str, Any]] = []
    for name, place in FORMS.items():
        form, doc = form_named(name), load_place(place, f"the form {name}").__doc__ or ""
        rows.append(
            {
                "name": name,
                "reads": list(form.inputs),
                "parameters": list(form.names),
                "doc": doc.splitlines()[0],
            }
        )
    return rows
