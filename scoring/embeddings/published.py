"""What a sentence-transformers folder says of its encoder: pooling, what follows it, and how texts are made ready.

Read from modules.json and the folders it names, without that library; files of versions 2 to 6 are understood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from scoring.errors import InputError
from scoring.files import read_json

MODULES = "modules.json"
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len",
    "pooling_mode_weightedmean_tokens": "weighted_mean",
    "pooling_mode_lasttoken": "last",
}
_NAMES = {
    "cls": "cls", "max": "max", "mean": "mean", "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean", "lasttoken": "last",
}  # fmt: skip
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Identity": lambda x: x,
    "Tanh": torch.tanh,
    "ReLU": torch.relu,
    "GELU": functional.gelu,
    "Sigmoid": torch.sigmoid,
    "SiLU": functional.silu,
}


@dataclass(frozen=True)
class Dense:
    """y = activation(W x + b)."""

    weight: Tensor
    bias: Tensor | None
    activation: str

    def __call__(self, vectors_BD: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(vectors_BD.device)
        return _ACTIVATIONS[self.activation](
            functional.linear(vectors_BD, self.weight.to(vectors_BD.device), bias)
        )


@dataclass(frozen=True)
class Published:
    """An encoder as its authors use it.

    Attributes:
        transformer: The folder of the transformer itself.
        poolings: See ``scoring.embeddings.pooling``; several stand side by side.
        dense: Layers behind the pooling. normalize: Whether vectors end with norm 1.
        prompt: Put before every text. prompt_pooled: Whether its tokens are pooled, too.
        max_length: Tokens of a text that are read, None where nothing is said.
        lower_case: Whether texts are lower-cased first.
    """

    transformer: Path
    poolings: tuple[str, ...]
    dense: tuple[Dense, ...] = ()
    normalize: bool = False
    prompt: str = ""
    prompt_pooled: bool = True
    max_length: int | None = None
    lower_case: bool = False


def read_published(folder: Path) -> Published | None:
    """What modules.json says; None where there is none.

    Raises:
        InputError: A module or activation that is not known, or weights that are not safetensors.
    """
    if not (folder / MODULES).is_file():
        return None
    owner = f"encoder {str(folder)!r}"
    modules = sorted(read_json(folder / MODULES), key=lambda module: int(module["idx"]))
    kinds = [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise InputError(
            f"{owner}: {MODULES} must begin with Transformer and Pooling, got {', '.join(kinds)}."
        )
    transformer, pooling = (folder / module["path"] for module in modules[:2])
    about_pooling = read_json(pooling / "config.json")
    dense, normalize = [], False
    for kind, module in zip(kinds[2:], modules[2:]):
        if kind == "Dense" and not normalize:
            dense.append(_read_dense(folder / module["path"], owner))
        elif kind == "Normalize" and not normalize:
            normalize = True
        else:
            raise InputError(
                f"{owner}: modules behind the pooling may be Dense layers and then Normalize, got "
                f"{', '.join(kinds[2:])}."
            )
    text = _optional(transformer / "sentence_bert_config.json")
    whole = _optional(folder / "config_sentence_transformers.json")
    prompt = (whole.get("prompts") or {}).get(whole.get("default_prompt_name") or "", "")
    return Published(
        transformer,
        _read_poolings(about_pooling, owner),
        tuple(dense),
        normalize,
        prompt=prompt,
        prompt_pooled=bool(about_pooling.get("include_prompt", True)),
        max_length=text.get("max_seq_length"),
        lower_case=bool(text.get("do_lower_case", False)),
    )


def _read_poolings(about: dict[str, Any], owner: str) -> tuple[str, ...]:
    named = about.get("pooling_mode")
    if named is not None:
        names = [named] if isinstance(named, str) else list(named)
        if unknown := [name for name in names if name not in _NAMES]:
            raise InputError(f"{owner}: pooling must be one of {', '.join(_NAMES)}, got {unknown[0]!r}.")
        return tuple(_NAMES[name] for name in names)
    found = tuple(name for flag, name in _FLAGS.items() if about.get(flag))
    if not found:
        raise InputError(f"{owner}: the configuration of its pooling names no way to pool.")
    return found


def _read_dense(folder: Path, owner: str) -> Dense:
    weights = folder / "model.safetensors"
    if not weights.is_file():
        raise InputError(
            f"{owner}: the Dense module {folder.name!r} must have its weights in model.safetensors."
        )
    activation = str(read_json(folder / "config.json").get("activation_function") or "Tanh").rsplit(".", 1)[
        -1
    ]
    if activation not in _ACTIVATIONS:
        raise InputError(f"{owner}: activation must be one of {', '.join(_ACTIVATIONS)}, got {activation!r}.")
    tensors = load_file(weights)
    bias = tensors.get("linear.bias")
    return Dense(tensors["linear.weight"].float(), None if bias is None else bias.float(), activation)


def _optional(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = read_json(file) if file.is_file() else {}
    return found
