"""Small runs on real digits, and what several tests ask of run directories and tables."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from scoring.checkpoints import RunDirectory
from scoring.examples import Examples
from scoring.table import ScoreTable
from training.run import train

DIGITS = Examples.load("digits").take(np.arange(200))
SMALL: dict[str, Any] = {"evaluate": False, "batch_size": 32, "model_options": {"hidden": (16,)}}
"""A run of three epochs takes 21 updates of a tiny network."""


def train_small(
    out: Path, examples: Examples = DIGITS, model: Any = "mlp", **settings: Any
) -> list[RunDirectory]:
    given = {**SMALL, "epochs": 3, **settings}
    if model != "mlp":
        given.pop("model_options", None)
    return train(examples, model, out=out, **given)


def weights(run: RunDirectory) -> bytes:
    """The bytes of the last checkpoint."""
    return (run.checkpoints()[-1].path / "model.safetensors").read_bytes()


def contents(folder: Path) -> dict[str, Any]:
    """Every file's bytes; run.json without what a clock measures."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.name == "run.json":
            found[name] = {k: v for k, v in json.loads(path.read_text()).items() if k != "wall_time_s"}
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


def values(table: ScoreTable, name: str) -> dict[Any, float]:
    """id -> value."""
    return dict(zip(table.ids.tolist(), table.column(name).tolist()))
