"""Files of recorded dynamics: what is written comes back, the same content gives the same bytes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.dynamics import Dynamics, Recorded, evaluation_path, presentation_path, write_recorded
from scoring.errors import InputError


def logits(rows: int, classes: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, classes)).astype(np.float32)


@pytest.mark.parametrize("ids", [np.arange(5) * 10, np.array(["a", "é", "c", "", "e"], dtype=object)])
def test_logits_come_back_exactly(tmp_path: Path, ids: np.ndarray) -> None:
    values = logits(5)
    values[0] = [np.nan, np.inf, -np.inf]
    path = presentation_path(tmp_path, 0)
    write_recorded(
        path, ids, np.array([3, 3, 4, 4, 5]), np.array([1.0, 1.0, 1.5, 1.5, 2.0]), {"logits": values}
    )
    recorded = Recorded.open(path, "presentation")
    got_ids, fields = recorded.read()
    assert got_ids.dtype == (np.int64 if ids.dtype.kind == "i" else object)
    np.testing.assert_array_equal(got_ids, ids)
    assert fields["logits"].dtype == np.float32
    np.testing.assert_array_equal(fields["logits"], values)
    assert (recorded.step, recorded.epoch, recorded.rows, recorded.stored) == (3, 1.0, 5, {"logits"})
    steps, epochs = recorded.read_times()
    np.testing.assert_array_equal(steps, [3, 3, 4, 4, 5])
    np.testing.assert_array_equal(epochs, [1.0, 1.0, 1.5, 1.5, 2.0])


def test_summaries_come_back_in_double_precision(tmp_path: Path) -> None:
    fields = {
        "losses": np.array([0.1, 1 / 3]),
        "predictions": np.array([2, 0]),
        "logit_margins": np.array([-1e-9, 4.0]),
        "entropies": np.array([0.0, 1.0]),
    }
    path = evaluation_path(tmp_path, 100)
    write_recorded(path, [7, 8], 100, 2.0, fields)
    (recorded,) = Dynamics(tmp_path).evaluations()
    _, got = recorded.read()
    assert recorded.view == "clean" and recorded.stored == set(fields)
    for name, values in fields.items():
        np.testing.assert_array_equal(got[name], values)


def test_same_content_same_bytes_and_no_leftovers(tmp_path: Path) -> None:
    for name in "ab":
        write_recorded(tmp_path / name, np.arange(1000), 1, 0.0, {"logits": logits(1000)})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_float_columns_are_split_into_byte_streams(tmp_path: Path) -> None:
    write_recorded(tmp_path / "x.parquet", np.arange(100), 1, 0.0, {"logits": logits(100)})
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    column = group.column(3)
    assert column.path_in_schema.startswith("logits")
    assert "BYTE_STREAM_SPLIT" in column.encodings and column.compression == "ZSTD"
    assert pa.types.is_fixed_size_list(pq.read_schema(tmp_path / "x.parquet").field("logits").type)


def test_files_are_listed_in_the_order_of_training(tmp_path: Path) -> None:
    for epoch in (2, 0, 1):
        write_recorded(
            presentation_path(tmp_path, epoch), [1, 2], epoch * 10, float(epoch), {"logits": logits(2)}
        )
    for step in (20, 0, 10):
        write_recorded(evaluation_path(tmp_path, step), [1, 2], step, step / 10, {"logits": logits(2)})
    (tmp_path / "dynamics" / "presentations" / ".epoch-00003.parquet.1.tmp").write_bytes(b"torn")
    dynamics = Dynamics(tmp_path)
    assert [recorded.step for recorded in dynamics.presentations()] == [0, 10, 20]
    assert [recorded.view for recorded in dynamics.presentations()] == ["presentation"] * 3
    assert [recorded.epoch for recorded in dynamics.evaluations()] == [0.0, 1.0, 2.0]


def test_nothing_recorded_is_an_empty_list(tmp_path: Path) -> None:
    assert Dynamics(tmp_path).presentations() == [] and Dynamics(tmp_path).evaluations() == []


def test_foreign_files_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(b"no parquet at all")
    with pytest.raises(InputError, match=r"x\.parquet must be a Parquet file written by a recorder"):
        Recorded.open(tmp_path / "x.parquet", "clean")
    pq.write_table(pa.table({"id": [1], "label": [0]}), tmp_path / "y.parquet")
    with pytest.raises(
        InputError, match="must have columns id, step, epoch and logits or summaries, got id, label"
    ):
        Recorded.open(tmp_path / "y.parquet", "clean")


def test_an_id_that_comes_twice_is_our_mistake(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="comes twice"):
        write_recorded(tmp_path / "x.parquet", [1, 1], 0, 0.0, {"logits": logits(2)})
    assert not list(tmp_path.iterdir())


def test_lines_are_read_from_the_pieces_that_hold_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scoring.dynamics._ROW_GROUP", 10)
    path = presentation_path(tmp_path, 0)
    logits = np.random.default_rng(0).normal(size=(57, 3)).astype(np.float32)
    write_recorded(path, np.arange(57) * 2, 0, 0.0, {"logits": logits})
    recorded = Recorded.open(path, "presentation")
    assert recorded.read_ids().tolist() == list(range(0, 114, 2))
    for lines in ([], [56], [0, 9, 10], [50, 3, 3, 41], list(range(57)), [29, 20, 30]):
        found = recorded.read_lines(np.array(lines, dtype=np.int64))["logits"]
        np.testing.assert_array_equal(found, logits[lines].reshape(-1, 3))
