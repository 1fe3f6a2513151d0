"""Wrong labels, planted in a known way or read from a column where people made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples
from training.interventions.counts import check_rate, class_counts, labels_of
from training.interventions.intervention import Intervened, Planted
from training.interventions.noisy_labels import NoisyLabels, confuse_labels, flip_labels, shuffle_labels


@dataclass(frozen=True)
class UniformNoise:
    """Exactly ``rate`` of the labels become another class, uniformly (``flip_labels``)."""

    rate: float

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        return noisy("uniform_noise", examples, flip_labels(examples, self.rate, seed), self.rate)


@dataclass(frozen=True)
class ShuffleNoise:
    """The labels of ``rate`` of the rows are shuffled among them; fewer really change (``shuffle_labels``)."""

    rate: float

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        return noisy("shuffle_noise", examples, shuffle_labels(examples, self.rate, seed), self.rate)


@dataclass(frozen=True)
class ClassNoise:
    """``matrix[i][j]`` of class i is labelled j (``confuse_labels``).

    A whole matrix (C, C), or by name only what is mistaken: ``{cat: {dog: 0.3}}`` makes 30 % of the cats dogs and
    leaves everything else. Counts of every class are exact.
    """

    matrix: Sequence[Sequence[float]] | Mapping[str, Mapping[str, float]]

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        matrix: npt.ArrayLike = self.matrix  # type: ignore[assignment]
        if isinstance(self.matrix, Mapping):
            matrix = named_matrix(self.matrix, examples, "class_noise")
        return noisy("class_noise", examples, confuse_labels(examples, matrix, seed), None)


@dataclass(frozen=True)
class PairNoise:
    """``rate`` of every class, to the nearest row, becomes the next class, the last one the first.

    Pair flipping, Han et al. 2018 (Co-teaching), section 4.
    """

    rate: float

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        check_rate(self.rate, "pair_noise")
        matrix = (1 - self.rate) * np.eye(examples.num_classes)
        matrix += self.rate * np.roll(np.eye(examples.num_classes), 1, axis=1)
        return noisy("pair_noise", examples, confuse_labels(examples, matrix, seed), self.rate)


@dataclass(frozen=True)
class AsymmetricNoise:
    """``rate`` of some classes, to the nearest row, becomes the class that each is mistaken for.

    Patrini et al. 2017, section 5. ``flips`` names the classes, as theirs for CIFAR-10: ``{truck: automobile,
    bird: airplane, deer: horse, cat: dog, dog: cat}``. Classes that are not named stay.
    """

    rate: float
    flips: Mapping[str, str]

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        check_rate(self.rate, "asymmetric_noise")
        if not isinstance(self.flips, Mapping):
            raise bad_value("flips", "asymmetric_noise", self.flips, "classes by class, such as {cat: dog}")
        shares = {source: {target: self.rate} for source, target in self.flips.items()}
        matrix = named_matrix(shares, examples, "asymmetric_noise")
        return noisy("asymmetric_noise", examples, confuse_labels(examples, matrix, seed), self.rate)


@dataclass(frozen=True)
class LabelsFrom:
    """Labels from another ``column`` of the data, such as those of other annotators.

    Its values must be classes of the data. Planted are the rows whose label differs from the one before, so load the
    true labels and put the others in their place.
    """

    column: str

    def apply(self, examples: Examples, seed: int) -> Intervened:
        """See ``Intervention``."""
        if not isinstance(self.column, str) or self.column not in examples.columns:
            raise unknown_name("column", "labels_from", str(self.column), examples.columns)
        before = labels_of(examples, "labels_from")
        places = {name: index for index, name in enumerate(examples.label_names)}
        read = examples.table.read(self.column, examples.table_rows(np.arange(len(examples))))
        values = read.tolist() if isinstance(read, np.ndarray) else read.to_pylist()
        unknown = [value for value in values if str(value) not in places]
        if unknown:
            raise unknown_name(f"a label in {self.column!r}", "labels_from", str(unknown[0]), places)
        labels = np.array([places[str(value)] for value in values], dtype=np.int64)
        made = NoisyLabels(examples.with_labels(labels), labels != before)
        return noisy(f"labels_from {self.column}", examples, made, None)


def named_matrix(
    shares: Mapping[str, Mapping[str, float]], examples: Examples, owner: str
) -> npt.NDArray[np.float64]:
    """The confusion matrix (C, C) of shares by class name; what is not named keeps its label."""
    places = {name: index for index, name in enumerate(examples.label_names)}
    matrix = np.eye(len(places))
    for source, targets in shares.items():
        if not isinstance(targets, Mapping):
            raise bad_value("matrix", owner, targets, "shares by class, such as {cat: {dog: 0.3}}")
        for name in (source, *targets):
            if str(name) not in places:
                raise unknown_name("class", owner, str(name), places)
        row = places[str(source)]
        for target, share in targets.items():
            check_rate(share, owner)
            if places[str(target)] != row:
                matrix[row, places[str(target)]] += share
                matrix[row, row] -= share
        if matrix[row, row] < -1e-9:
            raise InputError(f"{owner}: the shares of {source} must not sum to more than 1.")
        matrix[row, row] = max(0.0, matrix[row, row])
    return matrix


def noisy(name: str, before: Examples, made: NoisyLabels, asked: float | None) -> Intervened:
    """Changed labels with what they came to: the rate, and how many of every class changed."""
    assert before.labels is not None
    told: dict[str, Any] = {
        "name": name, "rate": made.rate, "changed": int(made.flipped.sum()),
        "changed_of_class": class_counts(before.labels[made.flipped], before.label_names),
    }  # fmt: skip
    if asked is not None:
        told["asked"] = asked
    planted = (Planted(name, made.flipped),) if made.flipped.any() else ()
    return Intervened(made.examples, made.flipped, (told,), planted, np.arange(len(before)))
