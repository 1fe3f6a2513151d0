"""Run tables from three kinds of files, wide and long, and the sentences about files that are not."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scoring.errors import InputError
from training.laws.analysis.law import law_report
from training.laws.analysis.law_request import LawRequest
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.run_table import make_run_table, read_run_table

LONG = {
    "run": ["a", "a", "b", "b"],
    "corpus": ["web", "web", "code", "code"],
    "N": [1e8, 1e8, 2e8, 2e8],
    "D": [2e9, 2e9, 4e9, 4e9],
    "step": [10, 20, 10, 20],
    "split": ["val"] * 4,
    "metric": ["loss"] * 4,
    "value": [3.5, 3.25, 3.0, 2.75],
}


def write(folder, kind, columns):
    path = folder / f"runs.{kind}"
    table = pa.table(columns)
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "csv":
        from pyarrow import csv

        csv.write_csv(table, path)
    else:
        path.write_text("\n".join(json.dumps(row) for row in table.to_pylist()), encoding="utf-8")
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_all_kinds_of_files_are_one_table(tmp_path, kind):
    table = read_run_table(write(tmp_path, kind, LONG))
    assert list(table.columns) == ["run", "corpus", "N", "D", "C", "step", "split", "metric", "value"]
    np.testing.assert_array_equal(table["value"], LONG["value"])
    np.testing.assert_allclose(table["C"], [1.2e18, 1.2e18, 4.8e18, 4.8e18])
    assert table.names("corpus") == ["code", "web"]
    assert table.last()["value"].tolist() == [3.25, 2.75]
    assert table.where(corpus="web", step=10)["value"].tolist() == [3.5]


def test_wide_files_are_melted_and_columns_mapped(tmp_path):
    wide = {
        "params": [1e8, 2e8, 4e8],
        "flops": [1.2e18, 4.8e18, 9.6e18],
        "data": ["web"] * 3,
        "loss/val": [3.0, 2.5, 2.25],
        "hellaswag": [4.0, None, 3.5],
        "layers": [2, 4, 8],
    }
    path = write(tmp_path, "csv", wide)
    columns = {"N": "params", "C": "flops", "corpus": "data", "layers": "layers"}
    table = read_run_table(path, columns, {"loss": "loss/val", "task": "hellaswag"})
    assert len(table) == 5 and table.names("metric") == ["loss", "task"]
    np.testing.assert_allclose(table.where(metric="loss")["D"], [2e9, 4e9, 4e9])
    assert table.where(metric="task")["run"].tolist() == ["0", "2"]
    assert table.where(metric="task")["layers"].tolist() == [2, 8]
    assert len(read_run_table(path, columns, ["hellaswag"])) == 2


def test_a_table_fits_directly():
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7, 9, 40), 10 ** rng.uniform(8, 10, 40)
    loss = 1.8 + 400 / N**0.34 + 400 / D**0.28
    table = make_run_table({"N": N, "D": D}, {"loss": loss, "other": loss + 1})
    chosen = table.where(metric="loss")
    found = fit(form_named("chinchilla"), chosen.inputs, chosen["value"])
    assert found.parameters["E"] == pytest.approx(1.8, rel=1e-3)


def test_what_is_unknown_stays_unknown():
    table = make_run_table({"value": [1.0, 2.0], "step": [None, 5]})
    assert (
        np.isnan(table["N"]).all()
        and np.isnan(table["step"][0])
        and table["metric"].tolist() == ["loss", "loss"]
    )
    assert len(table.last()) == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p: read_run_table(p, {"N": "parms"}), "the column of N must be one of"),
        (lambda p: read_run_table(p, None, ["los"]), "metric must be one of"),
        (
            lambda p: read_run_table(p, {"N": "corpus"}),
            "column N holds something that is not a number, 'web'",
        ),
        (lambda p: make_run_table({"value": [1.0]}, {"loss": [1.0]}), "give one of them"),
        (lambda p: read_run_table(p.with_suffix(".txt")), "must end in"),
        (lambda p: read_run_table(p).where(corpus="wbe"), "Did you mean 'web'"),
        (lambda p: read_run_table(p).where(corpsu="web"), "Did you mean 'corpus'"),
        (lambda p: make_run_table({"N": [1.0]}), "no column of values"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, change, sentence):
    with pytest.raises(InputError, match=sentence):
        change(write(tmp_path, "csv", LONG))


def test_files_that_are_not_there_or_torn(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_run_table(tmp_path / "none.csv")
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(b"PAR1 nothing")
    with pytest.raises(InputError, match="cannot be read"):
        read_run_table(torn)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("two.csv", b"N,N,loss\n1,2,3\n", "2 columns 'N'"),
        ("latin.csv", b"N,D,loss,na\xe9me\n1,2,3,a\n", "UTF-8"),
        ("empty.csv", b"", "cannot be read"),
        ("wide.csv", b"params,tokens,nats\n1,2,3\n", "its columns are 'params', 'tokens', 'nats'"),
    ],
)
def test_strange_files_are_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        read_run_table(path)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(InputError, match="this is a folder"):
        read_run_table(tmp_path)


def test_names_and_endings_are_read_generously(tmp_path):
    path = tmp_path / "RUNS.CSV"
    path.write_text("N , D,loss\n1e6,2e7,3.5\n")
    table = read_run_table(path, metrics=["loss"])
    assert (table["N"][0], table["D"][0], table["value"][0]) == (1e6, 2e7, 3.5)


def test_a_wide_table_without_any_column_of_ours(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("params,loss\n1e6,3.5\n2e6,3.25\n")
    table = read_run_table(path, metrics=["loss"])
    assert table["value"].tolist() == [3.5, 3.25] and np.isnan(table["N"]).all()


def test_metrics_choose_rows_of_a_long_file(tmp_path):
    long = {**LONG, "metric": ["loss", "accuracy"] * 2}
    path = write(tmp_path, "csv", long)
    assert read_run_table(path, metrics=["accuracy"])["value"].tolist() == [3.25, 2.75]
    with pytest.raises(InputError, match=r"metric must be one of accuracy, loss.*'los'"):
        read_run_table(path, metrics=["los"])


def test_numbers_are_found_by_text_too(tmp_path):
    table = read_run_table(write(tmp_path, "csv", LONG))
    assert table.where(N="1e8", step="20")["value"].tolist() == [3.25]
    with pytest.raises(InputError, match=r"N must be a number.*'big'"):
        table.where(N="big")


def test_the_last_step_of_every_run_counts():
    columns = {"N": [1e6] * 4, "D": [1e8] * 4, "step": [200, 100, 100, 200], "value": [3.0, 4.0, 3.5, 2.5]}
    seeds = make_run_table({**columns, "seed": [0, 0, 1, 1]})
    assert sorted(seeds.last()["value"].tolist()) == [2.5, 3.0]
    unnamed = make_run_table(
        columns
    )  # two runs that nothing tells apart: neither is dropped, in no order of rows
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        assert sorted(unnamed.rows(np.array(order)).last()["value"].tolist()) == [2.5, 3.0]
    unknown = make_run_table({**columns, "step": [200, np.nan, 100, 100]})
    assert sorted(unknown.last()["value"].tolist()) == [3.0, 4.0]


def test_wide_tables_of_steps_must_name_the_run():
    """Each row as a run of its own would let every checkpoint into a fit."""
    wide = {"D": [1e9, 2e9], "step": [10, 20]}
    with pytest.raises(InputError, match=r'columns=\{"run": ...\}, or --column run=...'):
        make_run_table(wide, {"loss": [3.0, 2.5]})
    named = make_run_table({**wide, "run": ["a", "a"]}, {"loss": [3.0, 2.5]})
    assert named.last()["value"].tolist() == [2.5]


def test_values_that_are_missing_are_no_rows_and_counted():
    """Alike in long and wide tables."""
    known = {"run": ["a", "b", "c"], "D": [1e9, 2e9, 3e9]}
    values = [3.0, np.nan, 2.5]
    for table in (make_run_table({**known, "value": values}), make_run_table(known, {"loss": values})):
        assert table["value"].tolist() == [3.0, 2.5] and table.names("run") == ["a", "c"]
        assert table.without_value == 1 and table.where(run="a").without_value == 1
    assert make_run_table({**known, "value": [3.0, 2.0, 1.0]}).without_value == 0
    with pytest.raises(InputError, match="no row has a value"):
        make_run_table({**known, "value": [np.nan] * 3})


def test_reports_tell_of_values_that_are_missing():
    x = np.geomspace(1e8, 1e10, 13)
    table = make_run_table({"C": x, "value": np.where(np.arange(13) == 4, np.nan, 2 + x**-0.1)})
    request = LawRequest(law="compute_power", resamples=5, starts=4)
    assert any("1 value of the table empty or NaN" in line for line in law_report(table, request).preamble)
