"""Nested state of optimizers and recorders as safetensors and JSON; no pickle.

Besides values, the order in which a tensor lies in memory is kept: matrix products round differently when it changes,
and a resumed training must not differ in the last bit from one that was not interrupted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def save_tensors(stem: Path, state: Mapping[str, Any]) -> None:
    """Write tensors, arrays and plain values, nested in dictionaries, lists and tuples.

    The tensors go to ``<stem>.safetensors``, everything else to ``<stem>.json``.

    Raises:
        InputError: A value of another type.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    structure = _flatten(state, "", tensors)
    save_file(tensors, str(stem.with_suffix(".safetensors")))
    stem.with_suffix(".json").write_text(json.dumps(structure), encoding="utf-8")


def load_tensors(stem: Path) -> Any:
    """What ``save_tensors`` wrote, on the CPU."""
    from safetensors.torch import load_file

    tensors = load_file(str(stem.with_suffix(".safetensors")))
    return _unflatten(json.loads(stem.with_suffix(".json").read_text(encoding="utf-8")), tensors)


def _flatten(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        strides = value.stride()
        order = sorted(range(value.dim()), key=lambda d: (-strides[d], d))
        name = f"{len(tensors)}{place}"
        # A clone each: safetensors refuses tensors that share memory.
        tensors[name] = value.detach().cpu().permute(order).clone(memory_format=torch.contiguous_format)
        return {"tensor": [name, order]}
    if isinstance(value, np.ndarray):
        return {"array": _flatten(torch.from_numpy(value), place, tensors)}
    if isinstance(value, Mapping):
        return {"map": [[key, _flatten(item, f"{place}/{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_flatten(item, f"{place}/{i}", tensors) for i, item in enumerate(value)]}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    if value is None or isinstance(value, bool | int | float | str):
        return {"value": value}
    if isinstance(value, np.generic):
        return {"value": value.item()}
    raise InputError(
        f"save_tensors: state must consist of tensors, arrays and plain values, got {type(value).__name__} "
        f"in {place.removeprefix('/')}."
    )


def _unflatten(node: Any, tensors: Mapping[str, Tensor]) -> Any:
    import torch

    [(kind, content)] = node.items()
    if kind == "tensor":
        name, order = content
        # A clone keeps the order, and lies at an aligned place as the original did: sums round differently elsewhere.
        return tensors[name].permute([order.index(d) for d in range(len(order))]).clone()
    if kind == "array":
        return _unflatten(content, tensors).numpy()
    if kind == "map":
        return {key: _unflatten(item, tensors) for key, item in content}
    if kind in ("list", "tuple"):
        items = [_unflatten(item, tensors) for item in content]
        return items if kind == "list" else tuple(items)
    if kind == "dtype":
        dtype = getattr(torch, content)
        assert isinstance(dtype, torch.dtype)
        return dtype
    return content
