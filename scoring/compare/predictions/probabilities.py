"""What the runs of several architectures predict for the same examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from scoring.compare.digests import joined, values_digest
from scoring.errors import InputError, bad_value, name_some
from scoring.hashing import Ids, hash_ids

Floats = npt.NDArray[np.float64]
OWNER = "predictions"
BLOCK_NUMBERS = 1 << 19
"""Probabilities of all runs that are read at a time, as float64: a few MB, which a processor keeps at hand."""
SUM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Predictions:
    """Probabilities of every run, memory-mapped or in memory.

    Attributes:
        ids: (N,).
        labels_N: gold classes, (N,) int64, or None.
        label_names: names of the C classes.
        runs: architecture -> names of its runs.
        probabilities: architecture -> (R, N, C) float32 or float64; rows sum to 1.
        data: what they are of, in words: ``digits, split test``; empty if it is not known.
        trained_on: whether some run was trained on just these data, or it is not known on which.

    Raises:
        InputError: Shapes that do not fit each other; labels outside 0..C-1.
    """

    ids: Ids
    labels_N: npt.NDArray[np.int64] | None
    label_names: Sequence[str]
    runs: Mapping[str, Sequence[str]]
    probabilities: Mapping[str, npt.NDArray[np.floating]]
    data: str = ""
    trained_on: bool = True

    def __post_init__(self) -> None:
        if not self.runs or list(self.runs) != list(self.probabilities) or not all(self.runs.values()):
            raise bad_value(
                "runs", OWNER, dict(self.runs), "the runs, at least one, of every array of probabilities"
            )
        for name, array in self.probabilities.items():
            expected = (len(self.runs[name]), len(self.ids), len(self.label_names))
            if array.shape != expected or min(expected) < 1:
                raise bad_value(
                    f"probabilities of {name}", OWNER, array.shape, f"(runs, examples, classes) = {expected}"
                )
        if self.labels_N is not None:
            labels, classes = np.asarray(self.labels_N), len(self.label_names)
            if labels.shape != (len(self.ids),) or labels.min() < 0 or labels.max() >= classes:
                raise bad_value(
                    "labels", OWNER, labels.shape, f"{len(self.ids)} classes from 0 to {classes - 1}"
                )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def architectures(self) -> tuple[str, ...]:
        return tuple(self.runs)

    @property
    def owner_M(self) -> npt.NDArray[np.int64]:
        """Which architecture each of all M runs belongs to, (M,): the runs of the first one come first."""
        return np.repeat(np.arange(len(self.runs)), [len(names) for names in self.runs.values()])

    @property
    def digest(self) -> str:
        """Of ids, labels and all probabilities; rows in another order have the same one."""
        ids_N = hash_ids(self.ids)
        parts = {name: values_digest(array, ids_N) for name, array in self.probabilities.items()}
        if self.labels_N is not None:
            parts["labels"] = values_digest(np.asarray(self.labels_N, dtype=np.float64)[None], ids_N)
        return joined({"classes": "\n".join(map(str, self.label_names)), **parts})

    def only(self, architectures: Sequence[str]) -> Predictions:
        """The named architectures alone, in that order."""
        runs = {name: self.runs[name] for name in architectures}
        return replace(self, runs=runs, probabilities={name: self.probabilities[name] for name in runs})

    def blocks(self) -> Iterator[tuple[slice, Floats]]:
        """Yield (rows, probabilities of all runs (M, B, C) float64), block by block.

        Raises:
            InputError: Something that is no distribution over the classes.
        """
        classes = len(self.label_names)
        size = max(1, BLOCK_NUMBERS // (len(self.owner_M) * classes))
        for start in range(0, len(self), size):
            rows = slice(start, min(start + size, len(self)))
            block_MBC = np.concatenate(
                [array[:, rows] for array in self.probabilities.values()], dtype=np.float64
            )
            # NaN fails both comparisons.
            fine_MB = np.abs(block_MBC.sum(axis=2) - 1) <= SUM_TOLERANCE
            if not (fine_MB.all() and block_MBC.min() >= 0):
                wrong_B = ~fine_MB.all(axis=0) | (block_MBC < 0).any(axis=(0, 2))
                raise InputError(
                    f"{OWNER}: probabilities must be at least 0 and sum to 1 over the classes, and those of "
                    f"{name_some(self.ids[rows][wrong_B].tolist())} do not."
                )
            yield rows, block_MBC
