"""``tamis compare``: mistakes are told before anything is scored, and what is there is replaced when asked."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.run_tables import run_table
from typer.testing import CliRunner, Result

from scoring.examples import Examples
from tamis.cli import app
from training.run import train


def tamis(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and three runs of two architectures."""
    folder = tmp_path_factory.mktemp("compare")
    digits = Examples.load("digits").take(np.arange(120))
    np.savez(folder / "digits.npz", x=np.stack(digits.images(np.arange(120))), y=digits.labels)
    examples = Examples.load(str(folder / "digits.npz"))
    for model in ("linear", "mlp"):
        train(examples, model, out=folder / "cells" / model, seeds=range(3), epochs=2, progress=False)
    return folder


def compare(work: Path, out: Path, *more: object, scorers: str = "loss@mean,el2n@last") -> Result:
    given = (
        "--data",
        work / "digits.npz",
        "--scorers",
        scorers,
        "--out",
        out,
        "--only",
        "agreement,predictions",
    )
    return tamis("compare", work / "cells", *given, "--quiet", *more)


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--only", "agrement", "Did you mean 'agreement'"),
        ("--proxies", "linear,mpl", "Did you mean 'mlp'"),
        ("--proxies", "mlp", "two or more different architectures"),
        ("--resamples", "3", "resamples must be a whole number from 20"),
        ("--q", "2", "q must be between 0 and 1"),
        ("--keep", "100%", "keep must be between 0 and 1"),
        ("--held-out", "0", "held_out must be at least 1"),
        ("--predict", "tst", "tst"),
    ],
)
def test_a_mistake_is_told_before_runs_are_scored(
    work: Path, tmp_path: Path, option: str, value: str, said: str
) -> None:
    done = compare(work, tmp_path / "out", option, value)
    assert done.exit_code == 2 and said in done.output and done.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_stays_as_it_was(work: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    done = compare(work, tmp_path)
    assert done.exit_code == 2 and "'notes.txt'" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_overwrite_replaces_scores_and_predictions_too(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert compare(work, out).exit_code == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    again = compare(work, out)
    assert again.exit_code == 0, again.output
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    refused = compare(work, out, scorers="entropy@mean")
    assert refused.exit_code == 2 and "--overwrite" in refused.output
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    done = compare(work, out, "--overwrite", scorers="entropy@mean")
    assert done.exit_code == 0, done.output
    assert json.loads((out / "summary.json").read_text())["about"]["scores"] == {"entropy@mean": "uncertain"}

    # Scores of the same call are kept, not computed once more.
    table = (out / "scores" / "mlp.parquet").stat().st_mtime_ns
    assert compare(work, out, "--overwrite", "--keep", "20%", scorers="entropy@mean").exit_code == 0
    assert (out / "scores" / "mlp.parquet").stat().st_mtime_ns == table


def test_python_words_are_told_as_options(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 30))
    run_table({"el2n": values}).write(tmp_path / "a.parquet")
    values[1, 2] = np.nan
    run_table({"el2n": values}).write(tmp_path / "b.parquet")
    pq.write_table(pa.table({"key": np.arange(30), "human": np.arange(30.0)}), tmp_path / "f.parquet")

    done = tamis("compare", tmp_path / "b.parquet", "--only", "agreement")
    assert done.exit_code == 2 and "or use --nan drop, got" in done.output
    assert tamis("compare", tmp_path / "b.parquet", "--only", "reliability", "--nan", "drop").exit_code == 0

    given = ("compare", tmp_path / "a.parquet", "--only", "beside", "--beside", tmp_path / "f.parquet")
    done = tamis(*given)
    assert (
        done.exit_code == 2
        and "--beside-meaning COLUMN=hard" in done.output
        and "meaning=" not in done.output
    )
    done = tamis(*given, "--beside-meaning", "human=easy", "--beside-id", "key")
    assert done.exit_code == 0, done.output
