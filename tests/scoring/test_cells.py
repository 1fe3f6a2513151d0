"""Cells on disk: which runs are one architecture, what is refused, and their scores run by run."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from references.small_runs import DIGITS, train_small

from scoring.call_syntax import read_options, split_commas
from scoring.compare.cells import find_architectures, score_cells
from scoring.errors import InputError
from scoring.run import score
from training.crossfit import train_folds
from training.subset_runs import train_subsets


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two architectures of two seeds each."""
    out = tmp_path_factory.mktemp("cells") / "runs"
    train_small(out / "mlp", seeds=[0, 10], epochs=2)
    train_small(out / "linear", model="linear", seeds=[0, 1], epochs=2)
    return out


def change(run: Path, **fields: object) -> None:
    config = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**config, **fields}))


def test_a_folder_of_folders_and_the_folders_themselves(runs: Path) -> None:
    every = {"linear": runs / "linear", "mlp": runs / "mlp"}
    assert find_architectures(runs) == every
    assert list(find_architectures([runs / "mlp", str(runs / "linear")])) == ["mlp", "linear"]
    assert find_architectures(f"small={runs / 'mlp'}") == {"small": runs / "mlp"}
    assert find_architectures(runs / "mlp" / "seed-10") == {"mlp": runs / "mlp" / "seed-10"}
    assert find_architectures(f"one={runs / 'mlp' / 'seed-0'}") == {"one": runs / "mlp" / "seed-0"}


def test_a_name_may_stand_before_a_folder_with_one_architecture(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "mlp", tmp_path / "runs" / "mlp")
    assert find_architectures(f"deep={tmp_path / 'runs'}") == {"deep": tmp_path / "runs" / "mlp"}
    with pytest.raises(InputError, match=r"'a' must be one architecture, and .* holds 2: 'linear', 'mlp'"):
        find_architectures(f"a={runs}")


def test_the_present_folder_has_its_name(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs / "mlp")
    assert find_architectures(".") == {"mlp": Path()}
    monkeypatch.chdir(runs)
    assert find_architectures(".") == {"linear": Path("linear"), "mlp": Path("mlp")}


def test_folds_of_a_seed_are_one_run(tmp_path: Path) -> None:
    for name, model in (("a", "linear"), ("b", "mlp")):
        train_folds(DIGITS, model, folds=2, out=tmp_path / name, seeds=[0, 1], epochs=1)
    assert find_architectures(tmp_path) == {"a": tmp_path / "a", "b": tmp_path / "b"}
    assert find_architectures(tmp_path / "a") == {"a": tmp_path / "a"}
    scores = score_cells(DIGITS, "el2n", find_architectures(tmp_path), tmp_path / "scores")
    assert scores.runs == {"a": ("seed-0", "seed-1"), "b": ("seed-0", "seed-1")}


def test_what_is_no_architecture(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere' does not exist"):
        find_architectures(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"run\.json' is a file, not a folder of runs"):
        find_architectures(runs / "mlp" / "seed-0" / "run.json")
    with pytest.raises(InputError, match="must hold a run"):
        find_architectures(tmp_path)
    with pytest.raises(InputError, match="must be at least one folder"):
        find_architectures([])
    with pytest.raises(InputError, match="must be a folder of runs or NAME=FOLDER, got '=runs'"):
        find_architectures("=runs")
    with pytest.raises(InputError, match=r"different names, and 'mlp' is both .* other="):
        find_architectures([runs, runs / "mlp"])
    with pytest.raises(InputError, match="must be one architecture, and is given twice"):
        find_architectures([f"a={runs / 'mlp'}", f"b={runs / 'mlp'}"])
    shutil.copytree(runs / "mlp" / "seed-0", tmp_path / "seed-0")
    shutil.copytree(runs / "linear", tmp_path / "linear")
    with pytest.raises(InputError, match=r"holds both \('seed-0' and 'linear'\)"):
        find_architectures(tmp_path)


def test_runs_of_an_architecture_differ_in_their_seed_only(runs: Path, tmp_path: Path) -> None:
    def two(name: str, other: Path = runs / "mlp" / "seed-10") -> Path:
        shutil.copytree(runs / "mlp" / "seed-0", tmp_path / name / "seed-0")
        shutil.copytree(other, tmp_path / name / "seed-1")
        return tmp_path / name

    with pytest.raises(
        InputError, match=r"has another model than seed-0 \(linear, not mlp\(hidden=\[16\]\)\)"
    ):
        find_architectures(two("model", runs / "linear" / "seed-1"))
    same = two("same", runs / "mlp" / "seed-0")
    with pytest.raises(InputError, match="both have seed 0; a run that counts twice agrees with itself"):
        find_architectures(same)
    other = two("settings")
    config = json.loads((other / "seed-1" / "run.json").read_text())
    change(other / "seed-1", config={**config["config"], "batch_size": 99})
    with pytest.raises(InputError, match=r"another batch_size than seed-0 \(99, not 32\)"):
        find_architectures(other)
    data = two("data")
    change(data / "seed-1", data={**config["data"], "fingerprint": "f" * 32})
    with pytest.raises(InputError, match=r"another data than seed-0 \(digits, fingerprint ffffffff"):
        find_architectures(data)
    running = two("running")
    change(running / "seed-1", status="running")
    with pytest.raises(InputError, match="is running, not finished"):
        find_architectures(running)


def test_architectures_have_seen_the_same_data(runs: Path, tmp_path: Path) -> None:
    train_small(tmp_path / "other", examples=DIGITS.take(range(150)), epochs=1)
    with pytest.raises(
        InputError, match=r"trained on the same data, and 'other' was trained on digits, fing"
    ):
        find_architectures([runs, tmp_path / "other"])


def test_scores_are_those_of_each_architecture_by_itself(runs: Path, tmp_path: Path) -> None:
    scores = score_cells(DIGITS, "el2n,margin,forgetting", find_architectures(runs), tmp_path)
    assert scores.runs == {"linear": ("seed-0", "seed-1"), "mlp": ("seed-0", "seed-10")}
    assert set(scores.scores) == {"el2n", "margin", "forgetting"} and len(scores) == len(DIGITS)
    for name, seeds in (("linear", (0, 1)), ("mlp", (0, 10))):
        singles = [score(DIGITS, "el2n,margin", runs / name / f"seed-{seed}") for seed in seeds]
        np.testing.assert_array_equal(
            scores.values("el2n", name), np.stack([single.column("el2n") for single in singles])
        )
        np.testing.assert_array_equal(
            scores.values("margin", name), -np.stack([single.column("margin") for single in singles])
        )
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert sorted(path.name for path in stamps) == ["linear.parquet", "mlp.parquet"]
    score_cells(DIGITS, "el2n,margin,forgetting", find_architectures(runs), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == stamps
    with pytest.raises(InputError, match=r"architecture 'linear' cannot be scored: .* another score table"):
        score_cells(DIGITS, "el2n", find_architectures(runs), tmp_path)
    again = score_cells(DIGITS, "el2n", find_architectures(runs), tmp_path, overwrite=True)
    assert again.scores == ("el2n",)


def test_one_run_per_architecture(runs: Path, tmp_path: Path) -> None:
    kinds = {name: runs / name / "seed-0" for name in ("mlp", "linear")}
    scores = score_cells(DIGITS, "el2n", kinds, tmp_path)
    assert not scores.single_runs and scores.values("el2n", "mlp").shape == (1, len(DIGITS))


def test_a_score_that_an_architecture_cannot_have_names_it(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"architecture 'linear' cannot be scored: .* needs a layer before the last"
    ):
        score_cells(DIGITS, "tracin:anand2023", find_architectures(runs), tmp_path)
    with pytest.raises(InputError, match=r"'mlp' cannot be scored: .* seed-0 has no clean signals"):
        score_cells(DIGITS, "memorization", {"mlp": runs / "mlp"}, tmp_path, signals="recorded")
    with pytest.raises(InputError, match=r"option must be one of .*, got 'per_run'"):
        score_cells(DIGITS, "el2n", find_architectures(runs), tmp_path, per_run=False)
    with pytest.raises(InputError, match="can be that of a file, got 'a/b'"):
        score_cells(DIGITS, "el2n", {"a/b": runs / "mlp"}, tmp_path)
    with pytest.raises(InputError) as unknown:
        score_cells(DIGITS, "el2n,margni", find_architectures(runs), tmp_path)
    assert "Did you mean 'margin'" in str(unknown.value) and "architecture" not in str(unknown.value)
    with pytest.raises(InputError, match="at least one"):
        score_cells(DIGITS, "el2n", {}, tmp_path)


def test_runs_of_several_models_are_not_averaged(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"of one model to be averaged, got linear in '.*linear' and mlp\(hidden=\[16\]\) in '.*mlp'; .*compare",
    ):
        score(DIGITS, "el2n", runs)
    train_small(tmp_path / "wide", model_options={"hidden": (17,)}, epochs=1)
    shutil.copytree(runs / "mlp", tmp_path / "mlp")
    with pytest.raises(InputError, match=r"hidden=\[16\].* and mlp\(hidden=\[17\]\)"):
        score(DIGITS, "el2n", tmp_path)


def test_subsets_of_one_model_are_averaged(tmp_path: Path) -> None:
    train_subsets(DIGITS, "linear", out=tmp_path, runs=3, ratios=(0.5, 0.75), epochs=1)
    assert score(DIGITS, "cscore", tmp_path).info["runs"][0].startswith("share-")
    assert list(find_architectures(tmp_path)) == ["share-0.5", "share-0.75"]


def test_commas_inside_brackets_do_not_split() -> None:
    assert split_commas("a, deep=mlp(hidden=[64,64], x={1,2}),b") == [
        "a",
        "deep=mlp(hidden=[64,64], x={1,2})",
        "b",
    ]
    assert read_options('hidden=[64,64],analyzer=char,name="a"', "model") == {
        "hidden": [64, 64],
        "analyzer": "char",
        "name": "a",
    }
    with pytest.raises(InputError, match="model: option must be of the form option=value, got '64'"):
        read_options("hidden=64,64", "model")
