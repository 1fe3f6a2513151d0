"""The settings of a training: checked once, stored in run.json, part of what identifies a run."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from scoring.errors import InputError, bad_value, unknown_name
from scoring.inference import PRECISIONS
from training.augment import AUGMENTATIONS
from training.cadence import Cadence
from training.optim import SCHEDULES, warmup_steps

DEFAULT_EPOCHS = 10
MOST_AUTO = 20
RECORD = (False, True, "auto", "logits", "summary")

OTHERS = (
    "out", "evaluate", "subset", "seeds", "start", "model_options", "device", "resume_seconds", "allow_changed_data",
    "trust_remote_code", "progress", "online",
)  # fmt: skip
"""Keywords of ``train`` that are not settings of the single run."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """See ``training.run.train``."""

    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 64
    accumulate: int = 1
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    optimizer_options: Mapping[str, Any] = field(default_factory=dict)
    schedule: str = "cosine"
    warmup: float = 0.0
    clip: float | None = None
    precision: str = "float32"
    augment: str = "none"
    record: bool | str = False
    clean_every: str | int | None = "auto"
    checkpoint_every: str | int | None = "auto"
    checkpoint_start: bool = False
    evaluate_every: str | int | None = "auto"
    save_optimizer: bool = False

    @classmethod
    def read(cls, owner: str, given: Mapping[str, Any]) -> Self:
        """Settings from keywords of ``owner``."""
        names = [each.name for each in fields(cls)]
        for name in given:
            if name not in names:
                raise unknown_name("option", owner, name, {*names, *OTHERS} - {name})
        return cls(**given)

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise InputError("train: give epochs or steps, not both.")
        for name in ("epochs", "steps", "batch_size", "accumulate"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise bad_value(name, "train", value, "a whole number of at least 1")
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise bad_value(name, "train", value, "a positive number")
        if self.accumulate > self.batch_size:
            raise bad_value("accumulate", "train", self.accumulate, f"at most batch_size ({self.batch_size})")
        if self.schedule not in SCHEDULES:
            raise unknown_name("schedule", "train", self.schedule, SCHEDULES)
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", "train", self.precision, PRECISIONS)
        if self.weight_decay is not None and not 0 <= self.weight_decay < math.inf:
            raise bad_value("weight_decay", "train", self.weight_decay, "0 or a positive number")
        if self.augment not in AUGMENTATIONS:
            raise unknown_name("augment", "train", self.augment, AUGMENTATIONS)
        for name in ("checkpoint_start", "save_optimizer"):
            if not isinstance(getattr(self, name), bool):
                raise bad_value(name, "train", getattr(self, name), "true or false")
        if self.record not in RECORD:
            raise bad_value("record", "train", self.record, "True, False, 'logits' or 'summary'")
        warmup_steps(self.warmup, 1)
        for name in ("clean_every", "checkpoint_every", "evaluate_every"):
            value = getattr(self, name)
            if value != "auto":
                Cadence.parse(value, name, "train")

    def total_steps(self, rows: int, drawn: int | None = None) -> int:
        """Updates in all, for a training set of ``rows``."""
        if self.steps is not None:
            return self.steps
        return (self.epochs or DEFAULT_EPOCHS) * self.steps_per_epoch(rows, drawn)

    def steps_per_epoch(self, rows: int, drawn: int | None = None) -> int:
        """Updates per epoch; the last batch of an epoch may be smaller.

        ``drawn`` is how many examples an update takes from the epoch, if not ``batch_size``: of online selection.
        """
        return math.ceil(rows / (drawn or self.batch_size))

    def cadence(self, name: str, rows: int, drawn: int | None = None) -> Cadence:
        """A cadence; ``auto`` is every epoch, thinned out so that there are at most 20 (and the end)."""
        value = getattr(self, name)
        if value != "auto":
            return Cadence.parse(value, name, "train")
        epochs = self.total_steps(rows, drawn) / self.steps_per_epoch(rows, drawn)
        return Cadence(max(1, math.ceil(epochs / MOST_AUTO)), "epoch")

    def passes(self, name: str, rows: int) -> int:
        """How often a cadence comes due in a training on ``rows``, the end included."""
        cadence = self.cadence(name, rows)
        unit = self.steps_per_epoch(rows) if cadence.unit == "epoch" else 1
        return math.ceil(self.total_steps(rows) / (cadence.number * unit)) if cadence.number else 1

    @property
    def keep(self) -> str:
        """What the recorder keeps."""
        return self.record if isinstance(self.record, str) else "auto"

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        return {**asdict(self), "optimizer_options": dict(self.optimizer_options)}


def read_seeds(seeds: Iterable[int], owner: str) -> list[int]:
    """Different whole numbers, at least one; numpy's become Python's, whose hashes they must have."""
    try:
        given = list(seeds)
    except TypeError:
        raise bad_value("seeds", owner, seeds, f"a list, such as [{seeds}] or range(3)") from None
    try:
        numbers = [operator.index(seed) for seed in given]
    except TypeError:
        numbers = []
    if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < 0:
        raise bad_value("seeds", owner, given, "one or more different whole numbers from 0")
    return numbers
