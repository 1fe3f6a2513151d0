"""The contract of engines on a real Ray on this machine: one session for the whole file, and the only file with one."""

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from references import engine_tasks
from references.engine_contract import check_engine, hit_ctrl_c, tasks_for, wait_for_end
from references.engine_jobs import KillsWorkers, run_jobs
from references.looking_scorers import Outlying
from references.sharded_worlds import contents, corpus, trained

from scoring.engines.local import Local
from scoring.engines.ray_cluster import Ray
from scoring.engines.stages import run_stage
from scoring.engines.task_errors import TaskError
from scoring.errors import InputError
from scoring.score_shards import score_shards

if os.environ.get("CI") != "true":
    pytest.importorskip("ray")

# Ray warns of its own future, and leaves sockets to the garbage collector.
pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.filterwarnings(
        "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
    ),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A Ray with six places, whatever the machine has: with as few as two cores, others' workers could fill it."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import ray

        ray.init(
            address="local",
            num_cpus=6,
            num_gpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="ERROR",
        )
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="module")
def engine(address: str) -> Iterator[Ray]:
    engine = Ray(workers=2)
    yield engine
    engine.close()


def test_ray_keeps_the_contract(engine: Ray, tmp_path: Path) -> None:
    check_engine(engine, tmp_path)


def test_a_killed_worker_is_replaced_and_its_task_retried(engine: Ray, tmp_path: Path) -> None:
    results = dict(engine.map(engine_tasks.dies_once, tasks_for(tmp_path, 12), what="score"))
    assert (tmp_path / "died").exists()
    assert {k: result["square"] for k, result in results.items()} == {k: k * k for k in range(12)}


def test_a_task_that_always_dies_is_named_and_takes_no_other_down(address: str, tmp_path: Path) -> None:
    engine = Ray(workers=1, retries=0)
    with pytest.raises(TaskError, match=r"^score: the process of task 3, \{'x': 3, .* died once"):
        list(engine.map(engine_tasks.dies_always, tasks_for(tmp_path, 12), what="score"))
    assert len(list(engine.map(engine_tasks.square, tasks_for(tmp_path, 3), what="score"))) == 3
    engine.close()


def test_workers_keep_their_caches_and_at_most_two_tasks_are_with_each(address: str) -> None:
    engine = Ray(workers=2)
    runs = [
        result for _ in range(2) for _, result in engine.map(engine_tasks.calls_so_far, [{}] * 20, what="t")
    ]
    pids = {run["pid"] for run in runs}
    assert len(pids) <= 2 and sum(max(r["calls"] for r in runs if r["pid"] == pid) for pid in pids) == 40
    given = [
        max(len(worker.tasks) for worker in engine._pool)
        for _ in engine.map(engine_tasks.slow_square, [{"x": k} for k in range(20)], what="t")
    ]
    assert max(given) == 2
    engine.close()
    wait_for_end(list(pids))


def test_more_workers_than_the_cluster_has_room_for(address: str) -> None:
    engine = Ray(workers=9)
    assert len(list(engine.map(engine_tasks.slow_square, [{"x": k} for k in range(30)], what="t"))) == 30
    engine.close()


def test_a_cluster_without_room_is_told_after_a_while(address: str) -> None:
    engine = Ray(workers=1, cpus=64, seconds_to_start=1.0)
    with pytest.raises(
        TimeoutError, match=r"no worker could start within 1 seconds: each needs 64 CPU and 0 GPU"
    ):
        list(engine.map(engine_tasks.square, [{"x": 1}], what="t"))
    engine.close()
    engine = Ray(workers=1, seconds_to_start=1.0)
    with pytest.raises(TimeoutError, match="each needs 1 CPU and 3 GPU"):
        list(engine.map(engine_tasks.square, [{"x": 1}], what="t", gpus=3))
    engine.close()


def test_each_worker_has_gpus_of_its_own(address: str) -> None:
    """GPUs that Ray only believes in: what counts is which of them a task is shown."""
    engine = Ray()
    tasks = [{"seconds": 0.5}] * 6
    for gpus, shares in ((1.0, 1), (0.5, 2)):
        shown = {
            (run["pid"], run["gpus"])
            for _, run in engine.map(engine_tasks.shows_gpus, tasks, what="t", gpus=gpus)
        }
        devices = [gpu for _, gpu in shown]
        assert set(devices) <= {"0", "1"} and max(devices.count(gpu) for gpu in devices) <= shares
        assert len(engine._pool) == 2 * shares
    engine.close()


def test_another_version_on_a_node_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scoring.engines.ray_cluster.versions", lambda: "tamis 9.9 on Python 3.11")
    engine = Ray(workers=1)
    with pytest.raises(InputError, match=r"every node of the Ray cluster must run tamis 9\.9 .*, got tamis"):
        list(engine.map(engine_tasks.square, [{"x": 1}], what="t"))
    engine.close()


def test_an_interrupt_while_waiting_stops_the_tasks(engine: Ray, tmp_path: Path) -> None:
    """What Ctrl-C does, within this process: the generator is closed, the running tasks clean up and end."""
    tasks = tasks_for(tmp_path, 2)
    stopped = threading.Event()

    def interrupt() -> None:
        while len(list(tmp_path.glob("started-*"))) < 2:
            time.sleep(0.02)
        stopped.set()
        os.kill(os.getpid(), 2)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        list(engine.map(engine_tasks.writes_slowly, tasks, what="write"))
    assert stopped.is_set() and not list(tmp_path.glob(".out-*"))
    wait_for_end([int(path.name.split("-")[2]) for path in tmp_path.glob("started-*")])
    assert len(list(engine.map(engine_tasks.square, tasks, what="score"))) == 2


def test_ctrl_c_in_a_process_that_joined_by_address(address: str, tmp_path: Path) -> None:
    hit_ctrl_c("ray", tmp_path, address=address)


def test_a_stage_gives_the_same_bytes_and_resumes(engine: Ray, tmp_path: Path) -> None:
    tasks = [{"x": k, "folder": str(tmp_path)} for k in range(9)]
    files = {}
    for name, runner, function in (("local", Local(), "square"), ("ray", engine, "dies_once")):
        function = getattr(engine_tasks, function)
        run_stage(runner, tmp_path / name, "s", function, tasks, what="s", show_progress=False)
        files[name] = {path.name: path.read_bytes() for path in sorted((tmp_path / name / "s").glob("*.npz"))}
    assert len(files["ray"]) == 9 and files["local"] == files["ray"] and (tmp_path / "died").exists()
    (tmp_path / "ray" / "s" / "00004.npz").unlink()
    log = [{"x": k, "log": str(tmp_path / "log"), "folder": str(tmp_path)} for k in range(9)]
    run_stage(engine, tmp_path / "other", "s", engine_tasks.counted, log, what="s", show_progress=False)
    (tmp_path / "other" / "s" / "00004.npz").unlink()
    run_stage(engine, tmp_path / "other", "s", engine_tasks.counted, log, what="s", show_progress=False)
    assert sorted(map(int, (tmp_path / "log").read_text().split())) == sorted([*range(9), 4])


def test_no_cluster_at_an_address_is_one_sentence() -> None:
    """In a process of its own: this one has a session already, which is what an engine then uses."""
    code = (
        "from scoring.engines.engine import make_engine\n"
        "from scoring.errors import InputError\n"
        "try:\n    list(make_engine('ray', address='127.0.0.1:1').map(len, ['x'], what='t'))\n"
        "except InputError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "engine: no Ray cluster answers at address='127.0.0.1:1'" in done.stdout, done.stderr[-2000:]


def test_scoring_and_selection_give_the_same_bytes(engine: Ray, tmp_path: Path) -> None:
    """The rest of this comparison is in tests/selection/test_engines_agree.py."""
    corpus(tmp_path / "data")
    alone = run_jobs(tmp_path / "data", trained(), tmp_path / "local", lambda _: Local())
    marks = tmp_path / "marks"
    deadly = ("score", "finish", "write", "publish")

    def killing(name: str) -> KillsWorkers:
        return KillsWorkers(engine, marks / name, deadly)

    assert run_jobs(tmp_path / "data", trained(), tmp_path / "ray", killing) == alone
    assert len(list(marks.glob("*/*"))) == 2 + 2 + 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_looks_at_all_shards_give_the_same_bytes(engine: Ray, tmp_path: Path) -> None:
    """Documents, two looks, and a worker that dies in each stage."""
    corpus(tmp_path / "data")
    stages = ("look-001", "merge-001", "look-002", "score", "together", "add", "finish")
    for name, runner in (("one", Local()), ("two", KillsWorkers(engine, tmp_path / "marks", stages))):
        score_shards(
            tmp_path / "data",
            [Outlying(), "minhash_duplicates"],
            out=tmp_path / name,
            id="key",
            piece_rows=8,
            engine=runner,
        )
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert len(list((tmp_path / "marks").iterdir())) == len(stages)


def test_cells_have_the_same_weights_as_in_this_process(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large updates, whose sums depend on the number of threads; data from a relative path; one cell that fails."""
    from training.cell_data import DataRequest
    from training.cells import CellsFailed, train_cells

    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("data.npz", x=rng.normal(size=(256, 64)).astype(np.float32), y=np.arange(256) % 10)
    models = "linear,mlp(hidden=[900,900])"
    options = {"seeds": [0, 1], "epochs": 2, "batch_size": 128}
    train_cells(DataRequest("data.npz"), models, out="here", **options)
    engine = Ray(workers=2)
    with pytest.raises(
        CellsFailed, match=r"2 of 6 cells failed and the others are finished: bug/seed-[01] \(Runt"
    ):
        train_cells(
            DataRequest("data.npz"),
            f"{models},bug=references.cell_models:failing",
            out="ray",
            engine=engine,
            **options,
        )
    engine.close()

    def weights(folder: str) -> dict[str, bytes]:
        found = (tmp_path / folder).rglob("model.safetensors")
        return {str(path.relative_to(tmp_path / folder)): path.read_bytes() for path in found}

    expected = weights("here")
    assert len(expected) == 8
    assert {name: found for name, found in weights("ray").items() if not name.startswith("bug")} == expected
