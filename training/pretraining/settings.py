"""The settings of a pretraining: checked once, stored in run.json, part of what identifies a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from scoring.errors import InputError, bad_value, unknown_name
from scoring.inference import PRECISIONS
from training.optim import SCHEDULES, warmup_steps

OWNER = "pretrain"


@dataclass(frozen=True, kw_only=True)
class PretrainSettings:
    """How D tokens are trained on.

    Attributes:
        tokens: D, predicted tokens in all, met exactly: the last update may be smaller.
        length: T, tokens of a sequence.
        batch_tokens: tokens per update, a multiple of ``length``.
        lr: the peak learning rate; None is the rule of ``decoder.learning_rate``, which is for adamw.
        final_lr: what share of it the schedule ends at.
        warmup: a share of all updates, or a number of them.
        optimizer: a name as for ``train``; others than adamw need ``lr``.
        optimizer_options: of the optimizer; None is betas of 0.9 and 0.95 for adamw, the library's defaults for others.
        clip: the largest gradient norm, or None.
        evaluate_at: shares of all updates after which held-out losses are measured; the end always is.
        curve: how many values of the training loss are kept, each the mean since the one before.
    """

    tokens: int
    length: int = 128
    batch_tokens: int = 512
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float = 0.1
    optimizer_options: Mapping[str, Any] | None = None
    schedule: str = "cosine"
    final_lr: float = 0.1
    warmup: float = 0.05
    clip: float | None = 1.0
    precision: str = "float32"
    evaluate_at: Sequence[float] = (0.5,)
    curve: int = 100

    @classmethod
    def read(cls, owner: str, given: Mapping[str, Any]) -> Self:
        """Settings from keywords of ``owner``."""
        names = [each.name for each in fields(cls)]
        for name in given:
            if name not in names:
                raise unknown_name("option", owner, name, names)
        if "tokens" not in given:
            raise InputError(f"{owner}: give tokens, the number of tokens to train on.")
        return cls(**given)

    def __post_init__(self) -> None:
        if self.optimizer_options is None:
            object.__setattr__(self, "optimizer_options", self._default_options())
        for name in ("tokens", "length", "batch_tokens", "curve"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise bad_value(name, OWNER, value, "a whole number of at least 1")
        if self.batch_tokens % self.length:
            raise bad_value("batch_tokens", OWNER, self.batch_tokens, f"a multiple of length ({self.length})")
        for name in ("lr", "clip"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise bad_value(name, OWNER, value, "a positive number")
        if not 0 <= self.weight_decay < math.inf:
            raise bad_value("weight_decay", OWNER, self.weight_decay, "0 or a positive number")
        if not 0 <= self.final_lr <= 1:
            raise bad_value("final_lr", OWNER, self.final_lr, "a fraction from 0 to 1")
        if self.schedule not in SCHEDULES:
            raise unknown_name("schedule", OWNER, self.schedule, SCHEDULES)
        if self.precision not in PRECISIONS:
            raise unknown_name("precision", OWNER, self.precision, PRECISIONS)
        if not all(0 < share < 1 for share in self.evaluate_at):
            raise bad_value("evaluate_at", OWNER, list(self.evaluate_at), "fractions between 0 and 1")
        if self.lr is None and self.optimizer.lower() != "adamw":
            raise InputError(
                f"{OWNER}: give lr with optimizer {self.optimizer!r}; only that of adamw is known."
            )
        warmup_steps(self.warmup, 1)

    def _default_options(self) -> dict[str, Any]:
        return {"betas": (0.9, 0.95)} if self.optimizer.lower() == "adamw" else {}

    @property
    def steps(self) -> int:
        """Updates in all."""
        return math.ceil(self.tokens / self.batch_tokens)

    @property
    def evaluation_steps(self) -> frozenset[int]:
        """Updates after which held-out losses are measured."""
        return frozenset({max(1, round(share * self.steps)) for share in self.evaluate_at} | {self.steps})

    @property
    def curve_every(self) -> int:
        """Updates between two values of the training loss."""
        return max(1, math.ceil(self.steps / self.curve))

    def to_json(self) -> dict[str, Any]:
        """For run.json."""
        options = {**(self.optimizer_options or {})}
        return {**asdict(self), "optimizer_options": options, "evaluate_at": list(self.evaluate_at)}
