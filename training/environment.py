"""What run.json says about data, model, machine and cost."""

from __future__ import annotations

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy
from torch.utils.flop_counter import FlopCounterMode

from scoring.inference import evaluation_mode, to_device
from scoring.models import Model
from scoring.networks.inputs import Prepared
from training.job import Job
from training.settings import Settings

IntArray = npt.NDArray[np.int64]

FLOPS_METHOD = (
    "torch.utils.flop_counter over the forward and backward pass of one batch, per {unit}, times the {unit}s of all "
    "training batches; recording and evaluation passes are not counted"
)


def describe_environment(
    job: Job, net: Model, settings: Settings, seed: int, device: torch.device, fold: dict[str, int] | None
) -> dict[str, Any]:
    """The first content of run.json."""
    examples = job.examples
    return {
        "config": settings.to_json(),
        "seed": seed,
        "fold": fold,
        "model": net.spec,
        "num_parameters": net.num_parameters,
        "data": {
            "name": examples.name,
            "source": examples.source,
            "fingerprint": examples.fingerprint,
            "rows": len(examples),
            "trained_on": len(job.rows),
            "label_names": list(examples.label_names),
        },
        "evaluation": None
        if job.evaluation is None
        else {
            "name": job.evaluation_name,
            "rows": len(job.evaluation),
            "fingerprint": job.evaluation.fingerprint,
            "held_out": len(job.held_out),
        },
        "subset": job.subset,
        "device": str(device),
        "precision": settings.precision,
        "versions": {
            "python": platform.python_version(),
            **{name: package_version(name) for name in ("torch", "transformers", "numpy")},
        },
        "git_commit": git_commit(),
    }


def package_version(name: str) -> str | None:
    """Version of an installed package."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def git_commit() -> str | None:
    """Commit of the working directory, if it is a git repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def measure_flops(
    net: Model, prepared: Prepared, rows: IntArray, device: torch.device
) -> tuple[float | None, str]:
    """FLOPs of training per example, or per padded token of a text model, and that unit.

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
            cross_entropy(net.logits(batch).float(), labels).backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, NotImplementedError):
        return None, unit
    finally:
        net.module.zero_grad(set_to_none=True)
    return counter.get_total_flops() / (batch["input_ids"].numel() if tokens else len(rows)), unit
