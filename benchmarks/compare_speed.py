"""Claim: the full comparison of 12 scores of 30,000 examples in 30 runs takes less than 60 s on 2 cores.

Three architectures of ten runs, score tables and predictions of ten classes on disk, everything asked that can be
asked: all sections, a column from elsewhere, proxies, examples to show; report, figures and rows written. A third of
the scores are counts with very many ties. Every repeat is a process of its own, which reports seconds per section by
the clock, CPU seconds and its peak memory, imports included. With one thread the CPU seconds are what the clock would
show on a quiet machine; the claim is judged by them, since a busy machine's clock tells of its load.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from benchmarks.record import write_record
from scoring.table import ScoreTable

ARCHITECTURES = ("small", "middle", "large")
SMOOTH = ("loss", "entropy", "confidence", "margin", "el2n", "el2n-early", "el2n-last", "aum")
COUNTS = ("forgetting", "first-learned", "correctness", "accuracy-last")
"""Of at most 6, 12, 11 and 2 different values."""
CLASSES, LIMIT_SECONDS, SENSITIVE = 10, 60.0, 0.01

Floats = npt.NDArray[np.float64]


def make_world(folder: Path, rows: int, runs: int) -> None:
    """Tables, predictions, a column from elsewhere: a common difficulty, what each architecture adds to it, noise."""
    rng = np.random.default_rng(0)
    label_N, common_N = np.arange(rows) % CLASSES, rng.normal(size=rows)
    elsewhere = {"elsewhere": common_N + rng.normal(size=rows)}
    ScoreTable.from_columns(np.arange(rows), elsewhere, "hard").write(folder / "beside.parquet")
    sensitive_N = np.arange(rows) < SENSITIVE * rows
    for number, name in enumerate(ARCHITECTURES):
        own_N = common_N + 0.4 * rng.normal(size=rows) + (3.0 * sensitive_N if number == 0 else 0.0)
        columns: dict[str, Any] = {"id": np.arange(rows), "label": label_N}
        described: dict[str, dict[str, Any]] = {}
        for score in (*SMOOTH, *COUNTS):
            base_N = 0.9 * own_N + 0.4 * rng.normal(size=rows)
            values_RN = base_N + 0.5 * rng.normal(size=(runs, rows))
            if score in COUNTS:
                values_RN = _counts(score, values_RN)
            columns[score], described[score] = values_RN.mean(axis=0), {"meaning": "hard"}
            for run, values_N in enumerate(values_RN):
                columns[f"{score}.run{run}"] = values_N
                described[f"{score}.run{run}"] = {"meaning": "hard", "role": "run", "parent": score}
        info = {
            "runs": [f"seed-{run}" for run in range(runs)],
            "label_names": [str(c) for c in range(CLASSES)],
        }
        ScoreTable(pa.table(columns), described, info).write(folder / f"{name}.parquet")
        np.save(folder / f"{name}.npy", _probabilities(own_N, label_N, runs, rng))


def _counts(score: str, values_RN: Floats) -> Floats:
    """What is rare is high: most examples are never forgotten and learned at once."""
    if score == "forgetting":
        return np.clip(np.floor(2 * values_RN), 0, 5)
    if score == "first-learned":
        return np.clip(np.floor(np.exp(values_RN)), 0, 11)
    if score == "correctness":
        return np.clip(np.round(5 * values_RN), 0, 10) / 10
    return (values_RN > 1.5).astype(np.float64)


def _probabilities(
    own_N: Floats, label_N: Any, runs: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    logits_RNC = rng.normal(size=(runs, len(own_N), CLASSES))
    logits_RNC[:, np.arange(len(own_N)), label_N] += 4.0 - 2.0 * own_N
    np.exp(logits_RNC, out=logits_RNC)
    found: npt.NDArray[np.float32] = (logits_RNC / logits_RNC.sum(axis=2, keepdims=True)).astype(np.float32)
    return found


def child(folder: Path, rows: int, runs: int) -> None:
    """Compare, write, and print what it took."""
    import resource
    import time

    from scoring.compare.predictions.probabilities import Predictions
    from scoring.compare.run import compare
    from scoring.compare.run_scores import RunScores
    from scoring.examples import Examples

    started, cpu = time.perf_counter(), time.process_time()
    scores = RunScores.of_tables({name: folder / f"{name}.parquet" for name in ARCHITECTURES})
    names = tuple(str(label) for label in range(CLASSES))
    texts = {
        "text": [f"example {row}" for row in range(rows)],
        "label": [names[row % CLASSES] for row in range(rows)],
        "row": np.arange(rows),
    }
    examples = Examples.load(texts, text="text", label="label", id="row")
    assert examples.labels is not None
    predictions = Predictions(
        examples.ids, examples.labels, names, {name: tuple(map(str, range(runs))) for name in ARCHITECTURES},
        {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARCHITECTURES},
    )  # fmt: skip
    loaded = time.perf_counter()
    comparison = compare(
        scores, predictions=predictions, beside=ScoreTable.read(folder / "beside.parquet"), examples=examples,
        proxies=ARCHITECTURES,
    )  # fmt: skip
    compared = time.perf_counter()
    files = comparison.write(folder / f"report-{os.getpid()}")
    written = time.perf_counter()
    print(
        json.dumps(
            {
                "loading": loaded - started,
                "sections": comparison.seconds,
                "writing": written - compared,
                "seconds": written - started,
                "cpu_seconds": time.process_time() - cpu,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "files": len(files),
            }
        )
    )


def main() -> None:
    """Make the world once, compare in fresh processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=30_000)
    parser.add_argument("--runs", type=int, default=10, help="of each of three architectures")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="keep the world and the reports here")
    parser.add_argument("--quick", action="store_true", help="a smoke run of 1,000 rows, without a record")
    parser.add_argument("--child", type=Path)
    arguments = parser.parse_args()
    rows, repeats = (1000, 1) if arguments.quick else (arguments.rows, arguments.repeats)
    if arguments.child:
        child(arguments.child, arguments.rows, arguments.runs)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        make_world(folder, rows, arguments.runs)
        command = [
            sys.executable, "-m", "benchmarks.compare_speed", "--child", str(folder), "--rows", str(rows),
            "--runs", str(arguments.runs),
        ]  # fmt: skip
        found = []
        for _ in range(repeats):
            load = os.getloadavg()[0]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append({**json.loads(done.stdout.strip().splitlines()[-1]), "load_before": load})
            print(json.dumps(found[-1]), flush=True)
    names = found[0]["sections"]
    results = {
        "rows": rows,
        "runs": len(ARCHITECTURES) * arguments.runs,
        "scores": len(SMOOTH) + len(COUNTS),
        "threads": os.environ.get("OMP_NUM_THREADS", "all"),
        "median_seconds_per_section": {
            name: round(float(np.median([each["sections"][name] for each in found])), 2) for name in names
        },
        **{
            key: {
                "median": round(float(np.median([each[key] for each in found])), 2),
                "min": round(min(each[key] for each in found), 2),
                "max": round(max(each[key] for each in found), 2),
            }
            for key in ("loading", "writing", "seconds", "cpu_seconds", "peak_mb")
        },
        "repeats": found,
        "bound_seconds": LIMIT_SECONDS,
        "holds": max(each["cpu_seconds"] for each in found) < LIMIT_SECONDS,
    }
    if not arguments.quick:
        write_record("compare_speed", __doc__.splitlines()[0], results, seeds=[0])


if __name__ == "__main__":
    main()
