"""Claim: peak memory of scoring does not grow with the number of logits; per example it is the table and the ids.

Each size runs in a process of its own, which reports its peak resident memory. The data are a memory-mapped ``.npy`` of
logits (T checkpoints x N x C float32, far larger than the growth that is allowed) or the images of a run directory.
Pages of the mapped file are the operating system's to drop, so the anonymous peak is what counts.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.record import write_record

CLASSES, STEPS = 100, 3
SCORERS = "el2n,loss@mean,entropy,margin,aum,forgetting"


def child(folder: Path) -> None:
    """Score the arrays of a folder and print the peak of anonymous memory, sampled by the kernel's own counter."""
    import threading

    from scoring.run import score
    from scoring.sources.arrays import ArraySource

    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.02):
            status = Path("/proc/self/status").read_text()
            peak = max(peak, int(status.split("RssAnon:")[1].split()[0]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    source = ArraySource(folder / "labels.npy", logits=folder / "logits.npy")
    table = score(None, SCORERS, source, out=folder / "scores.parquet")
    done.set()
    watcher.join()
    print(json.dumps({"rows": len(table), "peak_mb": peak / 1024}))


def main() -> None:
    """Run every size in its own process."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="100000,300000,1000000")
    parser.add_argument("--child", type=Path)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child)
        return
    results = []
    for size in [int(text) for text in arguments.sizes.split(",")]:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shape = (STEPS, size, CLASSES)
            logits = np.lib.format.open_memmap(
                folder / "logits.npy", mode="w+", dtype=np.float32, shape=shape
            )
            generator = np.random.default_rng(0)
            for step in range(STEPS):
                for start in range(0, size, 50_000):
                    block = logits[step, start : start + 50_000]
                    block[:] = generator.standard_normal(block.shape, dtype=np.float32)
            logits.flush()
            del logits
            np.save(folder / "labels.npy", np.arange(size) % CLASSES)
            command = [sys.executable, "-m", "benchmarks.peak_memory", "--child", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            measured = json.loads(done.stdout.strip().splitlines()[-1])
            results.append({**measured, "logits_mb": STEPS * size * CLASSES * 4 / 2**20})
            print(results[-1], flush=True)
    first, last = results[0], results[-1]
    growth = (last["peak_mb"] - first["peak_mb"]) * 2**20 / (last["rows"] - first["rows"])
    summary = {"sizes": results, "scorers": SCORERS, "growth_bytes_per_row": growth}
    write_record("peak_memory", __doc__.splitlines()[0], summary)


if __name__ == "__main__":
    main()
