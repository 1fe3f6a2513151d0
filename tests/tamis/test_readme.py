"""The commands and the Python of the README run as they stand."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def tour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's shell commands, run one block after the other in an empty folder."""
    folder = tmp_path_factory.mktemp("tour")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    (folder / "benchmarks").symlink_to(ROOT / "benchmarks")
    environment = os.environ | {"PATH": path, "OMP_NUM_THREADS": "1"}
    commands = blocks("bash")
    assert len(commands) >= 9
    for command in commands:
        done = subprocess.run(
            ["bash", "-exc", command], cwd=folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return folder


def test_the_tour_leaves_what_it_promises(tour: Path) -> None:
    from scoring.table import ScoreTable
    from selection.subset import Subset

    table = ScoreTable.read(tour / "scores.parquet")
    assert len(table) == 1200
    assert {"el2n", "forgetting", "aum", "entropy"} <= set(table.names)
    assert table.columns["el2n"]["steps"] == "early"
    assert table.columns["aum"]["view"] == "presentation"
    assert len(Subset.read(tour / "subset.parquet")) == 360
    assert len(list((tour / "runs" / "pruned").glob("seed-*"))) == 3
    names = sorted(path.name for path in (tour / "corpus").iterdir())
    assert len(names) == 4 and sorted(path.name for path in (tour / "corpus-kept").glob("*.gz")) == names
    files = [tour / "corpus-kept" / name for name in names]
    kept = [line for file in files for line in gzip.decompress(file.read_bytes()).splitlines()]
    subset = Subset.read(tour / "corpus-subset")
    assert len(kept) == len(subset)
    assert 100_000 - 4 * 1000 < sum(len(json.loads(line)["text"].encode()) for line in kept) <= 100_000


def test_the_python_of_the_tour_runs_and_agrees(tour: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = [block for block in blocks("python") if "import tamis" in block]
    here = tour / "python"
    here.mkdir()
    shutil.copytree(tour / "runs" / "mlp", here / "runs" / "mlp")  # finished runs are not repeated
    monkeypatch.chdir(here)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    from scoring.table import ScoreTable

    assert names["table"].table.equals(ScoreTable.read(tour / "scores.parquet").table)  # type: ignore[attr-defined]


def test_the_tour_leaves_laws_and_what_they_predict(tour: Path) -> None:
    from training.laws.law_file import load_law

    law = load_law(tour / "laws").fitted
    assert law.form.name == "kaplan_offset" and 20 <= len(law.y_N) <= 28
    held_out = json.loads((tour / "map" / "summary.json").read_text())["sections"]["held_out"]["methods"]
    assert held_out["loss_to_loss"]["mean_error"] < held_out["identity"]["mean_error"]


def test_the_laws_of_the_readme_are_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    [code] = [block for block in blocks("python") if "read_run_table" in block]
    monkeypatch.chdir(ROOT)
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["law"].form.name == "kaplan_offset"  # type: ignore[attr-defined]


def test_the_scorer_of_the_readme_works() -> None:
    import numpy as np

    from scoring import ArraySource, score

    [code] = [block for block in blocks("python") if "class SecondBest" in block]
    names: dict[str, object] = {"__name__": "readme"}
    exec(compile(code, "README.md", "exec"), names)
    logits = np.log(np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]))
    table = score(None, [names["SecondBest"]()], ArraySource([0, 0], logits=logits))  # type: ignore[operator]
    np.testing.assert_allclose(table.column("second_best"), [0.3, 0.8])


def test_every_file_that_the_readme_links_to_exists() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_scorer_of_the_tour_is_found_where_the_command_is_given(tour: Path) -> None:
    [code] = [block for block in blocks("python") if "class SecondBest" in block]
    (tour / "mymodule.py").write_text(code, encoding="utf-8")
    command = [
        "score",
        "--logits",
        "logits.npy",
        "--labels",
        "labels.npy",
        "--scorers",
        "mymodule:SecondBest",
        "--json",
    ]
    # -P as for the installed command: Python itself does not look into the working folder.
    done = subprocess.run(
        [sys.executable, "-P", "-c", "from tamis.cli import main; main()", *command],
        cwd=tour, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["columns"][0]["meaning"] == "hard"
