"""``tamis study``, ``tamis advise``, ``tamis theory``: files in, reports out, mistakes in one sentence."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tamis.cli import app
from training.studies.study_file import read_study

YAML = """
data: {source: rows.jsonl, text: text, label: kind}
test: test
models: linear
scores: {scorers: el2n@mean, model: linear, seeds: [7], train: {epochs: 2}}
select: hardest by el2n@mean
keep: 50%
seeds: [0, 1, 2]
epochs: 2
regimes: [steps]
variants: {clean: [], noisy: [{uniform_noise: 0.2}]}
"""


def tamis(*arguments: str, folder: Path, code: int = 0) -> Result:
    here = Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(app, list(arguments))
    finally:
        os.chdir(here)
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    rows = [
        {"id": k, "text": f"{'red' if k % 2 else 'blue'} number {k}", "kind": "ab"[k % 2],
         "split": "train" if k < 60 else "test"}
        for k in range(90)
    ]  # fmt: skip
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "noise.yaml").write_text(YAML)
    return place


def test_a_study_and_its_report(folder: Path) -> None:
    said = tamis("study", "noise.yaml", "--quiet", folder=folder)
    assert "stratified random" in said.stdout and "would be called by chance" in said.stdout
    out = folder / "noise-study"
    report = (out / "report.md").read_text()
    for heading in (
        "Do the scores find what was planted?",
        "Errors gained for data removed",
        "What was asked",
    ):
        assert f"## {heading}" in report
    assert {"study.parquet", "study.json", "summary.json", "detection.parquet", "results.png"} <= {
        path.name for path in out.iterdir()
    }
    before = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/evaluations.parquet")}
    summary = json.loads(tamis("study", "noise.yaml", "--quiet", "--json", folder=folder).stdout)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("runs/*/evaluations.parquet")}
    assert summary == json.loads((out / "summary.json").read_text())
    again = tamis("study", "noise-study", "--metric", "loss", folder=folder)
    assert "loss" in again.stdout and (out / "report.md").read_text() != report


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["study", "no.yaml"], "there is no file 'no.yaml'"),
        (["study", "rows.jsonl"], "a .yaml or .py file"),
        (["study", "."], "there is no"),
        (["study", ".", "--engine", "ray"], "--engine is for a study file"),
        (["study", "noise.yaml", "--shard", "3/3"], "i/n with i from 0"),
        (["theory", "perceptrn", "--out", "x"], "Did you mean 'perceptron'"),
        (["theory", "zipf", "--alphas", "1,2", "--out", "x"], "--beta"),
        (["theory", "perceptron", "--alphas", "1,two", "--out", "x"], "numbers such as 1,2,4"),
        (["advise", "rows.jsonl", "--label", "kind", "--keep", "0%"], "keep"),
    ],
)
def test_mistakes(folder: Path, arguments: list[str], words: str) -> None:
    said = tamis(*arguments, folder=folder, code=2).stderr
    assert words in said and len(said.strip().splitlines()) == 1


def test_advice_writes_a_study_that_is_one(folder: Path) -> None:
    options = [
        "--label",
        "kind",
        "--text",
        "text",
        "--keep",
        "50%",
        "--test",
        "test",
        "--no-noise-check",
        "--quiet",
    ]
    said = tamis(
        "advise", "rows.jsonl", *options, "--study", "check.yaml", "--out", "advice.md", folder=folder
    )
    assert "Keep 50%" in said.stdout and (folder / "advice.md").read_text().startswith("# Before pruning")
    assert read_study(folder / "check.yaml").kind == "pruning"


def test_theory(folder: Path) -> None:
    options = ["--alphas", "1,8", "--angles", "0", "--out", "theory"]
    said = tamis("theory", "perceptron", *options, folder=folder).stdout
    assert "Written to theory" in said and (folder / "theory" / "report.md").is_file()
