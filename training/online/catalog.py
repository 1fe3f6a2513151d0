"""Online rules by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from scoring.errors import InputError, unknown_name
from training.online.entropy import Entropy
from training.online.gradient_norm import GradientNorm
from training.online.highest_loss import HighestLoss
from training.online.lowest_loss import LowestLoss
from training.online.reducible_loss import ReducibleLoss
from training.online.rule import Rule
from training.online.selective_backprop import SelectiveBackprop
from training.online.stratified import Stratified
from training.online.uniform import Uniform

OWNER = "online"

RULES: Mapping[str, type[Any]] = {
    "random": Uniform,
    "stratified": Stratified,
    "highest_loss": HighestLoss,
    "lowest_loss": LowestLoss,
    "reducible_loss": ReducibleLoss,
    "selective_backprop": SelectiveBackprop,
    "gradient_norm": GradientNorm,
    "entropy": Entropy,
}


def make_rule(name: str, options: Mapping[str, Any] | None = None) -> Rule:
    """A rule by name with its options."""
    if name not in RULES:
        raise unknown_name("rule", OWNER, name, RULES)
    cls = RULES[name]
    known = [each.name for each in fields(cls)]
    for option in options or {}:
        if option not in known:
            if not known:
                raise InputError(f"{OWNER}: rule {name} has no options, got {option!r}.")
            raise unknown_name(f"option of {name}", OWNER, option, known)
    made: Rule = cls(**(options or {}))
    return made
