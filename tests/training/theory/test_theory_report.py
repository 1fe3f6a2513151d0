from pathlib import Path

import pyarrow.parquet as pq
import pytest

from scoring.errors import InputError
from scoring.files import read_json
from training.theory.perceptron import perceptron_grid
from training.theory.perceptron_report import perceptron_report
from training.theory.plots import perceptron_plot, zipf_plot
from training.theory.zipf_report import zipf_report

SMALL = {"alphas": (1, 3, 24), "angles": (0.0,), "dimension": 40, "seeds": range(4)}


def test_report_of_the_perceptron(tmp_path: Path) -> None:
    perceptron_report(tmp_path, **SMALL)
    text = (tmp_path / "report.md").read_text()
    assert (
        "the hard end overtakes the easy one at" in text
        and "for many dimensions the crossing is at 5." in text
    )
    found = read_json(tmp_path / "summary.json")["sections"]["perceptron-keep-0.5"]
    (crossing,) = found["crossings"]
    assert 3 < crossing["alpha"] < 24
    table = pq.read_table(tmp_path / "perceptron-keep-0.5.parquet")
    assert table.num_rows == 3 * 3 * 4
    first = table.to_pylist()[0]
    assert (first["take"], first["rows"], first["seed"]) == ("hard", 20, 0)
    bytes_before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    perceptron_report(tmp_path, **SMALL)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == bytes_before
    with pytest.raises(InputError, match="overwrite"):
        perceptron_report(tmp_path, **{**SMALL, "seeds": range(3)})


def test_two_seeds_call_nothing_and_one_alpha_has_no_crossing(tmp_path: Path) -> None:
    perceptron_report(tmp_path, alphas=[1], angles=[0.0], dimension=30, seeds=[0, 1])
    text = (tmp_path / "report.md").read_text()
    assert "a crossing takes two" in text
    assert "better" not in text and "worse" not in text and "cannot tell" in text


def test_report_of_zipf(tmp_path: Path) -> None:
    world = {"tokens": 5000, "cut": 50, "draws": 10_000, "generations": 3, "generation_draws": 300}
    zipf_report(tmp_path / "out", **world)
    text = (tmp_path / "out" / "report.md").read_text()
    assert "the mass beyond the cut" in text and "real draws must be added" in text
    sections = read_json(tmp_path / "out" / "summary.json")["sections"]
    assert len(sections["generations"]["generations"]["no real data"]["expected"]) == 4
    assert sections["real-data"]["target"] == pytest.approx(sections["tails"]["plateau"] / 2)
    assert (tmp_path / "out" / "zipf.png").is_file()
    zipf_report(tmp_path / "met", **world, target=0.9)
    assert "no real draws are needed" in (tmp_path / "met" / "report.md").read_text()
    with pytest.raises(InputError, match="three shares"):
        zipf_report(tmp_path / "many", real=(0.1, 0.2, 0.3, 0.4))


def test_figures() -> None:
    errors = perceptron_grid([1, 2], [0.5], takes=["hard"], dimension=20, seeds=[0])
    (axes,) = perceptron_plot(errors).axes
    assert axes.get_title(loc="left") == "50 % kept, probe 0° off"
    left, right = zipf_plot({"a": ([1, 10], [0.5, 0.1])}, {"b": ([0.1, 0.2], [0.1, 0.3])}).axes
    assert left.get_ylabel() == "mass that was not seen" and right.get_xlabel() == "generation"
    with pytest.raises(InputError, match="at least one setting"):
        perceptron_plot([])
    with pytest.raises(InputError, match="curves"):
        zipf_plot({}, {})
