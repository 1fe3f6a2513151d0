"""A scoring that is killed or interrupted, and then repeated, ends with the same bytes; another call is refused."""

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.small_runs import DIGITS, train_small

from scoring.errors import InputError
from scoring.run import score
from scoring.sources.checkpoint_sweep import CheckpointSweep
from scoring.table import ScoreTable

ROOT = Path(__file__).resolve().parents[2]
SCORERS = "el2n,loss@mean,aum,forgetting"
OPTIONS: dict[str, Any] = {"view": "clean", "signals": "checkpoints", "block_rows": 40, "per_run": True}

# One process imports everything and forks a child for every attempt, which it kills when so many pieces are there.
KILLER = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
import torch
from scoring.examples import Examples
from scoring.run import score

torch.set_num_threads(1)
out, runs, number, counts = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), map(int, sys.argv[4:])
examples = Examples.load("digits").take(np.arange(200))
options = dict(view="clean", signals="checkpoints", block_rows=20, per_run=True)
pieces = out.with_name(out.name + ".parts")
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored

def finished():
    try:
        return sum(name.startswith("block") for name in os.listdir(pieces))
    except FileNotFoundError:
        return 0

for count in [*counts, 10**9]:
    child = os.fork()
    if child == 0:
        try:
            score(examples, "el2n,loss@mean,aum,forgetting", runs, out=out, **options)
        except KeyboardInterrupt:
            os._exit(130)
        os._exit(0)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if finished() >= count:
            os.kill(child, number)
            _, status = os.waitpid(child, 0)
            break
    left = sorted((path.name, path.stat().st_mtime_ns) for path in pieces.glob("*.parquet"))
    print(os.waitstatus_to_exitcode(status), left, flush=True)

score(examples, "el2n,loss@mean,aum,forgetting", runs, out=out.with_name("whole.parquet"), **options)
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train_small(out, seeds=[0, 1])
    return out


@pytest.fixture(scope="module")
def whole(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "scores.parquet"
    score(DIGITS, SCORERS, runs, out=out, **OPTIONS)
    return out


def killer(out: Path, runs: Path, number: int, *counts: int) -> list[tuple[int, dict[str, int]]]:
    """Exit code, and the pieces that were left with their times, after every attempt."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLER, str(out), str(runs), str(number), *map(str, counts)],
        capture_output=True, text=True, env=environment, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    attempts = []
    for line in done.stdout.splitlines():
        code, _, left = line.partition(" ")
        attempts.append((int(code), dict(eval(left))))
    return attempts


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_killed_scoring_resumes_at_the_last_piece(
    tmp_path: Path, runs: Path, number: int, code: int
) -> None:
    out = tmp_path / "scores.parquet"
    attempts = killer(out, runs, number, 1, 5, 12, 19)
    assert [attempt[0] for attempt in attempts].count(code) >= 3, attempts
    assert attempts[-1] == (0, {})
    pieces = [left for exit_code, left in attempts if exit_code == code]
    for before, after in pairwise(pieces):
        assert before.items() <= after.items()  # not one of them was made again
    assert out.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.parquet", "whole.parquet"]


class Interrupt(Exception):
    pass


def cut(monkeypatch: pytest.MonkeyPatch, out: Path, runs: Path, reads: int, **options: Any) -> int:
    """Scoring that stops at a certain read of the source; how many there were."""
    seen = 0
    read = CheckpointSweep.read

    def stopping(self: CheckpointSweep, *arguments: Any) -> Any:
        nonlocal seen
        seen += 1
        if seen > reads:
            raise Interrupt
        return read(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointSweep, "read", stopping)
        try:
            score(DIGITS, SCORERS, runs, out=out, **{**OPTIONS, **options})
        except Interrupt:
            return seen - 1
    return seen


def test_finished_pieces_are_not_read_again(
    tmp_path: Path, runs: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "scores.parquet"
    # 5 blocks, 2 runs, 3 checkpoints each: 30 reads in all, and a piece is three of them.
    assert cut(monkeypatch, out, runs, 20) == 20
    assert len(list((tmp_path / "scores.parquet.parts").glob("*.parquet"))) == 6
    assert cut(monkeypatch, out, runs, 10_000) == 30 - 18
    assert out.read_bytes() == whole.read_bytes()


def test_the_other_loop_order_may_finish_the_work(
    tmp_path: Path, runs: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(monkeypatch, tmp_path / "scores.parquet", runs, 20)
    table = score(DIGITS, SCORERS, runs, out=tmp_path / "scores.parquet", order="data", **OPTIONS)
    assert table.to_arrow().equals(ScoreTable.read(whole).to_arrow())


def test_a_finished_table_is_recognised(
    tmp_path: Path, runs: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "scores.parquet"
    shutil.copy2(whole, out)
    before = out.stat().st_mtime_ns
    (tmp_path / "scores.parquet.parts").mkdir()  # as a kill between the last two steps leaves it
    assert cut(monkeypatch, out, runs, 0) == 0
    assert out.stat().st_mtime_ns == before and not (tmp_path / "scores.parquet.parts").exists()
    again = score(DIGITS, SCORERS, runs, out=out, **OPTIONS)
    assert again.to_arrow().equals(ScoreTable.read(whole).to_arrow())
    assert again.info == ScoreTable.read(whole).info


@pytest.mark.parametrize(
    "change",
    [
        {"scorers": "el2n,loss@mean,aum"},
        {"scorers": "el2n:l1,loss@mean,aum,forgetting"},
        {"examples": DIGITS.take(range(100))},
        {"examples": DIGITS.with_labels((DIGITS.labels + 1) % 10)},
        {"per_run": False},
        {"precision": "bfloat16"},
    ],
)
def test_another_call_is_refused(
    tmp_path: Path, runs: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    given = {"examples": DIGITS, "scorers": SCORERS, "source": runs, **OPTIONS, **change}
    shutil.copy2(whole, tmp_path / "done.parquet")
    with pytest.raises(
        InputError, match=r"^score: out .*done\.parquet' holds another score table; choose another"
    ):
        score(out=tmp_path / "done.parquet", **given)
    cut(monkeypatch, tmp_path / "half.parquet", runs, 7)
    with pytest.raises(
        InputError, match=r"^score: .*half\.parquet\.parts' holds the unfinished work of a different"
    ):
        score(out=tmp_path / "half.parquet", **given)
    expected = score(**given)
    for name in ("done", "half"):
        table = score(out=tmp_path / f"{name}.parquet", overwrite=True, **given)
        assert table.to_arrow().equals(expected.to_arrow())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["done.parquet", "half.parquet"]


def test_other_runs_at_the_same_place_are_another_call(tmp_path: Path, whole: Path) -> None:
    train_small(tmp_path / "runs", seeds=[0, 1], lr=0.02)
    shutil.copy2(whole, tmp_path / "scores.parquet")
    with pytest.raises(InputError, match="holds another score table"):
        score(DIGITS, SCORERS, tmp_path / "runs", out=tmp_path / "scores.parquet", **OPTIONS)


def test_pieces_without_a_head_are_nobodys(tmp_path: Path, runs: Path, whole: Path) -> None:
    folder = tmp_path / "scores.parquet.parts"
    folder.mkdir()
    (folder / "block-00000.run-000.parquet").write_bytes(b"of a deletion that was killed")
    (tmp_path / ".scores.parquet.123.tmp").write_bytes(b"of a writer that was killed")
    score(DIGITS, SCORERS, runs, out=tmp_path / "scores.parquet", **OPTIONS)
    assert (tmp_path / "scores.parquet").read_bytes() == whole.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


def test_ctrl_c_on_the_command_line_is_one_line(tmp_path: Path, runs: Path) -> None:
    out = tmp_path / "scores.parquet"
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from tamis.cli import main; main()"
    process = subprocess.Popen(
        [
            sys.executable, "-W", "ignore", "-c", code, "score", "digits", "--from", str(runs), "--scorers", SCORERS,
            "--out", str(out), "--signals", "checkpoints", "--batch-size", "1", "--quiet",
        ],
        cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until = time.monotonic() + 60
    while (
        process.poll() is None
        and not (tmp_path / "scores.parquet.parts").exists()
        and time.monotonic() < until
    ):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.strip() == "tamis: interrupted; the same command continues where it stopped."
    assert process.returncode == 130
    assert not out.exists()


def test_a_call_that_fails_leaves_nothing(tmp_path: Path, runs: Path, whole: Path) -> None:
    out = tmp_path / "scores.parquet"
    other = DIGITS.take(np.arange(len(DIGITS)))
    other.label_names = tuple("abcdefghij")
    with pytest.raises(InputError, match="the labels must be classes of the model"):
        score(other, SCORERS, runs, out=out, **OPTIONS)
    assert list(tmp_path.iterdir()) == []
    score(DIGITS, SCORERS, runs, out=out, **OPTIONS)
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("what", ["text", "parquet", "folder"])
def test_what_is_no_score_table_is_never_replaced(
    tmp_path: Path, runs: Path, what: str, overwrite: bool
) -> None:
    out = tmp_path / "mine.parquet"
    if what == "folder":
        out.mkdir()
    elif what == "text":
        out.write_text("mine")
    else:
        pq.write_table(pa.table({"text": ["mine"]}), out)
    with pytest.raises(InputError, match=r"^score: out must be a new name or a score table, and .* else"):
        score(DIGITS, SCORERS, runs, out=out, overwrite=overwrite, **OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.parquet"]


@pytest.mark.parametrize(
    ("option", "value", "allowed"),
    [
        ("batch_size", 0, "a whole number of at least 1"),
        ("max_tokens", 0, "a whole number of at least 1, or None"),
        ("precision", "bflot16", "Did you mean 'bfloat16'"),
        ("precision", "float16", "float32 or bfloat16 on cpu"),
    ],
)
def test_options_of_the_forward_pass_are_checked_even_if_there_is_none(
    runs: Path, option: str, value: object, allowed: str
) -> None:
    with pytest.raises(InputError, match=rf"^score: {option} must be .*{allowed}"):
        score(DIGITS, "random", runs, signals="auto", device="cpu", **{option: value})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"examples": "digits"},
            r"^score: examples must be Examples, made by Examples.load\(...\), got 'digits'",
        ),
        ({"scorers": 3}, r"^score: scorers must be names such as .* got 3"),
        ({"source": 3}, r"^score: source must be a path of runs, .* got 'int'"),
        ({"overwrit": True}, r"^score: option must be one of .* got 'overwrit'. Did you mean 'overwrite'"),
    ],
)
def test_arguments_of_the_wrong_kind(runs: Path, change: dict[str, Any], sentence: str) -> None:
    given: dict[str, Any] = {"examples": DIGITS, "scorers": "el2n", "source": runs, **change}
    with pytest.raises(InputError, match=sentence):
        score(**given)
