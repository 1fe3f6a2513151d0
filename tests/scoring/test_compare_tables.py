"""The comparisons over whole score tables: which columns they read, and that they read them rightly."""

import numpy as np
import pyarrow as pa
import pytest

from scoring.compare.detection import detection
from scoring.compare.of_table import (
    comparable,
    run_values,
    same_order,
    table_agreement,
    table_detection,
    table_reliability,
)
from scoring.compare.reliability.single_runs import reliability
from scoring.errors import InputError
from scoring.table import ScoreTable


@pytest.fixture(scope="module")
def table() -> ScoreTable:
    rng = np.random.default_rng(0)
    runs = rng.normal(size=60) + 0.5 * rng.normal(size=(3, 60))
    columns = {
        "id": np.arange(60), "loss": runs.mean(axis=0), **{f"loss.run{r}": runs[r] for r in range(3)},
        "loss.se": runs.std(axis=0), "clean": -runs.mean(axis=0), "random": rng.random(60),
        "length": rng.random(60), "label": rng.integers(0, 3, 60),
    }  # fmt: skip
    meta = {
        "loss": {"meaning": "hard"}, **{f"loss.run{r}": {"role": "run", "parent": "loss"} for r in range(3)},
        "loss.se": {"role": "se", "parent": "loss"}, "clean": {"meaning": "clean"},
        "random": {"meaning": "arbitrary"}, "length": {"meaning": "quality"},
    }  # fmt: skip
    return ScoreTable(pa.table(columns), meta)


def test_scores_with_a_hard_end_are_comparable(table):
    assert comparable(table) == {"loss": "hard", "clean": "clean", "random": "arbitrary"}
    assert comparable(table, ["clean", "length"]) == {"clean": "clean"}
    with pytest.raises(InputError, match="Did you mean 'loss'"):
        comparable(table, ["los"])


def test_single_runs_are_found_by_their_parent(table):
    values = run_values(table, "loss")
    assert values.shape == (3, 60)
    assert (values[1] == table.column("loss.run1")).all()
    assert table_reliability(table, ["loss"], keep=0.2) == [reliability(values, name="loss", keep=0.2)]
    with pytest.raises(InputError, match="at least two runs, got 0"):
        run_values(table, "clean")


def test_agreement_and_detection_read_the_meaning(table):
    assert table_agreement(table).of("loss", "clean") == pytest.approx(1)
    wrong = table.column("loss") > 1
    found = table_detection(table, wrong)
    assert [each.name for each in found] == ["clean", "loss", "random"]
    assert found[0].auroc == found[1].auroc == 1
    expected = detection(table.column("random"), wrong, name="random", meaning="arbitrary", k=5)
    assert table_detection(table, wrong, ["random"], k=5) == [expected]


def test_columns_that_rank_alike_are_one(table):
    assert same_order([table], ["loss", "random", "clean"]) == {"loss": ["clean"], "random": []}
    other = ScoreTable.from_columns(
        table.ids,
        {"loss": table.column("loss"), "clean": table.column("loss")},
        {"loss": "hard", "clean": "clean"},
    )
    assert same_order([table, other], ["loss", "clean"]) == {"loss": [], "clean": []}
