"""The command line: what it prints, what it writes, and one sentence with exit code 2 for every mistake."""

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from scoring.table import ScoreTable
from selection.subset import Subset
from tamis.cli import app, select, train
from tamis.options import parse_options, parse_seeds
from training.settings import Settings


def tamis(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli")
    done = tamis(
        "train", "digits", "--model", "mlp", "--option", "hidden=[16]", "--epochs", 3, "--seeds", "0-1", "--record",
        "--out", folder / "runs", "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    done = tamis(
        "score", "digits", "--from", folder / "runs", "--scorers", "el2n,forgetting,loss@mean", "--out",
        folder / "scores.parquet", "--quiet", "--per-run",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return folder


def test_train_reports_every_run(trained: Path) -> None:
    done = tamis(
        "train", "digits", "--model", "mlp", "--option", "hidden=[16]", "--epochs", 3, "--seeds", "0-1", "--record",
        "--out", trained / "runs", "--quiet", "--json",
    )  # fmt: skip
    runs = json.loads(done.stdout)
    assert [run["seed"] for run in runs] == [0, 1]
    assert all(run["metrics"]["test/accuracy"] > 0.5 for run in runs)


def test_score_writes_a_table_that_says_what_it_holds(trained: Path) -> None:
    table = ScoreTable.read(trained / "scores.parquet")
    assert len(table) == 1200
    assert table.meaning("el2n") == "hard"
    assert {"el2n.se", "el2n.runs", "el2n.run0", "forgetting.never_learned", "loss@mean"} <= set(table.names)


def test_show_says_which_epoch_was_early(trained: Path) -> None:
    text = tamis("show", trained / "scores.parquet").stdout
    assert "clean early (epoch 1)" in text and "clean mean " in text


def test_select_show_and_apply(trained: Path) -> None:
    out = trained / "subset.parquet"
    done = tamis(
        "select",
        trained / "scores.parquet",
        "--by",
        "el2n",
        "--take",
        "easiest",
        "--keep",
        "25%",
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    assert len(Subset.read(out)) == 300
    assert "kept 300 of 1,200" in done.stdout
    shown = tamis("show", out)
    assert shown.exit_code == 0 and "kept 300" in shown.stdout
    shown = tamis(
        "show",
        trained / "scores.parquet",
        "--by",
        "el2n",
        "--top",
        2,
        "--bottom",
        1,
        "--data",
        "digits",
        "--json",
    )
    document = json.loads(shown.stdout)
    assert [len(document[end]) for end in ("highest", "lowest")] == [2, 1]
    assert document["highest"][0]["example"]


def test_arrays_need_no_data(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    np.save(tmp_path / "z.npy", generator.normal(size=(2, 3, 20, 4)))
    np.save(tmp_path / "y.npy", generator.integers(4, size=20))
    out = tmp_path / "s.parquet"
    done = tamis(
        "score",
        "--logits",
        tmp_path / "z.npy",
        "--labels",
        tmp_path / "y.npy",
        "--scorers",
        "el2n,margin",
        "--out",
        out,
    )
    assert done.exit_code == 0, done.output
    assert len(ScoreTable.read(out)) == 20
    assert done.exit_code == 0 and "20 examples, 2 runs" in done.stdout


def test_cross_fitting_scores_every_example_by_a_model_that_left_it_out(tmp_path: Path) -> None:
    out = tmp_path / "s.parquet"
    done = tamis(
        "score", "digits", "--folds", 2, "--model", "linear", "--train", "epochs=2", "--scorers", "el2n", "--out", out,
        "--quiet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    table = ScoreTable.read(out)
    assert len(table) == 1200 and np.isfinite(table.column("el2n")).all()


def test_show_draws_images_and_says_what_a_subset_holds(trained: Path) -> None:
    shown = tamis("show", trained / "scores.parquet", "--by", "el2n", "--top", 1, "--data", "digits").stdout
    assert len(shown.splitlines()) == 2 + 8 and "@@" in shown
    out = trained / "band.parquet"
    done = tamis(
        "select", trained / "scores.parquet", "--by", "el2n", "--take", "band", "--low", 0.2, "--high", 0.4, "--out",
        out, "--weight", "inverse", "--balance", "proportional",
    )  # fmt: skip
    assert done.exit_code == 0 and "written to" in done.stdout, done.output
    shown = tamis("show", out, "--data", "digits", "--top", 2).stdout
    assert "written" not in shown and "First of the kept" in shown and "low 0.2" in shown and "@@" in shown
    document = json.loads(tamis("show", out, "--data", "digits", "--top", 2, "--json").stdout)
    assert len(document["examples"]) == 2
    assert all(each["example"].startswith("8x8 grey image") for each in document["examples"])


def test_show_tells_of_subsets_in_shards_and_of_suppressed_rows(trained: Path, tmp_path: Path) -> None:
    scores = trained / "scores.parquet"
    done = tamis("select", scores, "--by", "el2n", "--keep", "25%", "--out", tmp_path / "shards", "--quiet")
    assert done.exit_code == 0, done.output
    shown = tamis("show", tmp_path / "shards")
    assert shown.exit_code == 0, shown.output
    assert "kept 300 of 1,200 examples" in shown.stdout and "hardest" in shown.stdout
    assert "is a subset; leave it out" in tamis("show", tmp_path / "shards", "--by", "el2n").stderr
    np.save(tmp_path / "same.npy", np.ones((1200, 2)))
    done = tamis(
        "select", scores, "--take", "semantic_dedup", "--embeddings", tmp_path / "same.npy",
        "--out", tmp_path / "one.parquet", "--suppressed", tmp_path / "gone.parquet",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    shown = tamis("show", tmp_path / "gone.parquet", "--top", "2", "--json")
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    assert document["rows"] == 1199 and [row["similarity"] for row in document["first"]] == [1.0, 1.0]
    told = tamis("show", tmp_path / "gone.parquet").stdout.splitlines()[0]
    assert told.startswith("1,199 examples left out as near-duplicates in")


def test_sentences_name_options_that_there_are(trained: Path, tmp_path: Path) -> None:
    scores = trained / "scores.parquet"
    texts = tamis("select", scores, "--take", "minhash_dedup", "--out", tmp_path / "a.parquet")
    assert texts.exit_code == 2 and "--data must name the data" in texts.stderr
    (tmp_path / "no.npy").write_text("not an array")
    for path, sentence in (
        (tmp_path / "no.npy", "must be a .npy file of floats or a .parquet file"),
        (scores, "must have the columns 'id' and 'embedding', got id, el2n"),
    ):
        done = tamis(
            "select", scores, "--take", "k_center", "--embeddings", path, "--out", tmp_path / "a.parquet"
        )
        assert done.exit_code == 2 and sentence in done.stderr and "pickle" not in done.stderr
    again = tamis("score", "digits", "--from", trained / "runs", "--scorers", "margin", "--out", scores)
    assert again.exit_code == 2 and "give another --out or --overwrite." in again.stderr


def test_show_lists_runs(trained: Path) -> None:
    assert "seed-1" in tamis("show", trained / "runs").stdout
    assert [run["seed"] for run in json.loads(tamis("show", trained / "runs", "--json").stdout)] == [0, 1]


def test_json_has_no_words_for_numbers_that_are_none(tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.array([[[1.0, 0.0], [np.nan, 0.0], [0.0, 1.0]]] * 2))
    np.save(tmp_path / "y.npy", np.array([1, 0, 1]))
    out = tmp_path / "s.parquet"
    done = tamis(
        "score", "--logits", tmp_path / "z.npy", "--labels", tmp_path / "y.npy", "--scorers",
        "el2n,forgetting:paul2021", "--out", out, "--json",
    )  # fmt: skip

    def refuse(word: str) -> None:
        raise AssertionError(word)

    for text in (
        done.stdout,
        tamis("show", out, "--json").stdout,
        tamis("show", out, "--by", "forgetting:paul2021", "--json").stdout,
    ):
        json.loads(text, parse_constant=refuse)
    assert '"inf"' in text


@pytest.mark.parametrize("width", [80, 160])
def test_tables_fit_the_terminal(trained: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    from tamis import grid, show, show_catalog

    def narrow() -> Console:
        return Console(highlight=False, width=width)

    for module in (grid, show, show_catalog):
        monkeypatch.setattr(module, "console", narrow)
    assert grid.console().width == width
    for arguments in (
        ["list"],
        ["list", "--costs"],
        ["show", trained / "scores.parquet"],
        ["show", trained / "runs"],
    ):
        lines = tamis(*arguments).stdout.splitlines()
        assert max(map(len, lines)) <= width
        text = "\n".join(lines)
        assert "…" not in text
        if arguments == ["list"]:
            assert "confidence_weighted_entropy " in text and "el2n with form=brier." in text


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    code = "from tamis.cli import main; main()"
    done = subprocess.run(
        f"{sys.executable} -c '{code}' list --json | head -c 1", shell=True, capture_output=True, text=True
    )
    assert done.stdout == "{" and done.stderr == ""


def test_list_names_every_scorer_strategy_and_model() -> None:
    document = json.loads(tamis("list", "--json").stdout)
    assert {"el2n", "aum", "forgetting"} <= {row["name"] for row in document["scorers"]}
    assert {"hardest", "random"} <= {row["name"] for row in document["strategies"]}
    assert "mlp" in {row["name"] for row in document["models"]}
    text = tamis("list").stdout
    assert "el2n:brier" in text and "small-bert" in text
    for section in ("scorers", "strategies", "models"):
        assert list(json.loads(tamis("list", section, "--json").stdout)) == [section]
        assert tamis("list", section).stdout.startswith(section.capitalize())


def test_list_tells_what_scorers_cost() -> None:
    rows = {
        row["name"]: row
        for row in json.loads(tamis("list", "scorers", "--costs", "--json").stdout)["scorers"]
    }
    assert rows["grand"]["backward"] == 1 and rows["el2n"]["backward"] == 0 and rows["trak"]["formed"]
    text = tamis("list", "--costs").stdout
    lines = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert lines["el2n"] == ["el2n", "hard", "one", "R/F", "8"]
    assert lines["vog"] == ["vog", "hard", "all", "F+B", "16", "+", "16", "I"]
    assert lines["trak:target"][:4] == ["trak:target", "like_target", "one", "F+B+G"]
    assert lines["random"][3] == "-"
    assert "keep what helps on the target" in text and "prefer grand" in text


MISTAKES = {
    "a section that does not exist": (["list", "scorer"], "Did you mean 'scorers'"),
    "costs of models": (["list", "models", "--costs"], "--costs is for scorers, got models"),
    "an unknown scorer": (["score", "--logits", "Z", "--labels", "Y", "--scorers", "el2m"], "Did you mean 'el2n'"),
    "an unknown model": (["train", "digits", "--model", "mpl", "--out", "O"], "Did you mean 'mlp'"),
    "an unknown strategy": (["select", "S", "--take", "hardes", "--keep", "10%"], "Did you mean 'hardest'"),
    "an unknown optimizer": (
        ["train", "digits", "--model", "mlp", "--optimizer", "adamww", "--out", "O"],
        "Did you mean 'adamw'",
    ),
    "too large a budget": (["select", "S", "--by", "el2n", "--keep", "5000"], "5,000"),
    "a folder without runs": (["score", "digits", "--from", "NOWHERE", "--scorers", "el2n"], "does not exist"),
    "data that are nowhere": (["train", "nowhere.parquet", "--model", "mlp", "--out", "O"], "nowhere.parquet"),
    "seeds that are no numbers": (["train", "digits", "--model", "mlp", "--seeds", "a", "--out", "O"], "--seeds"),
    "no source of signals": (["score", "digits", "--scorers", "el2n"], "--from"),
    "arrays of the wrong shape": (["score", "--logits", "Y", "--labels", "Y", "--scorers", "el2n"], "(N,C)"),
    "a step rule that does not exist": (
        ["score", "--logits", "Z", "--labels", "Y", "--scorers", "loss@lats"],
        "Did you mean 'last'",
    ),
    "an option that does not exist": (["train", "digits", "--model", "mlp", "--epoch", "1", "--out", "O"], "--epochs"),
    "an option that is missing": (["train", "digits", "--out", "O"], "--model"),
    "an argument that is missing": (["train"], "DATA"),
    "a command that does not exist": (["trian"], "Did you mean 'train'"),
    "words for a whole number": (
        ["train", "digits", "--model", "mlp", "--epochs", "two", "--out", "O"],
        "--epochs must be a whole number, got 'two'",
    ),
    "words for a number": (
        ["train", "digits", "--model", "mlp", "--lr=big", "--out", "O"],
        "--lr must be a number, got 'big'",
    ),
    "more seeds than anybody waits for": (
        ["train", "digits", "--model", "mlp", "--seeds", "0-99999999999", "--out", "O"],
        "--seeds must be",
    ),
    "runs in a file": (["train", "digits", "--model", "mlp", "--out", "Z"], "Not a directory"),
    "a file for a run": (["score", "digits", "--from", "S", "--scorers", "el2n"], "is a file"),
    "a table for a subset": (["train", "digits", "--model", "mlp", "--subset", "S", "--out", "O"], "must hold subset"),
    "a subset in place of its table": (["select", "S", "--by", "el2n", "--out", "S"], "is something else"),
    "a table in place of other data": (
        ["score", "--logits", "Z", "--labels", "Y", "--scorers", "el2n", "--overwrite", "--out", "Z"],
        "is something else",
    ),
    "too few rows": (["select", "S", "--by", "el2n", "--keep", "2000"], "pass --allow-short to"),
    "a budget of nothing": (["select", "S", "--by", "el2n", "--keep", "0"], "--keep must be at least one row"),
    "a share above all": (["select", "S", "--by", "el2n", "--keep", "101%"], "got '101%'"),
    "a budget below nothing": (["select", "S", "--by", "el2n", "--keep", "-5"], "got '-5'"),
    "an option of the command as one of the strategy": (["select", "S", "--option", "by=el2n"], "--option must not"),
    "float16 without CUDA": (
        ["score", "digits", "--from", "RUNS", "--scorers", "el2n", "--precision", "float16", "--device", "cpu"],
        "float32 or bfloat16",
    ),
    "options of folds without folds": (
        ["score", "digits", "--from", "RUNS", "--scorers", "el2n", "--train", "epochs=3"],
        "--folds",
    ),
    "an option of the command as one of training": (
        ["score", "digits", "--folds", "2", "--model", "mlp", "--train", "out=x", "--scorers", "el2n", "--out", "O"],
        "--train must not set out",
    ),
    "other data to show": (["show", "S", "--by", "el2n", "--data", "digits", "--split", "test"], "--data must be"),
    "data to show without a score": (["show", "S", "--data", "digits"], "--by must name a score"),
    "nothing to show": (["show", "S", "--by", "el2n", "--top", "0"], "--top or --bottom"),
    "a file of nothing of ours": (["show", "Z"], "z.npy"),
    "nothing to compare with": (["score", "digits", "--from", "RUNS", "--scorers", "less"], "with as --target."),
    "a target for a score without one": (
        ["score", "digits", "--from", "RUNS", "--scorers", "tracin", "--target-split", "test"],
        "ngram_perplexity, quality_classifier, tracin:target, trak:target, and the scorers are tracin.",
    ),
    "a reference for a score without one": (
        ["score", "digits", "--from", "RUNS", "--scorers", "loss", "--reference", "RUNS"],
        "--reference is for reducible_loss",
    ),
    "folds for a score that needs one model": (
        ["score", "digits", "--folds", "2", "--model", "mlp", "--scorers", "el2n,trak", "--out", "O"],
        "trak needs one model for all examples",
    ),
    "an unknown scorer of folds": (
        ["score", "digits", "--folds", "2", "--model", "mlp", "--scorers", "el2m", "--out", "O"],
        "Did you mean 'el2n'",
    ),
    "a target that is nowhere, for folds": (
        ["score", "digits", "--folds", "2", "--model", "mlp", "--scorers", "tracin:target", "--target", "NOWHERE",
         "--out", "O"],
        "--target ",
    ),
    "no reference": (["score", "digits", "--from", "RUNS", "--scorers", "reducible_loss"], "model as --reference."),
    "no null model": (["score", "digits", "--from", "RUNS", "--scorers", "pvi"], "without inputs as --null."),
    "no optimizer moments": (
        ["score", "digits", "--from", "RUNS", "--scorers", "less", "--target-split", "test"],
        "train with --save-optimizer",
    ),
    "code that fails": (["train", "digits", "--model", "json:dumps", "--out", "O"], "json:dumps failed"),
    "a band of a column that does not exist": (["select", "S", "--by", "el2", "--keep", "10%"], "Did you mean 'el2n'"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence_and_exit_code_2(mistake: str, trained: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "z.npy", np.zeros((5, 3)))
    np.save(tmp_path / "y.npy", np.zeros(5, dtype=np.int64))
    places = {
        "Z": tmp_path / "z.npy", "Y": tmp_path / "y.npy", "S": trained / "scores.parquet", "O": tmp_path / "o",
        "NOWHERE": tmp_path / "nowhere", "RUNS": trained / "runs",
    }  # fmt: skip
    there = {
        path: path.read_bytes()
        for folder in (tmp_path, trained)
        for path in folder.rglob("*")
        if path.is_file()
    }
    arguments, hint = MISTAKES[mistake]
    done = tamis(*(places.get(argument, argument) for argument in arguments))
    assert done.exit_code == 2, done.output
    assert hint in done.stderr
    assert re.match(r"tamis( \w+)?: ", done.stderr) and len(done.stderr.strip().splitlines()) == 1
    assert "Traceback" not in done.output and not done.stdout
    after = {
        path: path.read_bytes()
        for folder in (tmp_path, trained)
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert after == there


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")])
def test_too_little_memory_is_one_sentence(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("tamis.score_command.load_data", fail)
    done = tamis("score", "digits", "--from", "runs", "--scorers", "trak(dim=10000000)")
    assert done.exit_code == 2 and done.stderr.startswith("tamis: not enough memory; give a smaller")
    assert len(done.stderr.splitlines()) == 1


def test_traceback_is_shown_on_request() -> None:
    command = [
        sys.executable,
        "-c",
        "from tamis.cli import main; main()",
        "show",
        "nowhere.parquet",
        "--traceback",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" in done.stderr and "nowhere.parquet" in done.stderr


def test_train_has_the_defaults_of_python() -> None:
    here = {name: each.default for name, each in inspect.signature(train).parameters.items()}
    there = Settings()
    shared = here.keys() & vars(there).keys()
    assert len(shared) > 12
    given = {name for name in shared if here[name] is not None}  # None is not passed on
    assert {name: here[name] for name in given} == {name: getattr(there, name) for name in given}


def test_the_command_line_can_do_what_python_can() -> None:
    from selection.run import select as in_python

    elsewhere = {"checkpoint_every", "evaluate_every", "optimizer_options"}
    names = set(inspect.signature(train).parameters) | elsewhere
    assert set(vars(Settings())) <= names
    assert set(inspect.signature(in_python).parameters) - {"table", "options", "texts", "shares"} <= set(
        inspect.signature(select).parameters
    )


def test_seeds() -> None:
    assert parse_seeds("0-4") == [0, 1, 2, 3, 4]
    assert parse_seeds("7,1-2") == [7, 1, 2]


def test_options() -> None:
    assert parse_options(["hidden=[64,64]", "analyzer=char", "lr=0.1"], "--option") == {
        "hidden": [64, 64], "analyzer": "char", "lr": 0.1,
    }  # fmt: skip
