"""Claim: 20 scores of 10^6 examples in 50 runs are compared in less than 4 GB of memory.

Score tables of two architectures (25 runs each, float32, 4 GB of Parquet), predictions of ten classes (memory-mapped),
a column from elsewhere. Every section runs in a process of its own, then all together with report and figures: seconds
by the clock and of the processor, and the peak of anonymous memory (pages of mapped files are the system's to drop),
libraries included. A quarter of the scores are counts with very many ties.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.record import write_record
from scoring.manifest import parquet_writer
from scoring.table import ScoreTable
from scoring.table_files import KIND

ARCHITECTURES = ("small", "large")
CLASSES, BLOCK, LIMIT_MB = 10, 1 << 17, 4096
TOGETHER = "all sections, with report and figures"


def make_world(folder: Path, rows: int, runs: int, scores: int) -> None:
    """Tables, predictions and a column from elsewhere, block by block: the world itself need not fit into memory."""
    blocks = [(start, min(start + BLOCK, rows)) for start in range(0, rows, BLOCK)]
    common_N = np.random.default_rng(0).normal(size=rows).astype(np.float32)
    elsewhere = {"elsewhere": common_N + np.random.default_rng(1).normal(size=rows)}
    ScoreTable.from_columns(np.arange(rows), elsewhere, "hard").write(folder / "beside.parquet")
    names = [f"score{number:02d}" for number in range(scores)]
    columns: dict[str, dict[str, Any]] = {"label": {"role": "side", "meaning": "label"}}
    fields = [pa.field("id", pa.int64()), pa.field("label", pa.int64())]
    for name in names:
        for column in (name, *(f"{name}.run{run}" for run in range(runs))):
            columns[column] = {"role": "score" if column == name else "run", "meaning": "hard"}
            columns[column] |= {} if column == name else {"parent": name}
            fields.append(pa.field(column, pa.float32()))
    info = {"runs": [f"seed-{run}" for run in range(runs)], "label_names": [str(c) for c in range(CLASSES)]}
    for number, architecture in enumerate(ARCHITECTURES):
        schema = pa.schema(fields)
        path = folder / f"{architecture}.parquet"
        with parquet_writer(path, schema, KIND, {"columns": columns, "info": info}) as writer:
            for start, stop in blocks:
                rng = np.random.default_rng([2, number, start])
                own_N = common_N[start:stop] + 0.4 * rng.standard_normal(stop - start, dtype=np.float32)
                data = {"id": np.arange(start, stop), "label": np.arange(start, stop) % CLASSES}
                for place, name in enumerate(names):
                    base_N = 0.9 * own_N + 0.4 * rng.standard_normal(stop - start, dtype=np.float32)
                    values_RN = base_N + 0.5 * rng.standard_normal((runs, stop - start), dtype=np.float32)
                    if place % 4 == 3:
                        values_RN = np.clip(np.floor(2 * values_RN), 0, 5)
                    data[name] = values_RN.mean(axis=0)
                    data |= {f"{name}.run{run}": values_N for run, values_N in enumerate(values_RN)}
                writer.write_table(pa.table(data, schema=schema))
        probabilities = np.lib.format.open_memmap(
            folder / f"{architecture}.npy", mode="w+", dtype=np.float32, shape=(runs, rows, CLASSES)
        )
        for run in range(runs):
            for start, stop in blocks:
                rng = np.random.default_rng([3, number, run, start])
                odds = rng.standard_normal((stop - start, CLASSES), dtype=np.float32)
                odds[np.arange(stop - start), np.arange(start, stop) % CLASSES] += (
                    4 - 2 * common_N[start:stop]
                )
                np.exp(odds, out=odds)
                probabilities[run, start:stop] = odds / odds.sum(axis=1, keepdims=True)
        probabilities.flush()


def child(folder: Path, runs: int, section: str) -> None:
    """Run one section, or all and write them; print what it took."""
    from scoring.compare.predictions.probabilities import Predictions
    from scoring.compare.run import compare
    from scoring.compare.run_scores import RunScores

    peak, done = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.01):
            status = Path("/proc/self/status").read_text()
            peak = max(peak, int(status.split("RssAnon:")[1].split()[0]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        started, cpu = time.perf_counter(), time.process_time()
        scores = RunScores.of_tables({name: folder / f"{name}.parquet" for name in ARCHITECTURES})
        predictions = Predictions(
            scores.ids, scores.labels_N, scores.label_names, scores.runs,
            {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARCHITECTURES},
        )  # fmt: skip
        opened = time.perf_counter()
        together = section == TOGETHER
        found = compare(
            scores, predictions=predictions, beside=ScoreTable.read(folder / "beside.parquet"), proxies=ARCHITECTURES,
            sections=present() if together else [section],
        )  # fmt: skip
        written = found.write(folder / "report") if together else []
    finally:
        done.set()
        watcher.join()
    measured = {
        "opening_seconds": opened - started,
        "seconds": time.perf_counter() - opened,
        "cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak / 1024,
        "files": len(written),
        "by_section": {name: round(each, 2) for name, each in found.seconds.items()} if together else None,
    }
    print(json.dumps(measured))


def present() -> list[str]:
    """The sections there are."""
    from scoring.compare.run import SECTIONS

    return [name for name in SECTIONS if find_spec(f"scoring.compare.sections.{name}") is not None]


def main() -> None:
    """Make the world once, compare in fresh processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=25, help="of each of two architectures")
    parser.add_argument("--scores", type=int, default=20)
    parser.add_argument("--sections", help="only these, separated by commas, and not all together")
    parser.add_argument("--together", action="store_true", help="all together, and not one by one")
    parser.add_argument(
        "--folder", type=Path, help="make the world here and keep it; one that is there is used"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: 5,000 rows, 4 runs each, 4 scores; no record"
    )
    parser.add_argument("--no-record", action="store_true", help="print only")
    parser.add_argument("--child", type=Path)
    parser.add_argument("--section")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.runs, arguments.section)
        return
    sizes = (5000, 4, 4) if arguments.quick else (arguments.rows, arguments.runs, arguments.scores)
    rows, runs, scores = sizes
    with tempfile.TemporaryDirectory() as temporary:
        folder: Path = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        made = folder / "made.json"
        if not made.exists() or json.loads(made.read_text()) != list(sizes):
            needed = len(ARCHITECTURES) * rows * runs * (scores + CLASSES) * 4
            free = shutil.disk_usage(folder).free
            if free < 1.2 * needed:
                wanted = f"{1.2 * needed / 1e9:.1f} GB free, got {free / 1e9:.1f} GB in {folder}"
                sys.exit(f"compare_memory: --folder must have {wanted}.")
            make_world(folder, *sizes)
            made.write_text(json.dumps(list(sizes)))
        alone = [] if arguments.together else present()
        asked = arguments.sections.split(",") if arguments.sections else [*alone, TOGETHER]
        found: dict[str, Any] = {}
        for section in asked:
            command = [
                sys.executable, "-m", "benchmarks.compare_memory", "--child", str(folder), "--runs", str(runs),
                "--section", section,
            ]  # fmt: skip
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                found[section] = {"failed": done.stderr.strip().splitlines()[-1:], "code": done.returncode}
            else:
                found[section] = json.loads(done.stdout.strip().splitlines()[-1])
            print(section, json.dumps(found[section]), flush=True)
        disk = sum(path.stat().st_size for path in folder.glob("*.parquet"))
    peaks = {name: each["peak_mb"] for name, each in found.items() if "peak_mb" in each}
    results = {
        "rows": rows,
        "runs": len(ARCHITECTURES) * runs,
        "scores": scores,
        "tables_mb": disk / 2**20,
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "sections": found,
        "largest_peak_mb": max(peaks.values(), default=None),
        "bound_mb": LIMIT_MB,
        "holds": len(peaks) == len(found) and max(peaks.values()) < LIMIT_MB,
    }
    if not (arguments.quick or arguments.no_record or arguments.sections):
        write_record("compare_memory", __doc__.splitlines()[0], results, seeds=[0])


if __name__ == "__main__":
    main()
