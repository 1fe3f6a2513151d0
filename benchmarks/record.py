"""A record: what a benchmark measured, with everything needed to measure it again. Records are never edited."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

RECORDS = Path(__file__).resolve().parent / "records"
DATA = Path(os.environ.get("TAMIS_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
PACKAGES = ("torch", "transformers", "datasets", "numpy", "scikit-learn", "pyarrow")


def data_file(name: str) -> str:
    """Path of a shared dataset; a sentence and exit code 2 if it is not there."""
    path = DATA / name
    if not path.exists():
        sys.exit(f"benchmarks: {path} is missing; set TAMIS_DATA to the folder of the shared datasets.")
    return str(path)


def side_by_side(variants: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every variant, interleaved so that a slow spell of the machine hits all; one warm-up each."""
    for run in variants.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for repeat in range(repeats):
        names = list(variants)
        for name in names[repeat % len(names) :] + names[: repeat % len(names)]:
            started = time.perf_counter()
            variants[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def ratio(over: Sequence[float], floor: Sequence[float]) -> dict[str, float]:
    """Median of the paired ratios, with their smallest and largest."""
    ratios = np.array(over) / np.array(floor)
    return {"median": float(np.median(ratios)), "min": float(ratios.min()), "max": float(ratios.max())}


def write_record(name: str, claim: str, results: Mapping[str, Any], seeds: Sequence[int] = ()) -> Path:
    """Write ``records/DATE-NAME.json`` (with -2, -3 ... if it exists) and print the results."""
    record = {
        "name": name,
        "claim": claim,
        "date": time.strftime("%Y-%m-%d"),
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *map(_portable, sys.argv[1:])]),
        "commit": _git("rev-parse", "HEAD"),
        "uncommitted_changes": bool(_git("status", "--porcelain", "--untracked-files=no")),
        "hardware": {"cpu": _cpu(), "cores": os.cpu_count(), "gpu": _gpu()},
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "seeds": list(seeds),
        "results": results,
    }
    RECORDS.mkdir(exist_ok=True)
    stem = f"{record['date']}-{name}"
    taken = [RECORDS / f"{stem}.json", *(RECORDS / f"{stem}-{i}.json" for i in range(2, 1000))]
    path = next(path for path in taken if not path.exists())
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(results, indent=2))
    print(f"record: {path.relative_to(RECORDS.parent.parent)}")
    return path


def _portable(argument: str) -> str:
    """A path of this machine by its last name alone."""
    return Path(argument).name if Path(argument).is_absolute() else argument


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], capture_output=True, text=True, cwd=RECORDS.parent, check=False
    )
    return done.stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _gpu() -> str | None:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
