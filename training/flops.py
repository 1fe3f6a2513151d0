"""What a training costs in FLOPs, counted on one batch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from scoring.inference import evaluation_mode, to_device
from scoring.models import Model
from scoring.networks.inputs import Prepared

IntArray = npt.NDArray[np.int64]

FLOPS_METHOD = (
    "torch.utils.flop_counter over the forward and backward pass of one batch, per {unit}, times the {unit}s of all "
    "training batches; recording and evaluation passes are not counted"
)


def measure_flops(
    net: Model, prepared: Prepared, rows: IntArray, device: torch.device, backward: bool = True
) -> tuple[float | None, str]:
    """FLOPs of training per example, or per padded token of a text model, and that unit; without ``backward``, of the
    forward pass alone.

    Counted on the batch of ``rows`` in evaluation mode, which leaves batch statistics and random state alone; None
    where an operation cannot be counted. Look-ups (embeddings, bags of words) and element-wise work count as nothing.
    """
    batch = to_device(prepared.batch(rows), device)
    tokens = "input_ids" in batch
    unit = "padded token" if tokens else "example"
    labels = torch.zeros(len(rows), dtype=torch.long, device=device)
    try:
        # The counter does not know the fused attention of CPUs; the plain one does the same arithmetic.
        with (
            evaluation_mode(net.module),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            with torch.set_grad_enabled(backward):
                loss = cross_entropy(net.logits(batch).float(), labels)
            if backward:
                loss.backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, NotImplementedError):
        return None, unit
    finally:
        net.module.zero_grad(set_to_none=True)
    return counter.get_total_flops() / (batch["input_ids"].numel() if tokens else len(rows)), unit
