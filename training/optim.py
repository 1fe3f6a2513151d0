"""Optimizers by name, and learning-rate schedules as pure functions of the step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import Any

from torch import nn, optim

from scoring.errors import InputError, bad_value, missing_extra, unknown_name

SCHEDULES = ("constant", "linear", "cosine", "wsd")

DECAY = 0.2
"""The share of all updates in which ``wsd`` falls."""

UNFIT: Mapping[str, str] = {
    **dict.fromkeys(("alig", "bsam", "lbfgs"), "it evaluates the loss more than once per update"),
    **dict.fromkeys(("adahessian", "sophiah"), "it needs second derivatives"),
    **dict.fromkeys(("adalomo", "adammini", "lomo"), "it takes over the backward pass"),
    **dict.fromkeys(
        ("adago", "adamuon", "distributedmuon", "magma", "muon", "muonclip", "normuon", "spectralsphere"),
        "it updates matrices only",
    ),
    **dict.fromkeys(
        ("schedulefreeadamw", "schedulefreeradam", "schedulefreesgd"),
        "it evaluates other weights than it trains",
    ),
    **dict.fromkeys(("adashift", "conda", "scalableshampoo"), "its state cannot be stored without pickle"),
    "demo": "it is for several machines",
    **dict.fromkeys(("kron", "sara"), "it draws from a global generator that cannot be put back"),
    "sparseadam": "it needs sparse gradients",
}
"""Optimizers of the two libraries that a plain loop with exact resuming cannot run, and why."""

ALIASES: Mapping[str, str] = {"signum": "signsgd"}
"""Names of papers for what a library calls otherwise. Signum (Bernstein et al. 2018) is SignSGD with momentum, which
that of pytorch-optimizer has by default (0.9); ``optimizer_options={"momentum": 0}`` is SignSGD."""

SIGNS = ("lion", "signsgd")
"""Optimizers whose update is a sign times the learning rate: as long in every step and coordinate."""

FUSED = ("adam", "adamw", "sgd")
"""Optimizers of torch whose update is one kernel on every device; twice as fast for wide embeddings on the CPU."""

_TORCH = {
    name.lower(): cls
    for name, cls in vars(optim).items()
    if isinstance(cls, type) and issubclass(cls, optim.Optimizer) and cls is not optim.Optimizer
}


def optimizer_names() -> list[str]:
    """Names that ``train`` takes: those of torch, and of pytorch-optimizer where it is installed."""
    try:
        from pytorch_optimizer import get_supported_optimizers
    except ImportError:
        return sorted(_TORCH.keys() - UNFIT.keys())
    return sorted({*_TORCH, *get_supported_optimizers(), *ALIASES} - UNFIT.keys())


def starting_lr(optimizer: str, adamw_lr: float) -> float:
    """Where a search may start, from the learning rate that suits AdamW with the model.

    0.1 for SGD and Shampoo, whose steps are as long as the gradient, or its preconditioned form, and not scaled per
    coordinate; 0.01 for torch's Adafactor, whose steps are relative to the size of the weights (Shazeer and Stern 2018,
    section 8); a tenth of AdamW's for updates by sign (Chen et al. 2023, section 5, find 3 to 10 times smaller ones
    fit Lion); AdamW's for all others, SOAP among them, which is Adam in another basis.
    """
    name = _library_name(optimizer)
    if name in ("sgd", "shampoo"):
        return 0.1
    if name == "adafactor":
        return 0.01
    return adamw_lr / 10 if name in SIGNS else adamw_lr


def _library_name(name: str) -> str:
    return ALIASES.get(name.lower(), name.lower())


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    lr: float,
    weight_decay: float | None = None,
    options: Mapping[str, Any] | None = None,
) -> optim.Optimizer:
    """An optimizer of ``torch.optim`` or else of the package pytorch-optimizer, by its name (or one of ``ALIASES``).

    SGD has momentum 0.9 unless ``options`` say otherwise; everything else that is not given is the library's default.
    Frozen parameters are left out.
    """
    key = _library_name(name)
    if key in UNFIT:
        raise InputError(
            f"train: optimizer {name!r} cannot be used, because {UNFIT[key]}; adamw is the default."
        )
    arguments: dict[str, Any] = {"momentum": 0.9} if key == "sgd" else {}
    if key in FUSED and "foreach" not in (options or {}):
        arguments["fused"] = True
    arguments |= dict(options or {})
    if weight_decay is not None:
        arguments["weight_decay"] = weight_decay
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if not trained:
        raise InputError("train: model must have parameters that require gradients, and has none.")
    try:
        made: optim.Optimizer = _optimizer_class(key, name)(trained, lr=lr, **arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"train: optimizer {name!r} does not take these options ({error}).") from None
    return made


def _optimizer_class(key: str, name: str) -> Any:
    if key in _TORCH:
        return _TORCH[key]
    if key in optimizer_names():
        from pytorch_optimizer import load_optimizer

        return load_optimizer(key)
    error = unknown_name("optimizer", "train", name, optimizer_names())
    if find_spec("pytorch_optimizer") is None:
        raise InputError(f"{error} More are in {missing_extra('pytorch-optimizer', 'optimizers')}.")
    raise error


def warmup_steps(warmup: float, total: int) -> int:
    """Steps of warm-up: a fraction of all steps below 1, else a number of steps."""
    if not 0 <= warmup < math.inf or (warmup >= 1 and warmup != int(warmup)):
        raise bad_value("warmup", "train", warmup, "a fraction in [0, 1) or a whole number of steps")
    return round(warmup * total) if warmup < 1 else int(warmup)


def schedule_factor(schedule: str, step: int, total: int, warmup: int, final: float = 0.0) -> float:
    """What the peak learning rate is multiplied with at update ``step`` (from 0) of ``total``.

    Warm-up rises linearly to 1 at the last warm-up step; then ``constant``; ``linear`` or half a ``cosine`` to
    ``final``; or ``wsd``: warm-up, stable, and over the last fifth of all updates linear decay to ``final``.
    """
    if step < warmup:
        return (step + 1) / warmup
    if schedule == "constant":
        return 1.0
    begin = max(warmup, total - round(DECAY * total)) if schedule == "wsd" else warmup
    progress = max(0, step - begin) / max(1, total - begin)
    fall = 0.5 * (1.0 + math.cos(math.pi * progress)) if schedule == "cosine" else 1.0 - progress
    return final + (1.0 - final) * fall
