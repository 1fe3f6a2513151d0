"""Joining and concatenating score tables."""

import numpy as np
import pyarrow as pa
import pytest
from references.score_tables import equal_tables, random_table, scored_table, shuffled

from scoring.errors import InputError
from scoring.hashing import fingerprint, hash_ids
from scoring.table import ScoreTable


class TestJoin:
    def test_by_id_whatever_the_order(self):
        table = scored_table(30)
        other = shuffled(table.only("loss").rename({"loss": "late"}))
        joined = table.join(other)
        assert joined.ids.tolist() == table.ids.tolist()
        assert joined.column("late").tolist() == table.column("loss").tolist()
        assert joined.columns["late"] == table.columns["loss"] and joined.info == table.info

    def test_shared_columns_must_agree(self):
        table = scored_table()
        assert table.join(shuffled(table)).names == table.names
        other = ScoreTable.from_columns(table.ids, {"loss": np.zeros(10)}, "hard")
        with pytest.raises(InputError, match="got two different 'loss'; rename one first"):
            table.join(other)

    def test_missing_ids(self):
        table = scored_table()
        part = table.only("loss").rename({"loss": "x"}).take(table.ids[2:])
        with pytest.raises(
            InputError, match="ids must be in the other table, got 2 that are not there: -20, -13"
        ):
            table.join(part)
        with pytest.raises(InputError, match="ids must be in this table, got 2 that are not there: -20, -13"):
            part.join(table)
        assert table.join(part, how="inner").ids.tolist() == table.ids[2:].tolist()
        with pytest.raises(InputError, match="how must be 'exact' or 'inner', got 'left'"):
            table.join(part, how="left")
        strings = ScoreTable.from_columns([str(i) for i in table.ids], {"x": np.zeros(10)}, "hard")
        with pytest.raises(InputError, match="ids must be of one type, got int64 and string"):
            table.join(strings)

    def test_other_data(self):
        table = scored_table(fingerprint="data")
        other = ScoreTable.from_columns(
            table.ids, {"x": np.zeros(10)}, "hard", {"fingerprint": "other", "source": "b"}
        )
        with pytest.raises(
            InputError, match=r"data must be the same on both sides, got fingerprint .* and other in"
        ):
            table.join(other)
        joined = table.join(other, allow_changed_data=True)
        assert joined.fingerprint == table.fingerprint
        assert joined.columns["x"]["table"] == {"source": "b"}

    def test_fingerprints_of_data_win_over_none_and_over_those_of_ids(self):
        table = scored_table(fingerprint="data")
        for info in ({}, {"fingerprint": fingerprint(hash_ids(table.ids))}):
            bare = ScoreTable.from_columns(table.ids, {"x": np.zeros(10)}, "hard", info)
            assert bare.join(table).fingerprint == table.join(bare).fingerprint == "data"


class TestConcat:
    def test_slices_of_the_same_data(self):
        table = scored_table(20)
        parts = [table.take(table.ids[:7]), table.take(table.ids[7:7]), table.take(table.ids[7:])]
        assert equal_tables(ScoreTable.concat(parts), table)
        assert equal_tables(ScoreTable.concat(reversed(parts)).take(table.ids), table)

    def test_different_data_adds_up(self):
        halves = [random_table(10, seed=s).only("s") for s in (0, 1)]
        halves = [
            ScoreTable(
                pa.table({"id": np.arange(10) + 10 * i, "s": half.column("s")}),
                half.columns,
                {
                    "fingerprint": fingerprint(hash_ids(np.arange(10) + 10 * i)), "num_examples": 10,
                    "dead_letters": [{"id": i}], "coverage": 1.0, "source": f"part {i}",
                },
            )
            for i, half in enumerate(halves)
        ]  # fmt: skip
        both = ScoreTable.concat(halves)
        assert both.fingerprint == fingerprint(hash_ids(np.arange(20)))
        assert both.info["num_examples"] == 20 and both.info["dead_letters"] == [{"id": 0}, {"id": 1}]
        assert both.info["coverage"] == 1.0 and both.info["source"] == ["part 0", "part 1"]

    def test_refusals(self):
        table = scored_table()
        with pytest.raises(InputError, match="ids must be unique, got 10 more than once"):
            ScoreTable.concat([table, table])
        with pytest.raises(InputError, match="shards must be at least one score table, got 'none'"):
            ScoreTable.concat([])
        a, b = table.take(table.ids[:5]), table.take(table.ids[5:])
        with pytest.raises(InputError, match=r"got shard 1 differing in .*'el2n'"):
            ScoreTable.concat([a, b.only("loss")])
        b.columns["el2n"]["options"] = {"variant": "brier"}
        with pytest.raises(InputError, match="got 'el2n' of shard 1 differing in options"):
            ScoreTable.concat([a, b])
        c = ScoreTable.from_columns(["x"], {"s": [1.0]}, "hard")
        d = ScoreTable.from_columns([1], {"s": [1.0]}, "hard")
        with pytest.raises(
            InputError, match="shards must agree in types, got 'id' int64 in shard 1, not string"
        ):
            ScoreTable.concat([c, d])
