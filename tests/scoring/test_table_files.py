"""Score tables on disk: round trips, other readers, damage."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.score_tables import equal_tables, scored_table

from scoring.errors import InputError
from scoring.table import ScoreTable


@pytest.mark.parametrize("strings", [False, True])
def test_file_round_trip(strings, tmp_path):
    table = scored_table(strings=strings, dead_letters=[], coverage=1.0)
    path = table.write(tmp_path / "deep" / "s.parquet")
    assert equal_tables(ScoreTable.read(path), table)
    assert [p.name for p in path.parent.iterdir()] == ["s.parquet"]
    manifest = json.loads(pq.read_schema(path).metadata[b"tamis"])
    assert manifest["kind"] == "scores" and manifest["columns"] == table.columns


@pytest.mark.parametrize("shard_rows", [3, 10, 99])
def test_folder_round_trip(shard_rows, tmp_path):
    table = scored_table(strings=True)
    for _ in range(2):  # writing again replaces the folder
        table.write(tmp_path / "scores", shard_rows=shard_rows)
    assert equal_tables(ScoreTable.read(tmp_path / "scores"), table)
    assert [p.name for p in tmp_path.iterdir()] == ["scores"]
    assert equal_tables(
        ScoreTable.read(tmp_path / "scores" / "part-00000.parquet"), table.take(table.ids[:shard_rows])
    )
    manifest = json.loads((tmp_path / "scores" / "manifest.json").read_text())
    assert sum(shard["rows"] for shard in manifest["shards"]) == 10


def test_no_rows(tmp_path):
    table = scored_table().take([])
    assert len(ScoreTable.read(table.write(tmp_path / "s.parquet"))) == 0
    assert len(ScoreTable.read(table.write(tmp_path / "s"))) == 0
    assert table.describe()[0]["n"] == 0 and table.top("el2n", 3) == []


def test_bytes_depend_on_content_alone(tmp_path):
    table = scored_table(200_000, strings=True)
    chunks = pa.concat_tables([table.table.slice(start, 777) for start in range(0, 200_000, 777)])
    again = ScoreTable(chunks, dict(reversed(table.columns.items())), table.info)
    assert (
        table.write(tmp_path / "a.parquet").read_bytes() == again.write(tmp_path / "b.parquet").read_bytes()
    )


def test_encoding(tmp_path):
    meta = pq.ParquetFile(scored_table().write(tmp_path / "s.parquet")).metadata.row_group(0)
    columns = {meta.column(i).path_in_schema: meta.column(i) for i in range(meta.num_columns)}
    assert (
        "BYTE_STREAM_SPLIT" in columns["el2n"].encodings and "BYTE_STREAM_SPLIT" in columns["loss"].encodings
    )
    assert all(c.compression == "ZSTD" and not c.has_dictionary_page for c in columns.values())


def test_other_programs_read_it(tmp_path):
    import duckdb
    import pandas
    import polars

    table = scored_table(strings=True)
    path, folder = table.write(tmp_path / "s.parquet"), table.write(tmp_path / "s", shard_rows=4)
    assert pandas.read_parquet(path)["el2n"].tolist() == table.column("el2n").tolist()
    assert polars.read_parquet(path)["id"].to_list() == table.ids.tolist()
    for source in (path, f"{folder}/*.parquet"):
        mean, count = duckdb.sql(f"select avg(loss), count(distinct id) from '{source}'").fetchall()[0]
        assert mean == pytest.approx(table.column("loss").mean()) and count == 10
    assert table.to_pandas()["id"].tolist() == table.ids.tolist()
    assert table.to_polars()["el2n"].to_list() == table.column("el2n").tolist()
    assert json.loads(table.to_arrow().schema.metadata[b"tamis"])["columns"] == table.columns


def test_plain_parquet_needs_meanings(tmp_path):
    path = tmp_path / "plain.parquet"
    pq.write_table(pa.table({"key": ["a", "b"], "perplexity": [1.0, None], "name": ["x", "y"]}), path)
    with pytest.raises(InputError, match="does not say what its columns mean; pass meaning="):
        ScoreTable.read(path)
    with pytest.raises(InputError, match="id must be one of key, perplexity, name, got 'id'"):
        ScoreTable.read(path, meaning="hard")
    for meaning in ("hard", {"perplexity": "hard"}):
        table = ScoreTable.read(path, meaning=meaning, id="key")
        assert table.names == ["perplexity"] and np.isnan(table.column("perplexity")[1])
    with pytest.raises(InputError, match=r"meaning must name columns of .*, got ppl"):
        ScoreTable.read(path, meaning={"ppl": "hard"}, id="key")
    with pytest.raises(InputError, match=r"must be numbers or booleans, got 'string'"):
        ScoreTable.read(path, meaning={"name": "hard"}, id="key")


def test_damaged_files(tmp_path):
    path = scored_table().write(tmp_path / "s.parquet")
    (tmp_path / "half.parquet").write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match="is not a complete Parquet file"):
        ScoreTable.read(tmp_path / "half.parquet")
    with pytest.raises(FileNotFoundError, match="no file at"):
        ScoreTable.read(tmp_path / "none.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"without a manifest\.json"):
        ScoreTable.read(tmp_path / "empty")
    newer = pq.read_table(path).replace_schema_metadata({b"tamis": b'{"format": 99, "kind": "scores"}'})
    pq.write_table(newer, tmp_path / "newer.parquet")
    with pytest.raises(InputError, match="has format 99, this version reads 1"):
        ScoreTable.read(tmp_path / "newer.parquet")
    pq.write_table(newer.replace_schema_metadata({b"tamis": b"{"}), tmp_path / "odd.parquet")
    with pytest.raises(InputError, match=r"the manifest of .* is damaged"):
        ScoreTable.read(tmp_path / "odd.parquet")


def test_folder_with_missing_or_changed_shards(tmp_path):
    folder = scored_table().write(tmp_path / "s", shard_rows=4)
    shard = folder / "part-00001.parquet"
    pq.write_table(pq.read_table(shard).slice(1), shard)
    with pytest.raises(
        InputError, match=r"shard 'part-00001\.parquet' must have 4 rows as the manifest says, got 3"
    ):
        ScoreTable.read(folder)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="part-00001"):
        ScoreTable.read(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0]["file"] = "../part-00000.parquet"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match="shards must lie inside"):
        ScoreTable.read(folder)


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.txt").write_text("miau")
    with pytest.raises(InputError, match=r"path must be a name ending in .parquet, a new folder, or"):
        scored_table().write(tmp_path / "photos")
    assert (tmp_path / "photos" / "cat.txt").exists()


def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = scored_table().write(tmp_path / "s.parquet")
    before = path.read_bytes()
    monkeypatch.setattr(
        pq.ParquetWriter, "write_table", lambda *a, **k: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        scored_table(20).write(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["s.parquet"]


def test_infinite_options_are_written(tmp_path):
    table = ScoreTable.from_columns([1], {"s": [1.0]}, "hard", {"limit": float("inf"), "bad": float("nan")})
    assert ScoreTable.read(table.write(tmp_path / "s.parquet")).info == table.info
    assert table.info["limit"] == "inf"
