"""``tamis score`` of documents, ``tamis compare`` of such scores, and what goes wrong."""

import json
from pathlib import Path

import pytest
from references.document_world import documents
from typer.testing import CliRunner, Result

from scoring.table import ScoreTable
from tamis.cli import app


def tamis(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty documents in a file."""
    path = tmp_path_factory.mktemp("documents") / "corpus.jsonl"
    lines = [json.dumps({"id": k, "text": text}) for k, text in enumerate(documents(40))]
    path.write_text("\n".join(lines))
    return path


def test_documents_are_scored_without_runs(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    done = tamis("score", corpus, "--scorers", "length,length(unit=words)", "--out", out, "--quiet")
    assert done.exit_code == 0, done.output
    assert "40 examples in" in done.stdout and "documents" in done.stdout and " run" not in done.stdout
    assert len(ScoreTable.read(out)) == 40


def test_scores_of_documents_are_compared_as_they_are_and_over_tables(corpus: Path, tmp_path: Path) -> None:
    tables = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for table, scorers in zip(tables, ("length,length(unit=words)", "length(unit=bytes)")):
        assert tamis("score", corpus, "--scorers", scorers, "--out", table, "--quiet").exit_code == 0
    done = tamis("compare", *tables, "--out", tmp_path / "compared", "--quiet", "--json")
    assert done.exit_code == 0, done.output
    report = (tmp_path / "compared" / "report.md").read_text()
    assert report.startswith("# 3 scores of 40 documents\n") and "length(unit=bytes) (long)" in report
    assert "Kendall" in report and "Jaccard" in report
    assert "run" not in report.replace("truncated", ""), "there are no runs to speak of"


WRONG = {
    "a score of runs": (["--scorers", "el2n"], "scorer 'el2n' reads labels, logits", "--from RUNS"),
    "a model without a scorer of documents": (
        ["--scorers", "el2n", "--from", "R", "--lm", "x"],
        "--lm is for",
        "runs",
    ),
    "an encoder that nobody named": (["--scorers", "density"], "encoder", "minilm"),
    "a target that nobody reads": (["--scorers", "length", "--target", "C"], "--target is for", "dsir"),
    "no target": (["--scorers", "dsir"], "compares with other documents", "--target"),
    "tokens that are none": (["--scorers", "length", "--batch-tokens", "0"], "batch-tokens", "from 1"),
}


@pytest.mark.parametrize(("given", "owner", "hint"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_one_sentence(given: list[str], owner: str, hint: str, corpus: Path) -> None:
    done = tamis("score", corpus, *(str(corpus) if each == "C" else each for each in given))
    assert done.exit_code == 2
    said = done.stderr.strip().splitlines()[-1]
    assert owner in said and hint in said and said.endswith("."), said
    assert "Traceback" not in done.output


def test_columns_beside_a_score_can_be_shown_and_selected_by(corpus: Path, tmp_path: Path) -> None:
    """The rows with kept == 1 are those at a threshold of 1."""
    rows = corpus.read_text().splitlines()
    again = [json.dumps({"id": 100 + k, "text": json.loads(rows[k])["text"]}) for k in range(10)]
    twice, table = tmp_path / "twice.jsonl", tmp_path / "scores.parquet"
    twice.write_text("\n".join([*rows, *again]))
    asked = ("--id", "id", "--scorers", "minhash_duplicates", "--out", table, "--quiet")
    assert tamis("score", twice, *asked).exit_code == 0
    kept = ScoreTable.read(table).column("minhash_duplicates.kept")
    assert 0 < kept.sum() < len(kept) == 50
    beside = ("--by", "minhash_duplicates.kept")
    done = tamis("select", table, *beside, "--take", "threshold", "--option", "at_least=1", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == int(kept.sum())
    shown = tamis("show", table, *beside, "--top", "2")
    assert shown.exit_code == 0 and "highest minhash_duplicates.kept" in shown.stdout
    assert "arbitrary" not in shown.stdout


def test_one_table_of_documents_is_no_architecture(corpus: Path, tmp_path: Path) -> None:
    table = tmp_path / "nameless.parquet"
    asked = "length,length(unit=words),random,random(seed=1)"
    assert tamis("score", corpus, "--scorers", asked, "--out", table, "--quiet").exit_code == 0
    done = tamis("compare", table, "--quiet", "--json")
    assert done.exit_code == 0, done.output
    sections = json.loads(done.stdout)["sections"]
    said = " ".join(str(sentence) for each in sections.values() for sentence in each["sentences"])
    assert "Closest are" in said and "One component explains" in said
    assert "nameless" not in said and "(documents)" not in said and "difficulty" not in said


def test_nothing_is_said_of_what_pays_where_no_operations_are_known(corpus: Path, tmp_path: Path) -> None:
    table = tmp_path / "scores.parquet"
    assert tamis("score", corpus, "--scorers", "length", "--out", table, "--quiet").exit_code == 0
    told = tamis("costs", table)
    assert told.exit_code == 0 and "FLOPs" not in told.stdout
    refused = tamis("costs", table, "--parameters", "1e9", "--tokens-saved", "1e9")
    assert refused.exit_code == 2 and "no operations are known" in refused.stderr
    assert "pays" not in refused.output


def test_documents_that_are_looked_at_twice_are_counted_once(corpus: Path, tmp_path: Path) -> None:
    vectors, table = tmp_path / "vectors", tmp_path / "scores.parquet"
    assert tamis("embed", corpus, "--id", "id", "--out", vectors, "--quiet").exit_code == 0
    given = ("--id", "id", "--embeddings", vectors, "--scorers", "density", "--out", table, "--quiet")
    assert tamis("score", corpus, *given).exit_code == 0
    told = tamis("costs", table).stdout
    assert "density: 40 documents, " in told and "Together: 40 documents, " in told
