"""Claim: densities of a million embeddings cost a fiftieth of the exact sums or less, in memory that does not grow.

Unit rows in 200 clusters of heavy-tailed sizes, read from a memory map in chunks of 1,024 as ``score`` reads them, by
the scorer itself: looks, merges, scores. The kernel is what the automatic setting finds, the same for all. Exact sums
are those of 200 rows over all rows in the same space, timed and scaled to all rows. Memory: the largest amount that a
process held of its own, without the pages of the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.record import write_record
from scoring.density.kernel_sums import Anchors
from scoring.density.sample import keys_of
from scoring.density.weights import effective_share
from scoring.needs import Embeddings
from scoring.scorers.density import Density
from scoring.signals import Signals

WIDTH, CHUNK, QUERIES = 384, 1024, 200
WAYS = {
    "anchors_1000": Density(method="anchors", anchors=1000),
    "anchors_4000": Density(method="anchors", anchors=4000),
    "sketch_256": Density(method="sketch", rows=256),
}


def write_rows(path: Path, rows: int) -> None:
    """Rows (N, D) float32, generated chunk by chunk."""
    centres_KD = np.random.default_rng(0).normal(size=(200, WIDTH))
    centres_KD /= np.linalg.norm(centres_KD, axis=1, keepdims=True)
    shares_K = 1 / np.arange(1, 201) ** 1.1
    rows_ND = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(rows, WIDTH))
    for start in range(0, rows, 65_536):
        rng = np.random.default_rng([1, start])
        size = min(65_536, rows - start)
        cluster_B = rng.choice(200, size=size, p=shares_K / shares_K.sum())
        found_BD = centres_KD[cluster_B] + 0.04 * rng.normal(size=(size, WIDTH))
        rows_ND[start : start + size] = found_BD / np.linalg.norm(found_BD, axis=1, keepdims=True)
    rows_ND.flush()


def own_memory() -> float:
    """MB that this process holds of its own."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure(path: Path, way: str) -> dict[str, Any]:
    """One way over the whole file: seconds, peak memory beyond the start, scores of the first rows."""
    rows_ND = np.load(path, mmap_mode="r")
    chunks = range(0, len(rows_ND), CHUNK)
    before = peak = own_memory()

    def signals(start: int) -> Signals:
        rows_BD = torch.from_numpy(np.array(rows_ND[start : start + CHUNK]))
        ids_B = np.arange(start, start + len(rows_BD))
        return Signals(ids_B=ids_B, step=0, epoch=0.0, extras={Embeddings(): (rows_BD,)})

    scorer, started = WAYS[way], time.perf_counter()
    looks = []
    while scorer.fits:
        look, sums = time.perf_counter(), scorer.fit(signals(0))
        for start in chunks[1:]:
            sums = scorer.merge(sums, scorer.fit(signals(start)))
            peak = max(peak, own_memory())
        scorer = scorer.fitted(sums)
        peak = max(peak, own_memory())
        looks.append(time.perf_counter() - look)
    scores_N = np.empty(len(rows_ND))
    for start in chunks:
        scores_N[start : start + CHUNK] = scorer.score(signals(start)).numpy()
        peak = max(peak, own_memory())
    seconds = time.perf_counter() - started
    kernel = scorer.found.kernel if isinstance(scorer.found, Anchors) else scorer.found.hashes.kernel
    found = {
        "seconds": seconds,
        "seconds_of_looks": looks,
        "peak_mb": peak - before,
        "concatenations": kernel.concatenations,
        "ess_share": effective_share(torch.from_numpy(scores_N)),
        "scores": scores_N[:QUERIES].tolist(),
    }
    if isinstance(scorer.found, Anchors):
        found |= exact(scorer, rows_ND)
    return found


def exact(scorer: Density, rows_ND: np.ndarray) -> dict[str, Any]:
    """Sums of the first rows over all rows, placed beforehand; seconds scaled to all rows."""
    assert isinstance(scorer.found, Anchors) and scorer.space is not None
    placed = [
        scorer.space.place(torch.from_numpy(np.array(rows_ND[i : i + 65_536])))
        for i in range(0, len(rows_ND), 65_536)
    ]
    rows_NP = torch.cat(placed)
    keys_N = keys_of(np.arange(len(rows_ND)), 0)
    order = keys_N.argsort()
    everything = Anchors(scorer.found.kernel, rows_NP[order], keys_N[order])
    started = time.perf_counter()
    means_Q = everything.means(rows_NP[:QUERIES], keys_N[:QUERIES])
    seconds = (time.perf_counter() - started) / QUERIES * len(rows_ND)
    return {"exact": means_Q.tolist(), "exact_seconds_scaled": seconds}


def main() -> None:
    """Every way at both sizes, each in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "WAY"))
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(Path(options.measure[0]), options.measure[1])))
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in (options.rows // 10, options.rows):
            path = Path(folder) / f"{rows}.npy"
            write_rows(path, rows)
            ways = {}
            for way in WAYS:
                command = [sys.executable, "-m", "benchmarks.density_sketch", "--measure", str(path), way]
                ways[way] = json.loads(
                    subprocess.run(command, check=True, capture_output=True, text=True).stdout
                )
            sums_Q = ways["anchors_4000"].pop("exact")
            hours = ways["anchors_4000"].pop("exact_seconds_scaled")
            for way in ways.values():
                way.pop("exact", None)
                way.pop("exact_seconds_scaled", None)
                scores_Q = np.array(way.pop("scores"))
                way["spearman_200"] = float(spearmanr(scores_Q, sums_Q).statistic)
                way["relative_error_200"] = float(np.abs(scores_Q / sums_Q - 1).mean())
                way["times_faster_than_exact"] = hours / way["seconds"]
            results[f"{rows:,} rows"] = {"exact_seconds_scaled": hours, **ways}
            path.unlink()
    results["threads"] = torch.get_num_threads()
    write_record("density_sketch", __doc__.strip().splitlines()[0], results)


if __name__ == "__main__":
    main()
