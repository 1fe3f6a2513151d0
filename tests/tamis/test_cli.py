"""The command line: what it prints, what it writes, and one sentence with exit code 2 for every mistake."""

import inspect
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from scoring.table import ScoreTable
from selection.subset import Subset
from tamis.cli import app, train
from tamis.options import parse_options, parse_seeds
from training.settings import Settings


def tamis(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    done = tamis(
        "train", "digits", "--model", "mlp", "--option", "hidden=[16]", "--epochs", 3, "--seeds", "0-1", "--record",
        "--out", folder / "runs", "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = tamis(
        "score", "digits", "--from", folder / "runs", "--scorers", "el2n,forgetting,loss@mean", "--out",
        folder / "scores.parquet", "--quiet", "--per-run",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


def test_train_reports_every_run(trained: Path) -> None:
    done = tamis(
        "train", "digits", "--model", "mlp", "--option", "hidden=[16]", "--epochs", 3, "--seeds", "0-1", "--record",
        "--out", trained / "runs", "--quiet", "--json",
    )  # fmt: skip
    runs = json.loads(done.stdout)
    assert [run["seed"] for run in runs] == [0, 1]
    assert all(run["metrics"]["test/accuracy"] > 0.5 for run in runs)


def test_score_writes_a_table_that_says_what_it_holds(trained: Path) -> None:
    table = ScoreTable.read(trained / "scores.parquet")
    assert len(table) == 1200
    assert table.meaning("el2n") == "hard"
    assert {"el2n.se", "el2n.runs", "el2n.run0", "forgetting.never_learned", "loss@mean"} <= set(table.names)


def test_select_show_and_apply(trained: Path) -> None:
    out = trained / "subset.parquet"
    done = tamis(
        "select",
        trained / "scores.parquet",
        "--by",
        "el2n",
        "--take",
        "easiest",
        "--keep",
        "25%",
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    assert len(Subset.read(out)) == 300
    assert "kept 300 of 1,200" in done.stdout
    shown = tamis("show", out)
    assert shown.exit_code == 0 and "kept 300" in shown.stdout
    shown = tamis(
        "show",
        trained / "scores.parquet",
        "--by",
        "el2n",
        "--top",
        2,
        "--bottom",
        1,
        "--data",
        "digits",
        "--json",
    )
    document = json.loads(shown.stdout)
    assert [len(document[end]) for end in ("highest", "lowest")] == [2, 1]
    assert document["highest"][0]["example"]


def test_arrays_need_no_data(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    np.save(tmp_path / "z.npy", generator.normal(size=(2, 3, 20, 4)))
    np.save(tmp_path / "y.npy", generator.integers(4, size=20))
    out = tmp_path / "s.parquet"
    done = tamis(
        "score",
        "--logits",
        tmp_path / "z.npy",
        "--labels",
        tmp_path / "y.npy",
        "--scorers",
        "el2n,margin",
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    assert len(ScoreTable.read(out)) == 20
    assert done.exit_code == 0 and "20 examples, 2 run(s)" in done.stdout


def test_cross_fitting_scores_every_example_by_a_model_that_left_it_out(tmp_path: Path) -> None:
    out = tmp_path / "s.parquet"
    done = tamis(
        "score", "digits", "--folds", 2, "--model", "linear", "--train", "epochs=2", "--scorers", "el2n", "--out", out,
        "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    table = ScoreTable.read(out)
    assert len(table) == 1200 and np.isfinite(table.column("el2n")).all()


def test_list_names_every_scorer_strategy_and_model() -> None:
    document = json.loads(tamis("list", "--json").stdout)
    assert {"el2n", "aum", "forgetting"} <= {row["name"] for row in document["scorers"]}
    assert {"hardest", "random"} <= {row["name"] for row in document["strategies"]}
    assert "mlp" in {row["name"] for row in document["models"]}
    text = tamis("list").stdout
    assert "el2n:brier" in text and "small-bert" in text


MISTAKES = {
    "an unknown scorer": (["score", "--logits", "Z", "--labels", "Y", "--scorers", "el2m"], "Did you mean 'el2n'"),
    "an unknown model": (["train", "digits", "--model", "mpl", "--out", "O"], "Did you mean 'mlp'"),
    "an unknown strategy": (["select", "S", "--take", "hardes", "--keep", "10%"], "Did you mean 'hardest'"),
    "an unknown optimizer": (
        ["train", "digits", "--model", "mlp", "--optimizer", "adamww", "--out", "O"],
        "Did you mean 'adamw'",
    ),
    "too large a budget": (["select", "S", "--by", "el2n", "--keep", "5000"], "5,000"),
    "a folder without runs": (["score", "digits", "--from", "NOWHERE", "--scorers", "el2n"], "does not exist"),
    "data that are nowhere": (["train", "nowhere.parquet", "--model", "mlp", "--out", "O"], "nowhere.parquet"),
    "seeds that are no numbers": (["train", "digits", "--model", "mlp", "--seeds", "a", "--out", "O"], "--seeds"),
    "no source of signals": (["score", "digits", "--scorers", "el2n"], "--from"),
    "arrays of the wrong shape": (["score", "--logits", "Y", "--labels", "Y", "--scorers", "el2n"], "(N,C)"),
    "a step rule that does not exist": (
        ["score", "--logits", "Z", "--labels", "Y", "--scorers", "loss@lats"],
        "Did you mean 'last'",
    ),
    "a band of a column that does not exist": (["select", "S", "--by", "el2", "--keep", "10%"], "Did you mean 'el2n'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_2(mistake: str, trained: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((5, 3)))
    np.save(tmp_path / "y.npy", np.zeros(5, dtype=np.int64))
    places = {
        "Z": tmp_path / "z.npy", "Y": tmp_path / "y.npy", "S": trained / "scores.parquet", "O": tmp_path / "o",
        "NOWHERE": tmp_path / "nowhere",
    }  # fmt: skip
    arguments, hint = MISTAKES[mistake]
    done = tamis(*(places.get(argument, argument) for argument in arguments))
    assert done.exit_code == 2, done.output
    assert hint in done.stderr
    assert done.stderr.startswith("tamis: ") and len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.output


def test_traceback_is_shown_on_request() -> None:
    command = [
        sys.executable,
        "-c",
        "from tamis.cli import main; main()",
        "show",
        "nowhere.parquet",
        "--traceback",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" in done.stderr and "nowhere.parquet" in done.stderr


def test_train_has_the_defaults_of_python() -> None:
    here = {name: each.default for name, each in inspect.signature(train).parameters.items()}
    there = Settings()
    shared = here.keys() & vars(there).keys()
    assert len(shared) > 12
    assert {name: here[name] for name in shared} == {name: getattr(there, name) for name in shared}


def test_seeds() -> None:
    assert parse_seeds("0-4") == [0, 1, 2, 3, 4]
    assert parse_seeds("7,1-2") == [7, 1, 2]


def test_options() -> None:
    assert parse_options(["hidden=[64,64]", "analyzer=char", "lr=0.1"], "--option") == {
        "hidden": [64, 64], "analyzer": "char", "lr": 0.1,
    }  # fmt: skip
