"""(architecture, seed) cells of the comparison benchmarks: trained once into a folder, and what they cost."""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from scoring.checkpoints import RunDirectory
from scoring.compare.run import Comparison
from scoring.examples import Examples
from scoring.hashing import hash64
from training.run import train


@dataclass(frozen=True)
class Architecture:
    """One architecture: its name in the report, how it is built and trained, and how often."""

    name: str
    model: str
    runs: int
    model_options: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """For the record."""
        return {"model": self.model, "model_options": dict(self.model_options), **self.settings}


def parser(description: str) -> argparse.ArgumentParser:
    """The options that all comparison benchmarks have."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--folder", help="runs and score tables stay here, and are not made again")
    found.add_argument("--quick", action="store_true", help="a smoke run on few examples, without a record")
    found.add_argument("--train-only", action="store_true", help="stop after training")
    found.add_argument("--only", help="train these architectures alone: a,b")
    return found


@contextlib.contextmanager
def working_folder(arguments: argparse.Namespace) -> Iterator[Path]:
    """``--folder``, or a temporary one."""
    if arguments.folder:
        yield Path(arguments.folder)
    else:
        with tempfile.TemporaryDirectory() as name:
            yield Path(name)


def some(examples: Examples, rows: int) -> Examples:
    """``rows`` of the examples, chosen by hash of the id."""
    return examples.take(np.sort(np.argsort(hash64(0, examples.ids))[:rows]))


def train_cells(
    examples: Examples,
    architectures: Sequence[Architecture],
    folder: Path,
    *,
    only: str | None = None,
    **settings: Any,
) -> dict[str, list[RunDirectory]]:
    """Train what is not there yet, seed by seed through the architectures, and write down its CPU seconds."""
    chosen = [each for each in architectures if only is None or each.name in only.split(",")]
    found: dict[str, list[RunDirectory]] = {each.name: [] for each in chosen}
    for seed in range(max(each.runs for each in chosen)):
        for each in (each for each in chosen if seed < each.runs):
            started, clock = time.process_time(), time.monotonic()
            with _ledger(folder / f"seconds-{each.name}.json") as seconds:
                (run,) = train(
                    examples, each.model, out=folder / "runs" / each.name, seeds=[seed],
                    model_options=each.model_options, record=True, **{**settings, **each.settings},
                )  # fmt: skip
                seconds.setdefault(str(seed), round(time.process_time() - started, 1))
            found[each.name].append(run)
            print(
                f"{each.name} seed {seed}: accuracy {accuracy(run):.3f}, {seconds[str(seed)]} CPU seconds, "
                f"{time.monotonic() - clock:.1f} by the clock",
                flush=True,
            )
    return found


def accuracy(run: RunDirectory) -> float:
    """On the test examples, after training."""
    metrics = run.summary()["metrics"]
    return float(next(value for name, value in metrics.items() if name.endswith("/accuracy")))


def training_summary(
    architectures: Sequence[Architecture], runs: Mapping[str, Sequence[RunDirectory]], folder: Path
) -> dict[str, Any]:
    """Settings, test accuracy of every run and CPU seconds of training, per architecture."""
    found = {}
    for each in architectures:
        seconds = json.loads((folder / f"seconds-{each.name}.json").read_text())
        found[each.name] = {
            **each.describe(),
            "runs": each.runs,
            "test_accuracy": [round(accuracy(run), 4) for run in runs[each.name]],
            "training_cpu_seconds": [seconds[str(seed)] for seed in range(each.runs)],
        }
    return found


def folders(architectures: Sequence[Architecture], folder: Path) -> dict[str, Path]:
    """Where the runs are, in the order of the report."""
    return {each.name: folder / "runs" / each.name for each in architectures}


def summary(found: Comparison) -> dict[str, Any]:
    """What a report says in words, and how long its sections took."""
    return {
        "examples": found.about["examples"],
        "scores": dict(found.about["scores"]),
        "sentences": {section.name: list(section.sentences) for section in found.sections},
        "seconds": {name: round(seconds, 2) for name, seconds in found.seconds.items()},
    }


@contextlib.contextmanager
def _ledger(path: Path) -> Iterator[dict[str, float]]:
    seconds: dict[str, float] = json.loads(path.read_text()) if path.exists() else {}
    yield seconds
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(seconds))
