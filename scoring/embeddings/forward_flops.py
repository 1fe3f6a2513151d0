"""Floating-point operations of a forward pass, counted where they do not follow from the number of tokens."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_flops(forward: Callable[[], object]) -> float | None:
    """Of one forward pass, without look-ups and element-wise work; None where an operation cannot be counted."""
    try:
        # The counter does not know the fused attention of CPUs; the plain one does the same arithmetic.
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            forward()
    except (RuntimeError, NotImplementedError):
        return None
    return float(counter.get_total_flops())
