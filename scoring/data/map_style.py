"""Columns from a torch map-style dataset, read once, one item at a time."""

from collections.abc import Mapping
from typing import Any

import torch

from scoring.data.columns import ArrayColumns
from scoring.data.schema import OWNER
from scoring.errors import InputError


def read_map_style(dataset: Any) -> ArrayColumns:
    """Items ``(x, y)`` or dictionaries, as columns x and y, or by key; kept in memory.

    Random transforms run on a fixed torch seed, without touching the caller's generator. Class names come from the
    attribute ``classes`` that torchvision's datasets have.
    """
    cells: dict[str, list[Any]] = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for row in range(len(dataset)):
            for name, value in _named(dataset[row], row).items():
                cells.setdefault(name, []).append(_plain(value))
    classes = getattr(dataset, "classes", None)
    named = (
        isinstance(classes, list | tuple) and "y" in cells and all(isinstance(each, str) for each in classes)
    )
    return ArrayColumns(cells, {"y": classes} if named and classes else None)


def _named(item: Any, row: int) -> Mapping[str, Any]:
    if isinstance(item, Mapping):
        return item
    if isinstance(item, tuple | list) and len(item) in (1, 2):
        return dict(zip(("x", "y"), item))
    told = f"{type(item).__name__} of {len(item)}" if isinstance(item, tuple | list) else type(item).__name__
    raise InputError(
        f"{OWNER}: items of a torch dataset must be (x, y) or dictionaries, got a {told} in row {row}."
    )


def _plain(value: Any) -> Any:
    """Single numbers as Python numbers; everything else as it is."""
    if hasattr(value, "item") and hasattr(value, "ndim") and value.ndim == 0:
        return value.item()
    return value
