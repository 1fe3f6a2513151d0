"""The bare batched forward pass: what every clean-view score costs at least."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from scoring.errors import bad_value, unknown_name

if TYPE_CHECKING:
    from scoring.models import Model
    from scoring.networks.inputs import Prepared

IntArray = npt.NDArray[np.int64]
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(name: str = "auto") -> torch.device:
    """``auto`` takes cuda, then mps, then cpu; a device that is not there is an error."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise unknown_name("device", "tamis", name, ["auto", "cpu", "cuda", "mps"]) from None
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(device.type, True):
        raise bad_value("device", "tamis", name, "a device of this machine (auto picks one)")
    return device


def check_precision(precision: str, device: torch.device, owner: str) -> None:
    """Refuse a precision that does not exist, and float16 where the device has no autocast to it."""
    if precision not in PRECISIONS:
        raise unknown_name("precision", owner, precision, PRECISIONS)
    if precision == "float16" and device.type != "cuda":
        raise bad_value("precision", owner, precision, f"float32 or bfloat16 on {device.type}")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Autocast of the forward pass to ``precision``; nothing for float32."""
    if precision not in PRECISIONS:
        raise unknown_name("precision", "tamis", precision, PRECISIONS)
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Dropout off and batch statistics frozen; the mode of every submodule is put back afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The batch on ``device``; the copy overlaps with work where the device allows it."""
    return {name: value.to(device, non_blocking=True) for name, value in batch.items()}


def forward_logits(
    model: Model,
    prepared: Prepared,
    batches: Sequence[IntArray],
    device: torch.device,
    precision: str = "float32",
) -> Iterator[tuple[IntArray, Tensor]]:
    """Yield (rows, logits_BC float32 on the CPU) for every batch of ``plan_batches``."""
    with evaluation_mode(model.module):
        for rows in batches:
            # Never across the yield: two interleaved generators would leave inference mode on for the caller.
            with torch.inference_mode(), autocast(device, precision):
                logits_BC = model.logits(to_device(prepared.batch(rows), device)).float().cpu()
            yield rows, logits_BC
