"""The presentations of an epoch that has not ended: appended cheaply, cut into files where each example comes once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scoring.errors import bad_value

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Presentations:
    """P presentations: rows of the examples, updates and epochs made before each, and what was recorded."""

    rows_P: IntArray
    steps_P: IntArray
    epochs_P: npt.NDArray[np.float64]
    fields: Mapping[str, Tensor]

    def take(self, places: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Presentations:
        """Those at ``places``, in that order."""
        index = torch.from_numpy(places)
        fields = {name: values[index] for name, values in self.fields.items()}
        return Presentations(self.rows_P[places], self.steps_P[places], self.epochs_P[places], fields)

    def rounds(self) -> Iterator[Presentations]:
        """The first presentation of every example, then all the second ones, and so on; each sorted by row."""
        order = np.argsort(self.rows_P, kind="stable")
        ordered = self.rows_P[order]
        number = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, side="left")
        for which in range(int(number.max()) + 1):
            yield self.take(order[number == which])


class EpochBuffer:
    """Presentations of examples 0..N-1 since the last end of an epoch."""

    def __init__(self, n: int) -> None:
        self._parts: list[Presentations] = []
        self._seen = np.zeros(n, dtype=np.bool_)

    def __len__(self) -> int:
        return sum(len(part.rows_P) for part in self._parts)

    def has_any(self, rows: IntArray) -> bool:
        """Whether an example of ``rows`` was presented in this epoch."""
        return bool(self._seen[rows].any())

    def add(self, part: Presentations) -> None:
        """Append; all parts hold the same fields of the same width."""
        if self._parts:
            before, now = (_widths(presentations) for presentations in (self._parts[0], part))
            if before != now:
                raise bad_value("logits", "Recorder", now, f"of the same form in all batches, {before}")
        self._seen[part.rows_P] = True
        self._parts.append(part)

    def all(self) -> Presentations:
        """Everything in order of presentation; there must be something."""
        parts = self._parts
        return Presentations(
            np.concatenate([part.rows_P for part in parts]),
            np.concatenate([part.steps_P for part in parts]),
            np.concatenate([part.epochs_P for part in parts]),
            {name: torch.cat([part.fields[name] for part in parts]) for name in parts[0].fields},
        )

    def clear(self) -> None:
        """Forget everything."""
        self._parts = []
        self._seen[:] = False


def _widths(part: Presentations) -> dict[str, tuple[int, ...]]:
    return {name: tuple(values.shape[1:]) for name, values in part.fields.items()}
