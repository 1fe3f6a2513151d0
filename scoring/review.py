"""What scorers have to say of their finished columns: tallies that add up over rows and shards, then one review."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import torch

from scoring.plan import Column

Tally = dict[str, float]


def tally(columns: Sequence[Column], data: Mapping[str, npt.NDArray[Any]]) -> dict[str, Tally]:
    """Of every column that tallies, from the values of some rows: column name -> numbers."""
    found = {}
    for column in columns:
        beside = {
            name.removeprefix(column.name).removeprefix("."): torch.tensor(values)
            for name, values in data.items()
            if (name == column.name or name.startswith(f"{column.name}.")) and values.dtype.kind == "f"
        }
        if beside and (numbers := column.scorer.tally(beside)):
            found[column.name] = numbers
    return found


def add_tallies(tallies: Sequence[Mapping[str, Tally]]) -> dict[str, Tally]:
    """One of all rows, from those of parts of them."""
    total: dict[str, Tally] = {}
    for part in tallies:
        for name, numbers in part.items():
            total[name] = _merged(total[name], numbers) if name in total else dict(numbers)
    return total


def _merged(a: Mapping[str, float], b: Mapping[str, float]) -> Tally:
    merge = {"min_": min, "max_": max}
    return {
        key: next((f(value, b[key]) for start, f in merge.items() if key.startswith(start)), value + b[key])
        for key, value in a.items()
    }


def review(
    columns: Sequence[Column], tallies: Mapping[str, Tally], described: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Descriptions of columns with what their scorers say of the values; warnings are given."""
    found = dict(described)
    for column in columns:
        if column.name in tallies:
            said = column.scorer.review(tallies[column.name])
            found[column.name] = {**found[column.name], "summary": dict(said.summary)}
            for sentence in said.warnings:
                warnings.warn(f"{column.name}: {sentence}.", stacklevel=3)
    return found
