"""The scaling sweep: one table of runs, whatever ran them, whatever failed, however often it stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from scoring.engines.local import Local
from scoring.engines.processes import Processes
from scoring.engines.slices import Slice
from scoring.errors import InputError
from training.cell_data import DataRequest
from training.cells import CellsFailed
from training.laws.loss_to_loss.pairing import Series, pair
from training.laws.run_table import read_run_table
from training.pretraining.corpus import CorpusRequest
from training.pretraining.decoder import shape_of_width
from training.studies import scaling_sweep as sweeping
from training.studies.scaling_sweep import scaling_sweep

GRID: dict[str, Any] = {
    "widths": (8, 16), "budgets": (500, 1_000), "held_out_tokens": 300, "device": "cpu",
    "length": 16, "batch_tokens": 64,
}  # fmt: skip


@pytest.fixture
def corpora(tmp_path: Path) -> tuple[CorpusRequest, ...]:
    rng = np.random.default_rng(0)
    found = []
    for name, letters in (("vowels", "aeiou"), ("others", "bcdfg")):
        texts = ["".join(rng.choice(list(letters), rng.integers(5, 40))) for _ in range(60)]
        parquet.write_table(pa.table({"text": texts}), tmp_path / f"{name}.parquet")
        part = DataRequest(str(tmp_path / f"{name}.parquet"), {"text": "text", "label": False})
        found.append(CorpusRequest(name, (part,)))
    return tuple(found)


def test_the_table_is_a_run_table(corpora: tuple[CorpusRequest, ...], tmp_path: Path) -> None:
    path = scaling_sweep(corpora, out=tmp_path / "out", **GRID)
    table = read_run_table(path, columns={"U": "U", "epochs": "epochs", "seed": "seed"}).last()
    assert table.names("corpus") == ["others", "vowels"] and len(table.names("run")) == 8
    assert table.names("metric") == [
        "others/loss", "others/loss_per_byte", "train/loss", "vowels/loss", "vowels/loss_per_byte",
    ]  # fmt: skip
    assert set(table["N"]) == {shape_of_width(width, 257).parameters for width in (8, 16)}
    assert set(table["D"]) == {500.0, 1_000.0}
    assert np.array_equal(table["C"], 6 * table["N"] * table["D"])
    assert (table["U"] <= table["D"]).all() and (table["value"] > 0).all()
    own, other = Series("vowels", "vowels/loss"), Series("others", "others/loss")
    assert len(pair(table, own, other)) == 4
    assert len(pair(table, own, Series("vowels", "others/loss"), ("run",))) == 4


def test_engines_and_growing_give_the_same_table(corpora: tuple[CorpusRequest, ...], tmp_path: Path) -> None:
    whole = scaling_sweep(corpora, out=tmp_path / "whole", **GRID)
    scaling_sweep(corpora, out=tmp_path / "grown", **{**GRID, "widths": (8,)})
    engine = Processes(2)
    grown = scaling_sweep(corpora, out=tmp_path / "grown", engine=engine, **GRID)
    engine.close()
    assert grown.read_bytes() == whole.read_bytes()
    assert {path.name for path in (tmp_path / "grown").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


def test_a_failing_run_does_not_stop_the_others(
    corpora: tuple[CorpusRequest, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretrain, calls = sweeping.pretrain, []

    def failing(corpus: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(corpus.name)
        if corpus.name == "vowels" and options["width"] == 16 and options["tokens"] == 500:
            raise MemoryError
        return pretrain(corpus, *arguments, **options)

    monkeypatch.setattr(sweeping, "pretrain", failing)
    with pytest.raises(
        CellsFailed, match=r"scaling_sweep: 1 of 8 .* vowels-w16-t500-s0-\w+ \(not enough mem"
    ):
        scaling_sweep(corpora, out=tmp_path / "out", **GRID)
    assert len(calls) == 8
    assert len(read_run_table(tmp_path / "out" / "runs.parquet").names("run")) == 7
    monkeypatch.undo()
    scaling_sweep(corpora, out=tmp_path / "out", **GRID)
    assert len(read_run_table(tmp_path / "out" / "runs.parquet").names("run")) == 8


def test_names_follow_from_what_runs_depend_on(corpora: tuple[CorpusRequest, ...], tmp_path: Path) -> None:
    one: dict[str, Any] = {**GRID, "widths": (8,), "budgets": (500,)}
    names = []
    for more in ({}, {"schedule": "wsd"}, {"seeds": (1,)}, {"held_out_tokens": 200}, {"threads": 2}):
        path = scaling_sweep(corpora[:1], out=tmp_path / "out", **{**one, **more})
        names.append(read_run_table(path).names("run")[0])
    assert len(set(names)) == 4 and names[0] == names[-1]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"widths": ()}, "widths must be one or more different numbers"),
        ({"budgets": (5, 5)}, "budgets must be one or more different numbers"),
        ({"tokens": 3}, "give budgets, not tokens"),
        ({"widths": (9,)}, "width must be a multiple of 8"),
        ({"schedule": "x"}, "schedule must be one of"),
        ({"seeds": (1, 1)}, "seeds must be"),
    ],
)
def test_errors_for_users(
    given: dict[str, Any], words: str, corpora: tuple[CorpusRequest, ...], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        scaling_sweep(corpora, out=tmp_path / "out", **{**GRID, **given})
    slice_of = Slice(0, 2, tmp_path / "slices", Local())
    with pytest.raises(InputError, match="a sweep has no slices"):
        scaling_sweep(corpora, out=tmp_path / "out", engine=slice_of, **GRID)
    with pytest.raises(InputError, match="corpora must be named by letters"):
        scaling_sweep([replace(corpora[0], name="a/b")], out=tmp_path / "out", **GRID)
    with pytest.raises(InputError, match="corpora must be one or more of different names"):
        scaling_sweep([corpora[0], corpora[0]], out=tmp_path / "out", **GRID)
    assert not (tmp_path / "out").exists()
