"""The noise check: how many labels are wrong, is that estimate any good here, and what did people find?"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scoring.compare.predictions.predicting import predictions_of_runs
from scoring.errors import InputError, name_some, unknown_name
from scoring.examples import Examples
from training.advice.confident_joint import Floats
from training.advice.noise_share import noise_share
from training.advice.planted_flips import PlantedCheck, planted_checks
from training.architectures import Architecture
from training.crossfit import train_folds
from training.laws.uncertainty.interval import Interval, wilson_interval

OWNER = "advise"
AGREES = (0.7, 1.3)
"""The estimate is believed where planted flips raise it by this many times what they should."""
ENOUGH_CHECKED = 30
"""Labels that people checked count from so many on."""


@dataclass(frozen=True)
class NoiseCheck:
    """What is known of wrong labels.

    Attributes:
        model: What was cross-fitted, and ``accuracy`` of it on the labels as they are, left out.
        estimate: The share that the confident joint gives, with the interval of chance alone.
        planted: What became of flips planted on purpose.
        checked: Share of wrong labels among those that people checked, with Wilson's interval; None where none were.
        checked_rows: How many those are.
    """

    model: str
    accuracy: float
    estimate: Interval
    planted: tuple[PlantedCheck, ...]
    checked: Interval | None = None
    checked_rows: int = 0

    @property
    def sees(self) -> bool:
        """Whether the estimate rose as it should for every planted rate; False where none was tried."""
        low, high = AGREES
        return bool(self.planted) and all(low <= each.recovered <= high for each in self.planted)

    @property
    def findable(self) -> bool:
        """Whether a model's scores can be expected to find the wrong labels.

        It must see planted ones, and where people found more wrong labels than it sees (intervals apart), it
        has learned them.
        """
        if not self.sees:
            return False
        return (
            self.checked_rows < ENOUGH_CHECKED
            or self.checked is None
            or self.checked.low <= self._widened.high
        )

    @property
    def _widened(self) -> Interval:
        factors = [1.0, *(each.recovered for each in self.planted)]
        low, high = self.estimate.low / max(factors), self.estimate.high / min(factors)
        return Interval(self.estimate.value, low, min(1.0, high), self.estimate.level)

    @property
    def share(self) -> Interval | None:
        """The share of wrong labels to act on: what people found, else the estimate if it can be believed, else None.

        The ends of the estimate are widened by what the planted flips recovered: a share that rises s times too fast or
        too slowly is divided by s.
        """
        if self.checked is not None and self.checked_rows >= ENOUGH_CHECKED:
            return self.checked
        if not self.sees:
            return None
        return self._widened


def noise_check(
    examples: Examples,
    model: Architecture,
    *,
    out: str | Path | None = None,
    folds: int = 5,
    seeds: Sequence[int] = (0, 1),
    planted: Sequence[float] = (0.05, 0.1),
    checked: str | None = None,
    device: str = "auto",
    progress: bool = False,
    **settings: Any,
) -> NoiseCheck:
    """Cross-fit a cheap model to the labels as they are and with planted flips, and count.

    Args:
        examples: With labels.
        model: Trained ``folds`` times per seed for the labels as they are and for every planted rate.
        out: Keeps the runs; by default they are not kept.
        planted: Shares of labels to flip for the check of the estimate; empty: no check, and so no share to act on.
        checked: Column with the class that a person gave, null where nobody looked. Should be of random rows.
        settings: Of ``train_folds``.
    """
    labels = examples.labels
    if labels is None:
        raise InputError(f"{OWNER}: examples must have labels, and {examples.name} has none.")
    found = Interval(float("nan"), 0.0, 0.0, 0.95), 0
    known = None if checked is None else checked_labels(examples, checked)
    if known is not None and known:
        wrong = [examples.label_names[labels[row]] != name for row, name in known.items()]
        found = wilson_interval(float(np.mean(wrong)), len(wrong)), len(wrong)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) if out is None else Path(out)

        def cross_fit(some: Examples, name: str) -> Floats:
            train_folds(
                some, model.model, folds=folds, out=place / name, seeds=seeds, model_options=model.options,
                device=device, progress=progress, **settings,
            )  # fmt: skip
            given = None if isinstance(model.model, str) else model.model
            made = predictions_of_runs({"fit": place / name}, some, device=device, model=given)
            return np.asarray(made.probabilities["fit"], dtype=np.float64)

        p_SNC = cross_fit(examples, "as-is")
        estimate = noise_share(labels, p_SNC, examples.ids)
        checks = planted_checks(examples, cross_fit, estimate.value, planted)
    accuracy = float((p_SNC.argmax(axis=2) == labels).mean())
    return NoiseCheck(model.name, accuracy, estimate, checks, found[0] if found[1] else None, found[1])


def checked_labels(examples: Examples, column: str) -> Mapping[int, str]:
    """Row -> the class that a person gave it, of the rows where there is one.

    Numbers are classes by their digits, or by position where no class is called so: a column of whole numbers with
    gaps is often read as one of fractions. A class that no label has is a wrong label like any other.

    Raises:
        InputError: A column that is not there, or of whose values none is a class.
    """
    if column not in examples.columns:
        raise unknown_name("checked", OWNER, column, examples.columns)
    read = examples.table.read(column, examples.table_rows(np.arange(len(examples))))
    values = read.tolist() if isinstance(read, np.ndarray) else read.to_pylist()
    found = {
        row: _class_of(value, examples.label_names)
        for row, value in enumerate(values)
        if value is not None and value == value and value != ""
    }
    if found and not set(found.values()) & set(examples.label_names):
        raise InputError(
            f"{OWNER}: checked column {column!r} must hold classes such as {name_some(examples.label_names)}, got "
            f"{name_some(dict.fromkeys(found.values()))}."
        )
    return found


def _class_of(value: Any, names: Sequence[str]) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        return str(value)
    told, at = str(int(value)), int(value)
    return names[at] if told not in names and 0 <= at < len(names) else told
