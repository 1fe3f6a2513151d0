"""The rows that a ``Trainer`` trains on, as the inputs of a clean pass: same preprocessing, same collator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import torch
from torch import Tensor

from scoring.networks.inputs import Prepared

ROW = "tamis_row"
"""Column of the training data: the position of the row's example."""

_TARGETS = {ROW, "label", "labels", "label_ids"}


def logits_of(outputs: Any) -> Tensor:
    """The logits (B, C) in whatever a classifier returns: a ModelOutput, a dictionary, a tuple or the tensor."""
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, dict):  # a ModelOutput is one
        outputs = [outputs["logits"]] if "logits" in outputs else list(outputs.values())
    # Tuples put the loss, a scalar, before the logits.
    found: Tensor = next(value for value in outputs if isinstance(value, Tensor) and value.ndim > 0)
    return found


class TrackedRows(Prepared):
    """Examples as the rows of a tracked dataset; ``rows`` are the examples that it has, in order."""

    def __init__(self, dataset: Any, collate: Callable[[list[Any]], Any], n: int) -> None:
        self._dataset, self._collate = dataset, collate
        self.rows, first = np.unique(np.asarray(dataset[ROW][:]), return_index=True)
        self._place: npt.NDArray[np.int64] = np.full(n, -1, dtype=np.int64)
        self._place[self.rows] = first
        self.lengths = np.ones(n, dtype=np.int64)
        if "input_ids" in dataset.column_names:
            tables = dataset.select_columns("input_ids").with_format("arrow").iter(batch_size=10_000)
            lengths = [pc.list_value_length(table["input_ids"]).to_numpy() for table in tables]
            self.lengths[self.rows] = np.concatenate(lengths)[first]

    def batch(self, rows: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        features = self._dataset.__getitems__(self._place[rows].tolist())
        return {name: value for name, value in self._collate(features).items() if name not in _TARGETS}


@dataclass(frozen=True)
class _Ready:
    """Inputs that are prepared already."""

    prepared: Prepared

    def prepare(self, *_: Any) -> Prepared:
        return self.prepared


class CleanModel:
    """The network under training, as ``Recorder.clean`` and ``forward_logits`` read a model."""

    def __init__(self, module: torch.nn.Module, inputs: Any) -> None:
        self.module = module
        self.inputs = _Ready(inputs) if isinstance(inputs, Prepared) else inputs

    def logits(self, batch: dict[str, Tensor]) -> Tensor:
        return logits_of(self.module(**batch))
