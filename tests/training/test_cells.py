"""train_cells(): which cells there are, that they do not depend on where they run, and what one failure does."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from references.small_runs import DIGITS, contents, train_small
from torch import nn

from scoring.checkpoints import RunDirectory
from scoring.engines.engine import make_engine
from scoring.engines.processes import Processes
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.progress import _pace
from scoring.run import score
from selection.subset import Subset
from training.architectures import read_architectures
from training.cell_data import DataRequest
from training.cells import CellsFailed, train_cells
from training.isolation import SHARED_FLOPS, using_threads

TWO: dict[str, Any] = {"evaluate": False, "batch_size": 32, "epochs": 1}
LARGE = "mlp(hidden=[700,700]),cnn(channels=[16,32])"
"""Updates of more FLOPs than one thread gets by itself, so that the number of threads counts."""
HERE = "references.cell_models"


def files(folder: Path) -> dict[str, Any]:
    """Bytes of all files; run.json without the clock, and without the commit, which somebody may make meanwhile."""
    found = contents(folder)
    for name in found:
        if name.endswith("run.json"):
            found[name].pop("git_commit")
    return found


def test_models_as_a_user_writes_them() -> None:
    read = read_architectures(
        "linear, deep=mlp(hidden=[64,64,64]),mlp(hidden=[8], analyzer=char),my.nets:make,a/b-c"
    )
    assert [(each.name, each.model, dict(each.options)) for each in read] == [
        ("linear", "linear", {}),
        ("deep", "mlp", {"hidden": [64, 64, 64]}),
        ("mlp-hidden-8-analyzer-char", "mlp", {"hidden": [8], "analyzer": "char"}),
        ("my.nets-make", "my.nets:make", {}),
        ("a-b-c", "a/b-c", {}),
    ]
    module = nn.Linear(2, 2)
    read = read_architectures({"own": module, "wide": "mlp(hidden=[512])"})
    assert read[0].model is module and (read[1].name, read[1].model) == ("wide", "mlp")
    assert read_architectures(["linear"])[0].name == "linear"


@pytest.mark.parametrize(
    ("models", "sentence"),
    [
        ("mlp,linear,mlp", "models must have different names, got 'mlp' and 'mlp'; give one a name"),
        ("A=mlp,a=linear", "models must have different names, got 'A' and 'a'"),
        ("", "models must be at least one model"),
        ({}, "models must be at least one model"),
        ("mlp(hidden=[64]", r"models must be models such as .*, got 'mlp\(hidden=\[64\]'"),
        ("mlp(64)", "model 'mlp': option must be of the form option=value, got '64'"),
        ("mlp(hidden=1,hidden=2)", "option 'hidden' must be given once"),
        ("=mlp", "the name of a model must be letters"),
        ("../x=mlp", "the name of a model must be letters"),
        ("seed-1=mlp", "not like seed-0"),
        ({"a": "b=mlp"}, "models must be models such as"),
        ([nn.Linear(2, 2)], "requests as text, or a dictionary of names with models, got 'Linear'"),
        (f"mlp(hidden=[{','.join('64' * 40)}])", "have a name of its own"),
    ],
)  # fmt: skip
def test_models_that_are_none(models: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_architectures(models)


def test_cells_are_the_runs_of_each_model_by_itself(tmp_path: Path) -> None:
    found = train_cells(
        DIGITS, "linear,deep=mlp(hidden=[16])", out=tmp_path / "grid", seeds=[3, 1], record=True, **TWO
    )
    assert {name: [run.path for run in runs] for name, runs in found.items()} == {
        name: [tmp_path / "grid" / name / f"seed-{seed}" for seed in (1, 3)] for name in ("linear", "deep")
    }
    train_small(tmp_path / "one", seeds=[3, 1], epochs=1, record=True)
    assert files(tmp_path / "one") == files(tmp_path / "grid" / "deep")
    assert found["linear"][0].config["learning_rate"] == found["deep"][0].config["learning_rate"] == 5e-3
    table = score(DIGITS, "el2n", tmp_path / "grid" / "deep")
    assert table.info["runs"] == ["seed-1", "seed-3"]


def test_finished_cells_are_not_repeated_and_more_may_be_added(tmp_path: Path) -> None:
    train_cells(DIGITS, "linear,mlp", out=tmp_path, seeds=[0], **TWO)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    found = train_cells(DIGITS, "mlp,linear,wide=mlp(hidden=[99])", out=tmp_path, seeds=[0, 1], **TWO)
    assert [len(runs) for runs in found.values()] == [2, 2, 2]
    before = {path: stamp for path, stamp in stamps.items() if path.is_file()}
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells of large updates, in this process."""
    out = tmp_path_factory.mktemp("reference")
    train_cells(Examples.load("digits"), f"linear,{LARGE}", out=out, seeds=[0, 1], record=True, **TWO)
    return out


def test_large_updates_are_large(reference: Path) -> None:
    """Or the tests below would pass without any care for threads."""
    for path in reference.glob("*-*/seed-0"):
        assert RunDirectory.open(path).config["flops_per_unit"] * TWO["batch_size"] > SHARED_FLOPS


@pytest.mark.parametrize("threads_here", [1, 3])
def test_the_threads_of_this_process_play_no_part(reference: Path, tmp_path: Path, threads_here: int) -> None:
    with using_threads(threads_here):
        train_cells(Examples.load("digits"), LARGE, out=tmp_path, seeds=[1], record=True, **TWO)
        assert torch.get_num_threads() == threads_here
    for found in tmp_path.iterdir():
        assert files(found / "seed-1") == files(reference / found.name / "seed-1")


@pytest.fixture(scope="module")
def pool() -> Iterator[Processes]:
    """Two workers for all that does not ask for its own: they serve one grid after another."""
    engine = Processes(2)
    yield engine
    engine.close()


@pytest.mark.parametrize(("workers", "data"), [(1, DataRequest("digits")), (2, Examples.load("digits"))])
def test_processes_give_the_same_files(
    reference: Path, tmp_path: Path, workers: int, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", str(workers))
    engine = Processes(workers)
    train_cells(data, f"linear,{LARGE}", out=tmp_path, seeds=[0, 1], engine=engine, record=True, **TWO)
    engine.close()
    assert files(tmp_path) == files(reference)


def test_slices_train_their_cells_and_wait_for_nobody(reference: Path, tmp_path: Path) -> None:
    counts = []
    for i in (2, 0, 1, 3):
        engine = make_engine("local", shard=f"{i}/4", folder=tmp_path / "unused")
        found = train_cells(
            Examples.load("digits"), f"linear,{LARGE}", out=tmp_path / "out", seeds=[0, 1], engine=engine,
            record=True, **TWO,
        )  # fmt: skip
        counts.append(sum(len(runs) for runs in found.values()))
    assert sorted(counts) == [1, 1, 2, 2]
    assert files(tmp_path / "out") == files(reference) and not (tmp_path / "unused").exists()


def test_subsets_and_held_out_examples(tmp_path: Path, pool: Processes) -> None:
    subset = Subset.from_ids(DIGITS.ids[:120])
    options = {"subset": subset, "evaluate": 0.25, "epochs": 1}
    here = train_cells(DIGITS, "linear", out=tmp_path / "a", **options)["linear"][0]
    train_cells(DIGITS, "linear", out=tmp_path / "b", engine=pool, **options)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert here.config["data"]["trained_on"] < 120 and here.held_out() is not None


def test_modules_and_functions_go_to_workers_where_they_can_be_found(tmp_path: Path, pool: Processes) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    train_cells(DIGITS, {"own": module}, out=tmp_path / "a", engine=pool, **TWO)
    train_cells(DIGITS, {"own": module}, out=tmp_path / "b", **TWO)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    with pytest.raises(InputError, match="'own' must be one that other processes can load"):
        train_cells(DIGITS, {"own": lambda _: module}, out=tmp_path / "c", engine=pool, **TWO)


@pytest.mark.parametrize("here", [True, False])
def test_one_failing_cell_does_not_stop_the_others(tmp_path: Path, here: bool, pool: Processes) -> None:
    models = f"linear,bad={HERE}:diverging,bug={HERE}:failing,hungry={HERE}:hungry,mlp(hidden=[16])"
    with pytest.raises(CellsFailed) as error:
        train_cells(DIGITS, models, out=tmp_path, seeds=[0, 1], engine=None if here else pool, **TWO)
    text = str(error.value)
    assert text.startswith("train: 6 of 10 cells failed and the others are finished: ")
    assert text.endswith("The same call tries these again.")
    assert set(error.value.failed) == {
        f"{name}/seed-{s}" for name in ("bad", "bug", "hungry") for s in (0, 1)
    }
    assert "the loss became nan at step 3 of 7" in error.value.failed["bad/seed-1"]
    assert error.value.failed["bug/seed-0"] == "RuntimeError: a bug of mine"
    assert error.value.failed["hungry/seed-0"].startswith("not enough memory; give a smaller batch size")
    assert "in forward" in error.value.__notes__[0]
    for name in ("linear", "mlp-hidden-16"):
        assert all(RunDirectory.open(tmp_path / name / f"seed-{s}").status == "finished" for s in (0, 1))


def test_a_cell_that_kills_its_process_does_not_stop_the_others(tmp_path: Path) -> None:
    engine = Processes(2, retries=1)
    with pytest.raises(
        CellsFailed, match=r"1 of 4 cells failed .* bad/seed-0 \(its process died 2 times; if"
    ):
        train_cells(
            DIGITS, {"bad": f"{HERE}:killing", "linear": "linear", "mlp": "mlp", "deep": "mlp(hidden=[16,16])"},
            out=tmp_path, engine=engine, **TWO,
        )  # fmt: skip
    engine.close()
    for name in ("linear", "mlp", "deep"):
        assert RunDirectory.open(tmp_path / name / "seed-0").status == "finished"


def test_a_failed_cell_is_tried_again(tmp_path: Path) -> None:
    with pytest.raises(CellsFailed, match="1 of 1 cells failed and none is finished"):
        train_cells(DIGITS, {"a": "mlp"}, out=tmp_path, optimizer="sgd", lr=1e30, **TWO)
    assert RunDirectory.open(tmp_path / "a" / "seed-0").status == "diverged"
    with pytest.raises(CellsFailed):
        train_cells(DIGITS, {"a": "mlp"}, out=tmp_path, optimizer="sgd", lr=1e30, **TWO)


@pytest.mark.parametrize(
    ("models", "options", "sentence"),
    [
        ("linear,mpl", {}, r"model 'mpl' cannot be trained: .* Did you mean 'mlp'"),
        ("linear,mlp(hiden=[3])", {}, "option must be one of .*'hiden'. Did you mean 'hidden'"),
        ("linear,small-bert", {}, r"model 'small-bert' cannot be trained: .* a model for image examples"),
        (f"linear,n={HERE}:narrow", {}, r"model 'n' cannot be trained: it fails on the examples \(RuntimeError"),
        (f"linear,f={HERE}:few_classes", {}, r"its logits must be of shape \(2, 10\).*got \(2, 7\)"),
        (f"linear,x={HERE}:nothing", {}, "nothing"),
        ("linear,mlp", {"optimizer": "adamww"}, "optimizer must be one of .*adamww"),
        ("linear,mlp", {"epoch": 3}, "Did you mean 'epochs'"),
        ("linear,mlp", {"seeds": [0, 0]}, "seeds must be one or more different"),
        ("linear,mlp", {"threads": 0}, "threads must be a whole number of at least 1, got 0"),
        ("linear,mlp", {"model_options": {"hidden": [3]}}, "write them in brackets"),
        ("linear,mlp", {"start": "x"}, "start is a run of one model"),
        ("linear,mlp", {"folds": 3}, "folds are of one model"),
        ("a=mlp,b=mlp(hidden=[64])", {}, "'a' and 'b' are one model with the same options"),
    ],
)  # fmt: skip
def test_mistakes_show_before_anything_is_trained(
    tmp_path: Path, models: str, options: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        train_cells(DIGITS, models, out=tmp_path / "out", **{**TWO, **options})
    assert not (tmp_path / "out").exists()


def test_folders_of_other_calls_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    train_cells(DIGITS, "mlp", out=tmp_path, seeds=[1, 2], **TWO)
    for options, sentence in (
        ({**TWO, "epochs": 2}, "epochs 1 there, 2 here"),
        ({**TWO, "evaluate": 0.5}, "held-out"),
    ):
        with pytest.raises(InputError, match=sentence):
            train_cells(DIGITS, "linear,mlp", out=tmp_path, seeds=[0, 2], **options)
    with pytest.raises(InputError, match="other data or labels"):
        train_cells(DIGITS.take(np.arange(100)), "linear,mlp", out=tmp_path, seeds=[0, 2], **TWO)
    assert not (tmp_path / "linear").exists()
    with pytest.raises(InputError, match=r"mlp' must be a folder for several models, and holds runs itself"):
        train_cells(DIGITS, "linear", out=tmp_path / "mlp", **TWO)


def test_a_worker_that_reads_other_data_is_refused(
    tmp_path: Path, pool: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = np.arange(80.0).reshape(40, 2), np.arange(40) % 2
    np.savez("data.npz", x=x, y=y)
    changed = DataRequest("data.npz")
    load = DataRequest.load

    def load_and_change(self: DataRequest) -> Examples:
        examples = load(self)
        np.savez("data.npz", x=x, y=1 - y)
        return examples

    monkeypatch.setattr(DataRequest, "load", load_and_change)
    with pytest.raises(InputError, match="must be the same for all workers"):
        train_cells(changed, "linear,mlp", out="out", engine=pool, epochs=1)


def test_a_gpu_of_ones_own_is_not_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.cells.pick_device", lambda name: torch.device(name))
    with pytest.raises(
        InputError, match=r"must not name one GPU where every worker has its own, got 'cuda:1'"
    ):
        train_cells(DIGITS, "linear", out=tmp_path, engine=Processes(1), device="cuda:1", **TWO)


def test_progress_tells_cells_and_their_pace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_cells(DIGITS, "linear", out=tmp_path, **TWO)
    monkeypatch.setattr("scoring.progress.SECONDS_BETWEEN_LINES", 0.0)
    train_cells(DIGITS, "linear,mlp", out=tmp_path, seeds=[0, 1], progress=True, **TWO)
    lines = capsys.readouterr().err.splitlines()
    cells = [line for line in lines if " cells" in line]
    assert [line.split(",")[0] for line in cells] == [f"training: {k} of 4 cells" for k in (2, 3, 4)]
    assert cells[-1].endswith("0:00 left")
    assert any(line.startswith("training mlp/seed-1: 200 of 200 examples") for line in lines)


def test_bars_in_bars_share_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "dumb")
    found = train_cells(DIGITS, "linear,mlp", out=tmp_path, progress=True, **TWO)
    assert len(found) == 2


def test_a_pace_is_readable() -> None:
    assert _pace(5000, 100, 2.0) == ("2,500/s", "0:00")
    assert _pace(30, 30, 10.0) == ("3.0/s", "0:10")
    assert _pace(3, 27, 360.0) == ("30.0/h", "54:00")
    assert _pace(2, 8, 60.0) == ("2.0/min", "4:00")
    assert _pace(0, 8, 60.0) == ("", "")


def test_global_state_is_left_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before, folder = torch.get_rng_state(), Path.cwd()
    train_cells(DIGITS, "linear,mlp", out=tmp_path, **TWO)
    assert torch.equal(torch.get_rng_state(), before) and Path.cwd() == folder
