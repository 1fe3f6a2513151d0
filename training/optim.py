"""Optimizers by name, and learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn, optim

from scoring.errors import InputError, bad_value, missing_extra, unknown_name
from scoring.model_options import learning_rate

SCHEDULES = ("constant", "linear", "cosine")

# Optimizers that need a closure or sparse gradients do not fit a plain loop.
_TORCH = {
    name.lower(): cls
    for name, cls in vars(optim).items()
    if isinstance(cls, type)
    and issubclass(cls, optim.Optimizer)
    and name not in ("Optimizer", "LBFGS", "SparseAdam")
}


def default_lr(optimizer: str, model: str, kind: str) -> float:
    """0.1 for SGD; for others what suits AdamW with this model (``scoring.model_options.learning_rate``)."""
    return 0.1 if optimizer.lower() == "sgd" else learning_rate(model, kind)


def make_optimizer(
    name: str, parameters: Iterable[nn.Parameter], lr: float, options: Mapping[str, Any]
) -> optim.Optimizer:
    """An optimizer of ``torch.optim`` or of the package pytorch-optimizer, by its name in any case.

    SGD has momentum 0.9 unless ``options`` say otherwise; every other option is the library's default.
    """
    key = name.lower()
    options = {"momentum": 0.9, **options} if key == "sgd" else dict(options)
    cls: Any = _TORCH.get(key)
    if cls is None:
        try:
            from pytorch_optimizer import get_supported_optimizers, load_optimizer
        except ImportError:
            error = missing_extra("pytorch-optimizer", "optimizers")
            raise type(error)(
                f"{unknown_name('optimizer', 'train', name, _TORCH)} More with {error}"
            ) from None
        others = set(get_supported_optimizers())
        if key not in others:
            raise unknown_name("optimizer", "train", name, {*_TORCH, *others})
        cls = load_optimizer(key)
    try:
        made: optim.Optimizer = cls(list(parameters), lr=lr, **options)
    except TypeError as error:
        raise InputError(f"train: optimizer {name!r} does not take these options ({error}).") from None
    return made


def warmup_steps(warmup: float, total: int) -> int:
    """Steps of warm-up: a fraction of all steps below 1, else a number of steps."""
    if warmup < 0 or (warmup >= 1 and warmup != int(warmup)):
        raise bad_value("warmup", "train", warmup, "a fraction in [0, 1) or a whole number of steps")
    return round(warmup * total) if warmup < 1 else int(warmup)


def schedule_factor(schedule: str, step: int, total: int, warmup: int) -> float:
    """What the peak learning rate is multiplied with at update ``step`` (from 0) of ``total``.

    Warm-up rises linearly to 1 at the last warm-up step; then ``constant``, ``linear`` to 0, or half a ``cosine``.
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    if schedule == "linear":
        return 1.0 - progress
    return 0.5 * (1.0 + math.cos(math.pi * progress))
