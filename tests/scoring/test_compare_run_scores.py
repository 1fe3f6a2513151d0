"""Scores of many runs: what is read, in which order, turned which way, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references.run_tables import run_table
from scipy.stats import rankdata

from scoring.compare.run_scores import RunScores
from scoring.errors import InputError
from scoring.stored_table import StoredTable
from scoring.table import ScoreTable

RNG = np.random.default_rng(0)
MLP = {"el2n": RNG.normal(size=(3, 20)), "margin": RNG.normal(size=(3, 20))}
CNN = {"el2n": RNG.normal(size=(2, 20)), "margin": RNG.normal(size=(2, 20))}
EASY = {"margin": "easy"}


def two(**options) -> RunScores:
    tables = {"mlp": run_table(MLP, meanings=EASY), "cnn": run_table(CNN, meanings=EASY)}
    return RunScores.of_tables(tables, **options)


def test_values_are_turned_so_that_high_is_hard():
    scores = two()
    assert scores.scores == ("el2n", "margin")
    assert scores.architectures == ("mlp", "cnn")
    np.testing.assert_array_equal(scores.values("el2n", "mlp"), MLP["el2n"])
    np.testing.assert_array_equal(scores.values("margin", "cnn"), -CNN["margin"])
    np.testing.assert_array_equal(scores.mean("margin", "mlp"), -MLP["margin"].mean(axis=0))
    assert scores.single_runs


@given(st.lists(st.integers(0, 4), min_size=3, max_size=30))
def test_ranks_are_scipys_average_ranks_scaled_to_mean_one_half(values):
    scores = RunScores.of_arrays({"s": {"a": [values, values[::-1]]}})
    ranks = scores.ranks("s", "a")
    np.testing.assert_allclose(ranks[0], (rankdata(values) - 0.5) / len(values))
    np.testing.assert_allclose(ranks.mean(axis=1), 0.5)
    with pytest.raises(ValueError, match="read-only"):
        ranks[0, 0] = 3


def test_infinities_have_a_rank():
    ranks = RunScores.of_arrays({"s": {"a": [[np.inf, 1.0, -np.inf, np.inf]]}}).ranks("s", "a")
    np.testing.assert_allclose(ranks[0], [0.75, 0.375, 0.125, 0.75])


def test_rows_are_matched_by_id_whatever_their_order(tmp_path):
    order = np.random.default_rng(1).permutation(20)
    ids = np.array([f"row-{i}" for i in range(20)], dtype=object)
    mlp = run_table(MLP, ids, EASY, label=np.arange(20) % 3)
    cnn = run_table({name: values[:, order] for name, values in CNN.items()}, ids[order], EASY)
    cnn.write(tmp_path / "cnn", shard_rows=7)
    scores = RunScores.of_tables({"mlp": mlp, "cnn": tmp_path / "cnn"})
    np.testing.assert_array_equal(scores.values("el2n", "cnn"), CNN["el2n"])
    assert list(scores.ids) == list(ids)
    assert list(scores.labels_N) == [i % 3 for i in range(20)]


def test_a_stored_table_reads_what_a_score_table_holds(tmp_path):
    table = run_table(MLP, meanings=EASY, label=np.arange(20) % 3, fingerprint="abc")
    for path in (table.write(tmp_path / "one.parquet"), table.write(tmp_path / "many", shard_rows=6)):
        stored = StoredTable(path)
        assert (len(stored), stored.columns, stored.info) == (len(table), table.columns, table.info)
        np.testing.assert_array_equal(stored.ids, table.ids)
        for name in table.names:
            np.testing.assert_array_equal(stored.column(name), table.column(name))
            assert stored.meaning(name) == table.meaning(name)
    with pytest.raises(InputError, match="Did you mean 'el2n'"):
        stored.column("el2m")


def test_a_stored_table_refuses_what_is_no_score_table(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"id": [1], "x": [2.0]}), tmp_path / "foreign.parquet")
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 torn")
    (tmp_path / "empty").mkdir()
    folder = run_table(MLP).write(tmp_path / "shards", shard_rows=10)
    run_table({"el2n": MLP["el2n"][:, :4]}).write(tmp_path / "short.parquet")
    (folder / "part-00001.parquet").write_bytes((tmp_path / "short.parquet").read_bytes())
    for name, sentence in (
        ("foreign.parquet", "does not say what its columns mean"), ("torn.parquet", "not a complete Parquet file"),
        ("empty", "without a manifest"), ("shards", "must have 10 rows as the manifest says, got 4"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            StoredTable(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no file at"):
        StoredTable(tmp_path / "nowhere.parquet")


def test_tables_of_other_examples_or_other_data_are_refused():
    mlp = run_table(MLP, fingerprint="a")
    shorter = run_table({name: values[:, 1:] for name, values in CNN.items()}, np.arange(1, 20))
    for cnn, words in (
        (run_table(CNN, np.arange(20) + 100), "the table of cnn: ids must be in the table of mlp, got 20 that are"),
        (shorter, r"the table of mlp: ids must be in the table of cnn, got 1 that are not there: 0"),
        (run_table(CNN, np.arange(20).astype(str)), "the table of cnn: ids must be integers as in the table of mlp"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            RunScores.of_tables({"mlp": mlp, "cnn": cnn})
    with pytest.raises(InputError, match="mlp and cnn have different fingerprints"):
        RunScores.of_tables({"mlp": mlp, "cnn": run_table(CNN, fingerprint="b")})
    changed = RunScores.of_tables(
        {"mlp": mlp, "cnn": run_table(CNN, fingerprint="b")}, allow_changed_data=True
    )
    assert len(changed) == 20


def test_scores_that_cannot_be_compared_say_why():
    mlp = run_table(
        {**MLP, **dict.fromkeys(("quality", "random", "only"), np.ones((3, 20))), "whole": np.ones(20)},
        meanings={**EASY, "quality": "quality", "random": "arbitrary"},
    )  # fmt: skip
    cnn = run_table(
        {**CNN, **dict.fromkeys(("quality", "random"), np.ones((2, 20))), "whole": np.ones(20)},
        meanings={**EASY, "quality": "quality", "random": "arbitrary"},
    )
    scores = RunScores.of_tables({"mlp": mlp, "cnn": cnn})
    assert scores.scores == ("el2n", "margin")
    assert scores.left_out == {
        "quality": "high means quality, which has no hard end",
        "random": "its numbers are arbitrary",
        "whole": "mlp has no columns of its single runs, as other scores have",
        "only": "not in the table of cnn",
    }
    assert "random" in RunScores.of_tables({"mlp": mlp, "cnn": cnn}, ["el2n", "random"]).scores
    assert "quality" in RunScores.of_tables({"mlp": mlp, "cnn": cnn}, ["quality"]).scores
    with pytest.raises(InputError, match="Did you mean 'margin'"):
        RunScores.of_tables({"mlp": mlp, "cnn": cnn}, ["margins"])


def test_a_table_without_single_runs_has_one():
    table = ScoreTable.from_columns(np.arange(5), {"a": np.arange(5.0), "b": np.ones(5)}, "hard")
    scores = RunScores.of_tables({"scores": table})
    assert scores.runs == {"scores": ("all",)}
    assert scores.values("a", "scores").shape == (1, 5)
    assert not scores.single_runs


def test_missing_values_are_refused_or_dropped_everywhere():
    torn = CNN["el2n"].copy()
    torn[1, 4] = np.nan
    order = np.arange(20)[::-1]
    tables = {
        "mlp": run_table(MLP, label=np.arange(20)),
        "cnn": run_table({"el2n": torn[:, order], "margin": CNN["margin"][:, order]}, order),
    }
    with pytest.raises(InputError, match=r"'el2n.run1' of cnn must be free of NaN.*got '1 NaN \(4\)'"):
        RunScores.of_tables(tables)
    scores = RunScores.of_tables(tables, nan="drop")
    assert (len(scores), scores.dropped) == (19, 1)
    assert 4 not in scores.ids
    assert 4 not in scores.labels_N
    np.testing.assert_array_equal(scores.values("el2n", "mlp"), np.delete(MLP["el2n"], 4, axis=1))
    np.testing.assert_array_equal(scores.values("margin", "cnn"), np.delete(CNN["margin"], 4, axis=1))


def test_arrays_must_fit():
    for values, sentence in (
        ({}, "at least one score"),
        ({"a": {"m": np.ones((2, 5))}, "b": {"m": np.ones((3, 5))}}, "arrays of shapes"),
        ({"a": {"m": np.ones((2, 5)), "n": np.ones((2, 4))}}, "one number of examples"),
        ({"a": {"m": np.full((2, 5), np.nan)}}, "free of NaN"),
        ({"a": {"m": np.ones((2, 2))}}, "at least 3"),
    ):
        with pytest.raises(InputError, match=sentence):
            RunScores.of_arrays(values)


def test_only_narrows_down_and_checks_names():
    scores = two().only(["margin"], ["cnn"])
    assert (scores.scores, scores.architectures) == (("margin",), ("cnn",))
    np.testing.assert_array_equal(scores.values("margin", "cnn"), -CNN["margin"])
    with pytest.raises(InputError, match="Did you mean 'cnn'"):
        two().only(architectures=["cn"])
    with pytest.raises(InputError, match="score must be one of el2n, margin"):
        two().values("loss", "mlp")


def test_what_was_read_last_is_kept_up_to_a_size(monkeypatch):
    monkeypatch.setattr("scoring.compare.run_scores.KEPT_BYTES", 900)
    read = []
    scores = RunScores(
        np.arange(20), {"a": "hard", "b": "hard"}, {"m": ["0", "1"]},
        lambda score, kind: read.append(score) or RNG.normal(size=(2, 20)),
    )  # fmt: skip
    first = scores.values("a", "m")
    assert scores.values("a", "m") is first
    scores.ranks("b", "m")
    scores.values("a", "m")
    assert read == ["a", "b", "a"]
