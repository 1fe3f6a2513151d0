"""``tamis train --models``: the command line, what it refuses, and grids that are killed or interrupted on the way."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from references.engine_contract import wait_for_end
from references.small_runs import contents
from typer.testing import CliRunner, Result

from scoring.checkpoints import RunDirectory
from scoring.examples import Examples
from scoring.progress import progress
from tamis.cli import app

WORKERS = ("--engine", "processes", "--workers", "2")
MODELS = "linear,deep=mlp(hidden=[64,64,64])"


def tamis(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    digits = Examples.load("digits").take(np.arange(400))
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(path, x=np.stack(digits.images(np.arange(400))), y=digits.labels)
    return path


def command(data: Path, out: Path, *more: object, epochs: int = 2) -> list[str]:
    given = (
        "train",
        data,
        "--models",
        MODELS,
        "--seeds",
        "0-1",
        "--out",
        out,
        "--record",
        "--epochs",
        epochs,
    )
    return [str(each) for each in (*given, *more)]


def files(folder: Path) -> dict[str, Any]:
    """Bytes of all files; run.json without the clock, and without the commit, which somebody may make meanwhile."""
    found = contents(folder)
    for name in found:
        if name.endswith("run.json"):
            found[name].pop("git_commit")
    return found


def test_all_cells_in_one_command(data: Path, tmp_path: Path) -> None:
    done = tamis(*command(data, tmp_path / "runs", "--quiet"))
    assert done.exit_code == 0, done.output
    assert "Mean and standard deviation" in done.output and "runs/deep/seed-1" in done.output
    for name in ("linear", "deep"):
        for seed in (0, 1):
            run = RunDirectory.open(tmp_path / "runs" / name / f"seed-{seed}")
            assert (run.status, run.config["seed"]) == ("finished", seed)
            assert (run.path / "dynamics").is_dir()
    again = tamis(*command(data, tmp_path / "runs", "--quiet", "--json"))
    assert [each["path"] for each in json.loads(again.stdout)] == [
        str(tmp_path / "runs" / name / f"seed-{seed}") for name in ("linear", "deep") for seed in (0, 1)
    ]
    alone = (
        "--model",
        "mlp",
        "--option",
        "hidden=[64,64,64]",
        "--seeds",
        "1",
        "--record",
        "--epochs",
        2,
        "--quiet",
    )
    assert tamis("train", data, "--out", tmp_path / "alone", *alone).exit_code == 0
    assert files(tmp_path / "alone") == {
        name.removeprefix("deep/"): found
        for name, found in files(tmp_path / "runs").items()
        if name.startswith("deep/seed-1/")
    }
    shown = tamis("show", tmp_path / "runs")
    assert shown.exit_code == 0 and shown.output.count("linear/seed-") == 2 and "±" in shown.output
    compared = tamis("score", data, "--from", tmp_path / "runs", "--scorers", "el2n")
    assert (
        compared.exit_code == 2
        and "runs must be of one model to be averaged, got mlp(hidden=[64, 64, 64]) in" in compared.output
    )


def test_slices_and_processes_make_the_same_files(data: Path, tmp_path: Path) -> None:
    assert tamis(*command(data, tmp_path / "local", "--quiet")).exit_code == 0
    for i in range(3):
        assert tamis(*command(data, tmp_path / "slices", "--quiet", "--shard", f"{i}/3")).exit_code == 0
    spread = ("--engine", "processes", "--workers", "2", "--quiet")
    assert tamis(*command(data, tmp_path / "processes", *spread)).exit_code == 0
    assert files(tmp_path / "local") == files(tmp_path / "slices") == files(tmp_path / "processes")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["local", "processes", "slices"]


def test_a_grid_that_is_not_finished_is_shown(data: Path, tmp_path: Path) -> None:
    assert tamis(*command(data, tmp_path, "--quiet")).exit_code == 0
    RunDirectory.open(tmp_path / "deep" / "seed-1").update(status="running")
    shown = tamis("show", tmp_path)
    assert shown.exit_code == 0 and "status" in shown.output and "running" in shown.output


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "tamis train: give --model NAME, or --models NAME,NAME for several, got none."),
        (["--model", "mlp", "--models", "linear"], "for several, got both."),
        (["--models", "linear,mlp", "--option", "hidden=[3]"], "--models 'linear,mlp(hidden=[3])'"),
        (["--models", "linear,mlp", "--folds", "3"], "--folds is for a single model; give --model"),
        (["--models", "linear,mlp", "--start", "x"], "--start is for a single model"),
        (["--model", "mlp", "--engine", "processes"], "--engine is for the runs of several models; give --models"),
        (["--model", "mlp", "--shard", "0/2"], "--shard is for the runs of several models"),
        (["--model", "mlp", "--threads", "2"], "--threads is for the runs of several models"),
        (["--models", "linear,mpl"], "Did you mean 'mlp'?"),
        (["--models", "linear,linear"], "models must have different names"),
        (["--models", "linear,mlp(hidden=[3]"], "models must be models such as linear"),
        (["--models", "linear", "--engine", "proceses"], "Did you mean 'processes'?"),
        (["--models", "linear", "--workers", "2"], "'local' has one worker, got workers=2; use engine='processes'"),
        (["--models", "linear", "--shard", "2/2"], "shard must be i/n with i from 0 to n - 1"),
        (["--models", "linear", "--threads", "0"], "threads must be a whole number of at least 1, got 0"),
        (["--models", "linear,mlp", "--seeds", "0,0"], "seeds must be one or more different"),
        (["--models", "linear,mlp", "--lr", "1e30", "--optimizer", "sgd"], "of 2 cells failed"),
    ],
)  # fmt: skip
def test_mistakes_are_one_sentence(data: Path, tmp_path: Path, given: list[str], sentence: str) -> None:
    done = tamis("train", data, "--out", tmp_path / "out", "--quiet", "--epochs", 1, *given)
    assert done.exit_code == 2, done.output
    assert sentence in done.output and done.output.count("\n") == 1 and done.output.startswith("tamis")


RUN = "import sys; from tamis.cli import main; sys.argv[0] = 'tamis'; main()"


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def wait_for(process: subprocess.Popen[str], folder: Path, pattern: str) -> None:
    deadline = time.monotonic() + 120
    while not any(folder.glob(pattern)):
        assert time.monotonic() < deadline and process.poll() is None, process.communicate()
        time.sleep(0.01)


def children(process: subprocess.Popen[str]) -> list[int]:
    text = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(each) for each in text.split()]


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The files of a grid that nothing happened to."""
    out = tmp_path_factory.mktemp("whole") / "runs"
    assert tamis(*command(data, out, "--quiet", epochs=60)).exit_code == 0
    return files(out)


@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("number", "engine"),
    [
        (signal.SIGKILL, ()),
        (signal.SIGINT, ()),
        (signal.SIGINT, WORKERS),
        pytest.param(signal.SIGKILL, WORKERS, marks=pytest.mark.slow),
    ],
)
def test_the_same_command_continues(
    data: Path, tmp_path: Path, whole: dict[str, Any], engine: tuple[str, ...], number: signal.Signals
) -> None:
    out = tmp_path / "runs"
    arguments = command(data, out, "--quiet", *engine, epochs=60)
    with start(*arguments) as process:
        wait_for(process, out, "deep/seed-0/checkpoints/step-*")
        workers = children(process) if engine else []
        assert bool(workers) == bool(engine)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    wait_for_end(workers)
    left = RunDirectory.open(out / "deep" / "seed-0")
    assert left.status == "running"
    if number == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in errors, errors
        assert errors.endswith("tamis: interrupted; the same command continues where it stopped.\n")
        assert any(left.path.glob("resume-*"))
    done = tamis(*arguments)
    assert done.exit_code == 0, done.output
    assert files(out) == whole


def test_a_progress_in_a_progress_joins_its_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress("cells", 3, "cells", already=1) as outer:
        for _ in range(2):
            with progress("training", 10, "examples") as inner:
                inner(10)
            outer(1)
    with progress("again", 1) as alone:
        alone(1)
