"""Wrong labels, planted in a known way or read from a column where people made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scoring.errors import InputError, unknown_name
from scoring.examples import Examples
from training.interventions.intervention import Intervened
from training.noise import NoisyLabels, confuse_labels, flip_labels, shuffle_labels


@dataclass(frozen=True)
class UniformNoise:
    """Exactly ``rate`` of the labels become another class, uniformly (``training.noise.flip_labels``)."""

    rate: float

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        return _noisy("uniform_noise", flip_labels(examples, self.rate, seed), self.rate)


@dataclass(frozen=True)
class ShuffleNoise:
    """The labels of ``rate`` of the rows are shuffled among them; fewer really change (``shuffle_labels``)."""

    rate: float

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        return _noisy("shuffle_noise", shuffle_labels(examples, self.rate, seed), self.rate)


@dataclass(frozen=True)
class ClassNoise:
    """``matrix[i][j]`` of class i is labelled j (``confuse_labels``)."""

    matrix: Sequence[Sequence[float]]

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        return _noisy("class_noise", confuse_labels(examples, self.matrix, seed), None)


@dataclass(frozen=True)
class LabelsFrom:
    """Labels from another ``column`` of the data, such as those of other annotators.

    Its values must be classes of the data. Planted are the rows whose label differs from the one before, so load the
    true labels and put the others in their place.
    """

    column: str

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        if self.column not in examples.columns:
            raise unknown_name("column", "labels_from", self.column, examples.columns)
        if examples.labels is None:
            raise InputError(f"labels_from: examples must have labels, got {examples.name!r} without.")
        places = {name: index for index, name in enumerate(examples.label_names)}
        read = examples.table.read(self.column, examples.table_rows(np.arange(len(examples))))
        values = read.tolist() if isinstance(read, np.ndarray) else read.to_pylist()
        unknown = [value for value in values if str(value) not in places]
        if unknown:
            raise unknown_name(f"a label in {self.column!r}", "labels_from", str(unknown[0]), places)
        labels = np.array([places[str(value)] for value in values], dtype=np.int64)
        changed = labels != examples.labels
        return _noisy(f"labels_from {self.column}", NoisyLabels(examples.with_labels(labels), changed), None)


def _noisy(name: str, noisy: NoisyLabels, asked: float | None) -> Intervened:
    told: Mapping[str, Any] = {"name": name, "rate": noisy.rate, "changed": int(noisy.flipped.sum())}
    return Intervened(
        noisy.examples, noisy.flipped, ({**told, "asked": asked} if asked is not None else told,)
    )
