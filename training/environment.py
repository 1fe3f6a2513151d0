"""What run.json says of data, model, machine and software."""

from __future__ import annotations

import platform
import subprocess
from typing import TYPE_CHECKING, Any

from scoring.versions import package_version

if TYPE_CHECKING:
    import torch

    from scoring.examples import Examples
    from scoring.models import Model
    from training.job import Job
    from training.settings import Settings


def describe_run(
    job: Job, net: Model, settings: Settings, seed: int, device: torch.device, fold: dict[str, int] | None
) -> dict[str, Any]:
    """The first content of the run.json of ``train``."""
    return {
        "config": settings.to_json(),
        "seed": seed,
        "fold": fold,
        "model": net.spec,
        "num_parameters": net.num_parameters,
        "data": {**describe_data(job.examples), "trained_on": len(job.rows)},
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
        "versions": describe_versions(),
        "git_commit": git_commit(),
    }


def describe_data(examples: Examples) -> dict[str, Any]:
    """Name, source, fingerprint, number of rows and classes."""
    return {
        "name": examples.name,
        "source": examples.source,
        "fingerprint": examples.fingerprint,
        "rows": len(examples),
        "label_names": list(examples.label_names),
    }


def describe_versions() -> dict[str, str | None]:
    """Versions of Python and of the packages that decide the numbers."""
    packages = ("torch", "transformers", "numpy")
    return {"python": platform.python_version(), **{name: package_version(name) for name in packages}}


def git_commit() -> str | None:
    """Commit of the working directory, if it is a git repository."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
