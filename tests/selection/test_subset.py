"""Subset: files, provenance, and what it does to data."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from references.score_tables import random_table, shuffled, table_of

from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import fingerprint, hash_ids
from scoring.table import ScoreTable
from selection.run import select
from selection.subset import Subset


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    return Examples.load(
        {"features": rng.normal(size=(40, 3)).astype(np.float32), "label": np.arange(40) % 2}
    )


@pytest.fixture
def subset(examples):
    info = {"fingerprint": examples.fingerprint, "data": examples.name, "num_examples": 40}
    table = ScoreTable.from_columns(examples.ids, {"loss": np.arange(40.0)}, "hard", info)
    return select(table, keep="25%")


def test_columns_and_manifest(subset, examples):
    assert len(subset) == 10 and repr(subset) == "Subset(10 rows of 40)"
    assert subset.table.column_names == ["id", "weight", "probability", "reason", "rank"]
    assert subset.ids.tolist() == examples.ids[::-1][:10].tolist()
    assert (subset.weight == 1).all() and (subset.probability == 1).all()
    assert subset.explain(examples.ids[37]) == "hardest loss of 40, rank 3"
    call = subset.info["select"]
    assert (call["by"], call["take"], call["keep"], call["nan"], call["seed"]) == (
        "loss",
        "hardest",
        "25%",
        "error",
        0,
    )
    assert subset.info["scores"]["column"] == {"meaning": "hard", "role": "score"}
    assert subset.info["scores"]["table"]["data"] == examples.name
    assert subset.fingerprint == examples.fingerprint and "library_version" in subset.info
    with pytest.raises(InputError, match="got 1 that are not there: 'nobody'"):
        subset.explain("nobody")


@pytest.mark.parametrize("strings", [False, True])
@pytest.mark.parametrize("take", ["hardest", "random"])
def test_file_round_trip_and_deterministic_bytes(strings, take, tmp_path):
    table = random_table(50, strings=strings)
    subset = select(table, take=take, by="s", keep=20, balance="equal", out=tmp_path / "a.parquet")
    back = Subset.read(tmp_path / "a.parquet")
    assert back.table.equals(subset.table) and back.info == subset.info
    back.write(tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


def test_select_reads_a_path(tmp_path):
    table = random_table(30)
    table.write(tmp_path / "scores.parquet")
    table.write(tmp_path / "shards", shard_rows=7)
    kept = [
        select(source, "s", keep=9).ids.tolist()
        for source in (table, tmp_path / "scores.parquet", tmp_path / "shards")
    ]
    assert kept[0] == kept[1] == kept[2]


def test_other_programs_read_it(subset, tmp_path):
    import duckdb
    import pandas
    import polars

    path = subset.write(tmp_path / "s.parquet")
    frame = pandas.read_parquet(path)
    assert frame["id"].tolist() == subset.ids.tolist() and set(frame["reason"]) == {"hardest loss of 40"}
    assert polars.read_parquet(path)["rank"].to_list() == list(range(1, 11))
    rows = duckdb.sql(f"select id, reason, rank from '{path}' order by rank limit 1").fetchall()
    assert rows == [(subset.ids[0], "hardest loss of 40", 1)]
    assert len(subset.to_pandas()) == 10


def test_read_refuses_other_files(tmp_path, subset):
    table = random_table(5)
    table.write(tmp_path / "scores.parquet")
    pq.write_table(pa.table({"id": [1]}), tmp_path / "plain.parquet")
    (tmp_path / "half.parquet").write_bytes(subset.write(tmp_path / "s.parquet").read_bytes()[:200])
    for name, sentence in (
        ("scores", "must hold subset, got a file of scores"),
        ("plain", "path must be a subset of tamis"),
        ("half", "is not a complete Parquet file"),
    ):
        with pytest.raises(InputError, match=sentence):
            Subset.read(tmp_path / f"{name}.parquet")
    with pytest.raises(FileNotFoundError, match=r"^Subset.read: no file at"):
        Subset.read(tmp_path / "none.parquet")
    with pytest.raises(InputError, match=r"path must be a new name ending in \.parquet"):
        subset.write(tmp_path / "s.csv")


def test_from_ids_and_its_errors():
    subset = Subset.from_ids(["a", "b"], weight=[2, 0.5])
    assert subset.weights_of(["b", "a"]).tolist() == [0.5, 2]
    assert subset.explain("a") == "given"
    with pytest.raises(InputError, match="ids must be unique, got 1 more than once: 'a'"):
        Subset.from_ids(["a", "a"])
    with pytest.raises(InputError, match=r"weight must be finite and 0 or more, got -1.0"):
        Subset.from_ids(["a"], weight=[-1])
    with pytest.raises(InputError, match="got 1 that are not there: 'c'"):
        subset.weights_of(["c"])


def test_apply_to_examples(subset, examples):
    kept = subset.apply(examples)
    assert isinstance(kept, Examples)
    assert kept.ids.tolist() == examples.ids[30:].tolist()  # in the order of the data, not of the ranking
    mixed = examples.take(np.random.default_rng(0).permutation(40))
    assert set(subset.apply(mixed).ids) == set(kept.ids)
    with pytest.raises(InputError, match="data must be what the scores were computed on, got fingerprint"):
        subset.apply(examples.take(np.arange(5, 40)))
    assert len(subset.apply(examples.take(np.arange(5, 40)), allow_changed_data=True)) == 10
    with pytest.raises(InputError, match="ids must be in the data, got 4 that are not there: '"):
        subset.apply(examples.take(np.arange(36)), allow_changed_data=True)


def test_apply_to_examples_that_were_scored_as_bare_arrays(examples):
    info = {"fingerprint": fingerprint(hash_ids(examples.ids))}
    table = ScoreTable.from_columns(examples.ids, {"loss": np.arange(40.0)}, "hard", info)
    assert len(select(table, keep=3).apply(examples)) == 3


def test_apply_to_a_dataset(subset, examples):
    import datasets

    data = examples.to_dataset()
    kept = subset.apply(data)
    assert isinstance(kept, datasets.Dataset) and kept.column_names == data.column_names
    assert list(kept["id"]) == examples.ids[30:].tolist()
    with pytest.raises(
        InputError, match="dataset must have the 40 rows that the subset was chosen from, got 20"
    ):
        subset.apply(data.select(range(20, 40)))
    assert len(subset.apply(data.select(range(20, 40)), allow_changed_data=True)) == 10
    with pytest.raises(InputError, match="ids must be in the dataset, got 2 that are not there"):
        subset.apply(data.select(range(38)), allow_changed_data=True)
    with pytest.raises(InputError, match=r"id must be one of the dataset's columns .*got 'id'"):
        subset.apply(data.remove_columns("id"))
    named = subset.apply(data.rename_column("id", "key"), id="key")
    assert list(named["key"]) == examples.ids[30:].tolist()
    with pytest.raises(
        InputError, match="dataset must be one split, got a DatasetDict; choose one of train, test"
    ):
        subset.apply(datasets.DatasetDict(train=data, test=data))
    with pytest.raises(InputError, match=r"dataset must be Examples or a datasets\.Dataset, got list"):
        subset.apply([1, 2])


def test_integer_subset_on_string_ids(examples):
    with pytest.raises(InputError, match="ids must be strings as in the data, got integers"):
        select(table_of(np.arange(40.0)), keep=3).apply(examples)


def test_sampler_is_seeded_and_stateless(subset, examples):
    import torch

    before = torch.get_rng_state()
    sampler = subset.sampler(examples, seed=3)
    first = list(sampler)
    assert sorted(first) == list(range(30, 40)) and list(sampler) == first and len(sampler) == 10
    sampler.set_epoch(1)
    second = list(sampler)
    assert second != first and sorted(second) == sorted(first)
    sampler.set_epoch(0)
    assert list(sampler) == first
    order = np.random.default_rng(0).permutation(40)
    again = [int(order[row]) for row in subset.sampler(examples.take(order), seed=3)]
    assert again == first  # the same examples in the same order, wherever their rows are
    assert torch.equal(torch.get_rng_state(), before)
    loader = torch.utils.data.DataLoader(list(range(40)), batch_size=4, sampler=sampler)
    assert [int(row) for batch in loader for row in batch] == first


def test_weighted_sampler_draws_by_weight(examples):
    weights = np.r_[0.0, 1.0, 3.0, np.zeros(37)]
    subset = Subset.from_ids(examples.ids, weight=weights)
    sampler = subset.sampler(examples, weighted=True)
    counts = np.zeros(40)
    for epoch in range(100):
        sampler.set_epoch(epoch)
        np.add.at(counts, list(sampler), 1)
    assert counts.sum() == 4000 and set(np.flatnonzero(counts)) == {1, 2}
    assert counts[2] / 4000 == pytest.approx(0.75, abs=0.03)
    with pytest.raises(InputError, match="weights must have a positive sum"):
        Subset.from_ids(examples.ids, weight=np.zeros(40)).sampler(examples, weighted=True)


def test_labels_of_examples_as_groups(examples):
    table = shuffled(ScoreTable.from_columns(examples.ids, {"loss": np.arange(40.0)}, "hard"))
    subset = select(table, keep=10, balance="equal", groups=examples)
    assert [(g["group"], g["kept"]) for g in subset.info["groups"]] == [(0, 5), (1, 5)]


def test_selection_loads_no_heavy_library(tmp_path):
    random_table(30).write(tmp_path / "s.parquet")
    code = (
        "import sys, selection; from selection import Subset, select\n"
        f"select({str(tmp_path / 's.parquet')!r}, 's', keep=5, balance='equal', out={str(tmp_path / 'k.parquet')!r})\n"
        "bad = {'torch', 'transformers', 'datasets', 'faiss', 'ray', 'matplotlib'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_a_subset_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.parquet"
    Subset.from_ids([1, 2]).write(path)
    Subset.from_ids([3]).write(path)
    assert Subset.read(path).ids.tolist() == [3]
    table = ScoreTable.from_columns([1, 2, 3], {"s": [0.1, 0.2, 0.3]}, "hard")
    scores, foreign = tmp_path / "scores.parquet", tmp_path / "foreign.parquet"
    table.write(scores)
    foreign.write_bytes(b"mine")
    before = scores.read_bytes()
    for place in (scores, foreign):
        with pytest.raises(InputError, match=r"^Subset.write: path must be .* is something else"):
            Subset.from_ids([3]).write(place)
        with pytest.raises(InputError, match=r"^select: out must be .* is something else"):
            select(table, "s", keep=1, out=place)
    assert scores.read_bytes() == before and foreign.read_bytes() == b"mine"
