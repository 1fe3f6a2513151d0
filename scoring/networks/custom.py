"""The user's own networks: a ``torch.nn.Module``, or a function that makes one from the examples.

Only what the user passes in this call is ever imported or called; a name in a file is not.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from scoring.errors import InputError, bad_value
from scoring.networks.inputs import FeatureInputs, Inputs, PixelInputs
from scoring.networks.options import Options
from scoring.places import load_place

if TYPE_CHECKING:
    from scoring.examples import Examples

Factory = Callable[["Examples"], nn.Module]
ModelLike = str | nn.Module | Factory


def name_of(model: nn.Module | Factory) -> str:
    """Name of the class of a network, or of the function."""
    named = type(model) if isinstance(model, nn.Module) else model
    return str(getattr(named, "__qualname__", type(named).__qualname__))


def build_custom(
    model: ModelLike, examples: Examples, options: Mapping[str, Any] | None
) -> tuple[nn.Module, Inputs, Options]:
    """The user's network, inputs of the examples' kind, and no options: a custom model takes none."""
    if options:
        raise bad_value("options", "build_model with a custom model", dict(options), "empty")
    module = custom_module(model, examples)
    if examples.kind == "features":
        return module, FeatureInputs(examples.input_shape[0]), {}
    if examples.kind == "image":
        return module, PixelInputs(examples.input_shape), {}
    tokenizer = getattr(module, "tokenizer", None)
    if tokenizer is None:
        raise InputError(
            "build_model: a custom model for text must carry its Hugging Face tokenizer as the attribute "
            f"'tokenizer', and {name_of(module)} has none."
        )
    from scoring.networks.huggingface import token_inputs

    return module, token_inputs(tokenizer, module, 256), {}


def custom_module(model: ModelLike, examples: Examples | None) -> nn.Module:
    """A copy of the given network, or what the given function makes of the examples."""
    if isinstance(model, nn.Module):
        return copy.deepcopy(model)
    name = model if isinstance(model, str) else name_of(model)
    factory = _import(model) if isinstance(model, str) else model
    if examples is None:
        raise InputError(f"load_model: {name} is called with the examples; pass them too, as examples=.")
    try:
        module = factory(examples)
    except Exception as error:  # whatever the user's code raises, told with its name
        raise InputError(
            f"model: {name} failed on the examples ({type(error).__name__}: {error})."
        ) from error
    if not isinstance(module, nn.Module):
        raise InputError(f"model: {name} must return a torch.nn.Module, got {type(module).__name__}.")
    return module


def _import(path: str) -> Factory:
    """The function of ``"module:function"``; only ever called with what the user typed."""
    function = load_place(path, f"model: {path!r}")
    if not callable(function):
        raise bad_value("model", "build_model", path, "a function that takes the examples")
    imported: Factory = function
    return imported
