"""A run that is killed, interrupted or terminated, and then repeated, ends with the same files."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.small_runs import contents

from scoring.checkpoints import RunDirectory
from scoring.examples import Examples
from training.resume import load_resume
from training.run import train

ROOT = Path(__file__).resolve().parents[2]

# One process imports everything, and forks a child for every attempt, which it kills after the given seconds, or when
# a file appears: every attempt is a real process that gets a real SIGKILL.
KILLER = """
import os, signal, sys, time
from pathlib import Path
import torch
from scoring.examples import Examples
from training.run import train

out, moments = Path(sys.argv[1]), sys.argv[2:]
examples = Examples.load("digits")
torch.set_num_threads(1)
train(examples.take(range(10)), "linear", out=out / "warm-up", steps=1, evaluate=False)  # imports what is left
settings = dict(
    epochs=14, record=True, checkpoint_every="2 epochs", save_optimizer=True, evaluate=0.1, accumulate=2,
    model_options={"hidden": (32,)}, resume_seconds=0.02,
)

def there(pattern):
    try:
        return any(out.glob(pattern))
    except FileNotFoundError:  # a folder was renamed while it was listed
        return False

for moment in [*moments, "never"]:
    child = os.fork()
    if child == 0:
        train(examples, "mlp", out=out, **settings)
        os._exit(0)
    started = time.monotonic()
    while moment != "never" and os.waitpid(child, os.WNOHANG)[0] == 0:
        seconds = moment.replace(".", "").isdigit()
        if time.monotonic() - started > float(moment) if seconds else there(moment):
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status):  # it came to its end just before
                assert os.waitstatus_to_exitcode(status) == 0
                break
            states = sorted(path.name for path in out.glob("seed-0/resume-*"))
            print("killed", moment, states[-1:] or "none", flush=True)
            break
    if moment == "never":
        assert os.waitpid(child, 0)[1] == 0
"""


def same(first: Path, second: Path) -> None:
    one, two = contents(first), contents(second)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []


def killer(out: Path, *moments: str) -> list[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLER, str(out), *moments],
        capture_output=True, text=True, env=environment, timeout=300, check=False, cwd=out.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_kill_minus_nine_leaves_no_trace(tmp_path: Path) -> None:
    killer(tmp_path / "whole")
    moments = [
        "seed-0/run.json",
        "seed-0/.resume-*",
        "seed-0/checkpoints/.step-*",
        "0.15",
        "0.25",
        "seed-0/dynamics/presentations/.epoch-*",
        "seed-0/.metrics*",
        "0.3",
        "seed-0/checkpoints/step-00000238",
        "seed-0/checkpoints/step-00000238",
    ]
    killed = killer(tmp_path / "killed", *moments)
    assert len(killed) >= 5 and any("resume-" in line for line in killed), killed
    same(tmp_path / "whole", tmp_path / "killed")
    run = RunDirectory.open(tmp_path / "killed" / "seed-0")
    assert run.status == "finished" and run.config["steps"] == 14 * 17


class Interrupting(torch.nn.Module):
    """A network that does something at its n-th training forward pass."""

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(64, 10)
        self.drop = torch.nn.Dropout(0.2)
        self.at, self.act, self.seen = at, act, 0

    def __deepcopy__(self, memo: dict[int, Any]) -> "Interrupting":
        twin = Interrupting(self.at, self.act)
        twin.load_state_dict(self.state_dict())
        return twin

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += self.training
        if self.training and self.seen == self.at:
            self.act()
        logits: torch.Tensor = self.layer(self.drop(x.flatten(1)))
        return logits


def network(at: int, act: Callable[[], None]) -> Interrupting:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Interrupting(at, act)


SETTINGS: dict[str, Any] = {
    "steps": 60, "optimizer": "soap", "record": True, "clean_every": "25 steps", "schedule": "linear",
    "warmup": 0.1, "evaluate": False, "optimizer_options": {"precondition_frequency": 3},
}  # fmt: skip


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not in a repository, whose commit is noted in run.json and may change meanwhile."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def examples() -> Examples:
    return Examples.load("digits").take(np.arange(300))


@pytest.fixture(autouse=True)
def handlers_of_python() -> Iterator[None]:
    """Those of a fresh process: Ray, which other tests start in this one, keeps its own for SIGTERM."""
    fresh = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in fresh.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_update_and_keeps_the_state(
    examples: Examples, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    train(examples, network(0, lambda: None), out=tmp_path / "whole", **SETTINGS)
    for at in (5, 20):  # the second one counts from where the first left off
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
            train(
                examples, network(at, lambda: signal.raise_signal(number)), out=tmp_path / "cut", **SETTINGS
            )
    assert load_resume(tmp_path / "cut" / "seed-0")["step"] == 25
    train(examples, network(0, lambda: None), out=tmp_path / "cut", **SETTINGS)
    same(tmp_path / "whole", tmp_path / "cut")
    assert signal.getsignal(number) == before


def test_a_second_signal_acts_at_once(examples: Examples, tmp_path: Path) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(examples, network(5, twice), out=tmp_path, **SETTINGS)
    assert load_resume(tmp_path / "seed-0") is None


def test_other_threads_train_without_handlers(examples: Examples, tmp_path: Path) -> None:
    runs: list[RunDirectory] = []
    thread = threading.Thread(
        target=lambda: runs.extend(train(examples, "linear", out=tmp_path, epochs=1, evaluate=False))
    )
    thread.start()
    thread.join()
    assert runs[0].status == "finished"


def test_an_error_in_the_middle_continues_from_the_last_state(examples: Examples, tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("out of memory")

    train(examples, network(0, lambda: None), out=tmp_path / "whole", **SETTINGS)
    with pytest.raises(RuntimeError, match="out of memory"):
        train(examples, network(31, fail), out=tmp_path / "cut", resume_seconds=0, **SETTINGS)
    assert load_resume(tmp_path / "cut" / "seed-0")["step"] == 30
    assert RunDirectory.open(tmp_path / "cut" / "seed-0").status == "running"
    train(examples, network(0, lambda: None), out=tmp_path / "cut", **SETTINGS)
    same(tmp_path / "whole", tmp_path / "cut")


def test_time_adds_up_over_attempts(examples: Examples, tmp_path: Path) -> None:
    def slow() -> None:
        time.sleep(0.4)
        raise RuntimeError

    def wait_and_interrupt() -> None:
        time.sleep(0.4)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train(examples, network(3, wait_and_interrupt), out=tmp_path, **SETTINGS)
    with pytest.raises(RuntimeError):
        train(examples, network(3, slow), out=tmp_path, resume_seconds=0, **SETTINGS)
    [run] = train(examples, network(0, lambda: None), out=tmp_path, **SETTINGS)
    assert 0.4 < run.config["wall_time_s"] < 30


def test_what_a_kill_after_the_end_left_is_removed(examples: Examples, tmp_path: Path) -> None:
    [run] = train(examples, "linear", out=tmp_path, epochs=1, evaluate=False)
    (run.path / "resume-00000005").mkdir()
    (run.path / "checkpoints" / ".step-00000005.123.old").mkdir()
    (run.path / ".metrics.parquet.123.tmp").write_bytes(b"")
    train(examples, "linear", out=tmp_path, epochs=1, evaluate=False)
    assert [path.name for path in run.path.iterdir() if path.name.startswith((".", "resume"))] == []
    assert [path.name for path in (run.path / "checkpoints").iterdir()] == ["step-00000005"]
