"""``tamis fingerprint``: what Python says, from tables and from runs, and one sentence for every mistake."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from scoring.compare.fingerprints.fingerprint import Fingerprint, fingerprint
from scoring.compare.run_scores import RunScores
from scoring.examples import Examples
from scoring.run import score
from tamis.cli import app
from training.run import train


def tamis(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, three runs of two architectures, their tables and a fingerprint."""
    folder = tmp_path_factory.mktemp("fingerprint")
    digits = Examples.load("digits").take(np.arange(150))
    np.savez(folder / "digits.npz", x=np.stack(digits.images(np.arange(150))), y=digits.labels)
    examples = Examples.load(str(folder / "digits.npz"))
    for model in ("linear", "mlp"):
        train(examples, model, out=folder / model, seeds=range(3), epochs=3, progress=False)
        score(examples, "loss@mean", folder / model, out=folder / f"{model}.parquet", per_run=True)
    scores = RunScores.of_tables({name: folder / f"{name}.parquet" for name in ("linear", "mlp")})
    fingerprint(scores).save(folder / "f.json")
    return folder


def test_it_is_the_function_of_python(work: Path) -> None:
    done = tamis("fingerprint", "predict", work / "f.json", work / "mlp.parquet", "--json")
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    said = Fingerprint.read(work / "f.json").predict(work / "mlp.parquet")
    assert [(each["run"], each["architecture"]) for each in document["runs"]] == [
        (each.run, each.architecture) for each in said
    ]
    assert document["runs"][0]["margin"] == pytest.approx(said[0].margin)
    assert {each.architecture for each in said} == {"mlp"} and len(said) == 3
    text = tamis("fingerprint", "predict", work / "f.json", work / "mlp.parquet")
    assert text.exit_code == 0 and "architecture" in text.stdout and text.stdout.count("mlp") >= 3


def test_runs_are_scored_with_data(work: Path) -> None:
    run = work / "linear" / "seed-1"
    done = tamis(
        "fingerprint", "predict", work / "f.json", run, "--data", work / "digits.npz", "--json", "--quiet"
    )
    assert done.exit_code == 0, done.output
    (found,) = json.loads(done.stdout)["runs"]
    expected = Fingerprint.read(work / "f.json").predict(work / "linear.parquet")[1]
    assert found["architecture"] == "linear"
    assert found["margin"] == pytest.approx(expected.margin, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("predict", "{}/f.json", "{}/mlp"), "--data names the data"),
        (("predict", "{}/f.json", "{}/none.parquet"), "no file at"),
        (("predict", "{}/mlp.parquet", "{}/mlp.parquet"), "must be a fingerprint"),
        (("predict", "{}/f.json"), "missing argument 'RUNS'"),
        (("predct",), "Did you mean 'predict'"),
        (("predict", "{}/f.json", "{}/part.parquet"), "pass --allow-changed-data"),
    ],
)
def test_mistakes_are_one_sentence(work: Path, arguments: tuple[str, ...], words: str) -> None:
    if "{}/part.parquet" in arguments and not (work / "part.parquet").exists():
        examples = Examples.load(str(work / "digits.npz")).take(np.arange(100))
        score(
            examples,
            "loss@mean",
            work / "mlp",
            out=work / "part.parquet",
            per_run=True,
            signals="checkpoints",
        )
    done = tamis("fingerprint", *(each.format(work) for each in arguments))
    assert done.exit_code == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("tamis") and words in lines[0]


def test_alone_it_shows_its_help() -> None:
    done = tamis("fingerprint")
    assert done.exit_code == 2
    assert "predict" in done.output and "Usage" in done.output
