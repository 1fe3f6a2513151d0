"""ScoreTable: identity, meaning, files, joins and shards."""

import numpy as np
import pyarrow as pa
import pytest
from references.score_tables import scored_table, shuffled

from scoring.errors import InputError
from scoring.table import ScoreTable


def test_what_is_in_it():
    table = scored_table()
    assert len(table) == 10 and table.ids.dtype == np.int64 and not table.ids.flags.writeable
    assert table.scores == ["el2n", "loss", "forgetting"]
    assert table.names[-1] == "label" and table.meaning("label") == "label"
    assert table.meaning("el2n") == "hard" and table.meaning("el2n.runs") == "arbitrary"
    assert table.column("forgetting.never_learned").dtype == np.float64
    assert table.columns["el2n"]["options"] == {"variant": "paul2021", "floor": 0.5}
    assert table.info["library_version"]
    assert scored_table(strings=True).ids.dtype == object
    assert repr(table).startswith("ScoreTable(10 rows: el2n, loss")


def test_unknown_names_list_close_ones():
    table = scored_table()
    for call in (table.column, table.meaning, table.only, lambda name: table.top(name, 1)):
        with pytest.raises(InputError, match=r"column must be one of .*got 'el2m'\. Did you mean 'el2n'\?"):
            call("el2m")


class TestRefusals:
    @pytest.mark.parametrize(
        ("ids", "sentence"),
        [
            ([3, 5, 3, 5, 1], "ids must be unique, got 2 more than once: 3, 5"),
            (["a", "b", "a"], "ids must be unique, got 1 more than once: 'a'"),
            ([1.5, 2.5], "ids must be integers or strings, got 'double'"),
        ],
    )
    def test_ids(self, ids, sentence):
        with pytest.raises(InputError, match=sentence):
            ScoreTable.from_columns(ids, {"s": np.zeros(len(ids))}, "hard")

    def test_null_ids(self):
        with pytest.raises(InputError, match="ids must not be null, got 1 nulls"):
            ScoreTable(pa.table({"id": ["a", None], "s": [1.0, 2.0]}), {"s": {"meaning": "hard"}})

    def test_columns(self):
        table = pa.table({"id": [1], "s": [1.0]})
        for described, sentence in (
            ({}, "columns must describe every column of table but 'id', differing in"),
            ({"s": {}}, "column 's': meaning must be one of hard, easy, .*got none"),
            ({"s": {"meaning": "hrad"}}, "meaning must be one of .*got 'hrad'. Did you mean 'hard'"),
            ({"s": {"meaning": "hard", "role": "scor"}}, "role must be one of .*Did you mean 'score'"),
        ):
            with pytest.raises(InputError, match=sentence):
                ScoreTable(table, described)
        with pytest.raises(InputError, match="table must have a column 'id', got columns s"):
            ScoreTable(table.select(["s"]), {"s": {"meaning": "hard"}})
        with pytest.raises(InputError, match="must be numbers or booleans, got 'string'"):
            ScoreTable.from_columns([1], {"s": ["x"]}, "hard")
        with pytest.raises(InputError, match=r"column 's' must be as long as ids \(2 rows\), got '1 rows'"):
            ScoreTable.from_columns([1, 2], {"s": [1.0]}, "hard")
        with pytest.raises(InputError, match="meaning must be given for column 't'"):
            ScoreTable.from_columns([1], {"s": [1.0], "t": [1.0]}, {"s": "hard"})

    def test_inputs_stay_as_they_are(self):
        columns, values = {"s": {"meaning": "hard"}}, np.array([2.0, 1.0])
        table = ScoreTable(pa.table({"id": [1, 2], "s": values}), columns)
        table.columns["s"]["note"] = "x"
        table.column("s")[0] = 9
        assert (
            columns == {"s": {"meaning": "hard"}}
            and table.column("s").tolist() == [2.0, 1.0] == values.tolist()
        )


def test_describe():
    values = [np.nan, 1.0, 1.0, 2.0, 3.0, 4.0, np.inf, -np.inf]
    row = ScoreTable.from_columns(np.arange(8), {"s": values}, "quality").describe()[0]
    assert row == {
        "column": "s", "role": "score", "meaning": "quality", "n": 7, "nan": 1, "inf": 2,
        "min": 1.0, "q25": 1.0, "median": 2.0, "q75": 3.0, "max": 4.0, "ties": 2 / 7,
    }  # fmt: skip
    empty = ScoreTable.from_columns([1], {"s": [np.nan]}, "hard").describe()[0]
    assert empty["n"] == 0 and empty["median"] is None and empty["ties"] == 0


def test_top_and_bottom():
    table = ScoreTable.from_columns(["a", "b", "c", "d"], {"s": [2.0, np.nan, 5.0, -1.0]}, "hard")
    assert table.top("s", 2) == [("c", 5.0), ("a", 2.0)]
    assert table.bottom("s", 9) == [("d", -1.0), ("a", 2.0), ("c", 5.0)]
    with pytest.raises(InputError, match="n must be 0 or more, got -1"):
        table.top("s", -1)
    tied = ScoreTable.from_columns(np.arange(50), {"s": np.zeros(50)}, "hard")
    assert tied.top("s", 5) == shuffled(tied).top("s", 5) == tied.bottom("s", 5) != tied.top("s", 5, seed=1)


def test_take_only_rename():
    table = scored_table()
    ids = table.ids[[4, 1]]
    assert table.take(ids).ids.tolist() == ids.tolist()
    assert table.take(ids).column("el2n").tolist() == table.column("el2n")[[4, 1]].tolist()
    with pytest.raises(InputError, match="got 2 that are not there: 1000, 2000"):
        table.take([1000, 2000, -20])
    with pytest.raises(InputError, match="ids must be integers as in the score table, got strings"):
        table.take(["a"])
    assert table.only(["loss", "el2n"]).names == ["loss", "el2n"] and table.only("loss").names == ["loss"]
    renamed = table.rename({"el2n": "e"})
    assert renamed.names[0] == "e" and renamed.columns["el2n.runs"]["parent"] == "e"
    assert table.columns["el2n.runs"]["parent"] == "el2n"
