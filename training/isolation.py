"""Randomness and determinism of a training, apart from the caller's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch


def seed_step(seed: int, device: torch.device) -> None:
    """Seed what dropout draws from; ``torch.manual_seed`` formats a stack trace per absent accelerator."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


@contextmanager
def isolated(device: torch.device) -> Iterator[None]:
    """Deterministic operations on the CPU; global random state and settings are given back as they were."""
    mode = torch.get_deterministic_debug_mode()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    mps_state = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else [], device_type="cuda"):
        if device.type == "cpu" and mode == 0:
            torch.set_deterministic_debug_mode("error")
            # Filling memory that is overwritten anyway only helps to find bugs, and costs time.
            torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.set_deterministic_debug_mode(mode)
            torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
            if mps_state is not None:
                torch.mps.set_rng_state(mps_state)


@contextmanager
def using_threads(count: int) -> Iterator[None]:
    """``count`` threads for sums and products; the number is given back as it was."""
    threads = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


SHARED_FLOPS = 2e7
"""FLOPs of an update (about a millisecond of one core) below which a second thread costs more than it brings."""


@contextmanager
def fitting_threads(flops_per_update: float | None, device: torch.device) -> Iterator[None]:
    """One thread while updates are small: threads that wait for each other are slow, on a busy machine 30 times."""
    small = device.type == "cpu" and flops_per_update is not None and flops_per_update < SHARED_FLOPS
    with using_threads(1) if small else nullcontext():
        yield
