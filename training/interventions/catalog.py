"""Interventions by name, as study files write them: ``uniform_noise: 0.1``, ``imbalance: {factor: 10}``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from typing import Any

from scoring.errors import InputError, bad_value, unknown_name
from training.interventions.intervention import Intervention

INTERVENTIONS: Mapping[str, str] = {
    "asymmetric_noise": "training.interventions.label_noise:AsymmetricNoise",
    "class_noise": "training.interventions.label_noise:ClassNoise",
    "duplicates": "training.interventions.duplicates:Duplicates",
    "imbalance": "training.interventions.imbalance:Imbalance",
    "instance_noise": "training.interventions.instance_noise:InstanceNoise",
    "labels_from": "training.interventions.label_noise:LabelsFrom",
    "off_domain": "training.interventions.off_domain:OffDomain",
    "pair_noise": "training.interventions.label_noise:PairNoise",
    "shuffle_noise": "training.interventions.label_noise:ShuffleNoise",
    "uniform_noise": "training.interventions.label_noise:UniformNoise",
}

OWNER = "intervention"


def make_intervention(name: str, options: object = None) -> Intervention:
    """An intervention by name; ``options`` are a mapping, or a single value for its first option."""
    if name not in INTERVENTIONS:
        raise unknown_name("intervention", "study", name, INTERVENTIONS)
    module, _, attribute = INTERVENTIONS[name].partition(":")
    cls: Any = getattr(import_module(module), attribute)
    known = [each.name for each in fields(cls)]
    if options is None:
        given: dict[str, Any] = {}
    elif isinstance(options, Mapping) and not _is_value(options, known):
        given = {str(key): value for key, value in options.items()}
    elif not known:
        raise bad_value(name, OWNER, options, "without options")
    else:
        given = {known[0]: options}
    for key in given:
        if key not in known:
            raise unknown_name(f"option of {name}", OWNER, key, known)
    try:
        made: Intervention = cls(**given)
    except TypeError as error:
        needed = str(error).rpartition(":")[2].strip() if "required" in str(error) else ""
        raise InputError(
            f"{OWNER}: {name} needs {needed}." if needed else f"{OWNER} {name}: {error}."
        ) from None
    return made


def _is_value(options: Mapping[Any, Any], known: Sequence[str]) -> bool:
    """Whether a mapping is the first option itself, such as shares by class: ``class_noise: {cat: {dog: 0.3}}``."""
    nested = bool(options) and all(isinstance(each, Mapping) for each in options.values())
    return nested and not any(str(name) in known for name in options)


def read_interventions(given: object) -> tuple[Intervention, ...]:
    """The interventions of a data variant: a list of names and ``{name: options}``, or of ``Intervention`` objects."""
    if given is None:
        return ()
    if isinstance(given, str | Mapping):
        given = [given]
    if not isinstance(given, Sequence):
        return (given,) if hasattr(given, "apply") else _refuse(given)
    made: list[Intervention] = []
    for each in given:
        if isinstance(each, str):
            made.append(make_intervention(each))
        elif isinstance(each, Mapping):
            made += [make_intervention(str(name), options) for name, options in each.items()]
        elif hasattr(each, "apply"):
            made.append(each)
        else:
            _refuse(each)
    return tuple(made)


def _refuse(given: object) -> tuple[Intervention, ...]:
    raise bad_value("variants", "study", given, "lists of interventions, such as [{uniform_noise: 0.1}]")
