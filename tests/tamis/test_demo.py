"""The demo: a small one checks files, words and resuming; the full one, slow, the findings themselves."""

import csv
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

pytest.importorskip("matplotlib")

from tamis.cli import app
from tamis.demo import CLEAN, NOISY, Recipe, run_demo
from tamis.demo_report import FIGURES
from tamis.demo_words import sections
from training.studies.paired import Difference

FILES = ("report.md", "summary.json", "scores.csv", "pruning.csv", *FIGURES)
SMALL = Recipe(seeds=(0, 1), retrain_seeds=(5, 6), epochs=2, steps=20, keeps=(0.3, 0.1))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo")
    return run_demo(out, show_progress=False, recipe=SMALL), out


def text(findings) -> str:
    return "\n".join(line for _, lines in sections(findings, "out") for line in lines)


def test_all_files_are_written_and_agree(small):
    findings, out = small
    assert all((out / name).stat().st_size > 0 for name in FILES)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["flipped"] == findings.flipped == 120
    assert [row["auroc"] for row in summary["detection"]] == [each.auroc for each in findings.detection]
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["score"] for row in rows] == [each.name for each in findings.detection]
    assert float(rows[0]["AUROC"]) == findings.detection[0].auroc
    with (out / "pruning.csv").open() as file:
        runs = list(csv.DictReader(file))
    assert len(runs) == 2 * (4 * 2 + 1) * 2
    assert {row["data"] for row in runs} == {CLEAN, NOISY}
    report = (out / "report.md").read_text()
    assert all(f"({name})" in report for name in FIGURES)
    assert not re.search(r"\bnan\b", report.lower())


def test_every_comparable_scorer_takes_part(small):
    from scoring.catalog import make_scorer, scorers_of_runs
    from scoring.meaning import HARD_WHEN_HIGH

    findings, _ = small
    shown = {*findings.same_order, *(name for others in findings.same_order.values() for name in others)}
    expected = {
        name for name in scorers_of_runs() if make_scorer(name).meaning in (*HARD_WHEN_HIGH, "arbitrary")
    }
    assert expected <= shown


def test_a_second_call_trains_nothing_and_finds_the_same(small, capsys):
    findings, out = small
    runs = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("run.json")}
    assert len(runs) == 2 * 2 + 2 * 9 * 2
    figures = {name: (out / name).read_bytes() for name in FIGURES}
    again = run_demo(out, show_progress=True, recipe=SMALL)
    assert all(path.stat().st_mtime_ns == time for path, time in runs.items())
    assert {name: (out / name).read_bytes() for name in FIGURES} == figures
    assert text(again) == text(findings)
    printed = capsys.readouterr()
    assert "4/4" in printed.err
    for words in ("Scores", "Where hardest-first fails", "Written to", "el2n"):
        assert words in printed.out


def test_other_recipes_do_not_mix_with_finished_runs(small):
    _, out = small
    with pytest.raises(ValueError, match="out"):
        run_demo(out, show_progress=False, recipe=replace(SMALL, epochs=3))


def test_words_follow_the_numbers(small):
    findings, _ = small

    def with_difference(low: float, high: float):
        cells = {
            name: [
                replace(each, against_random=Difference((low + high) / 2, low, high, 3))
                if each.against_random
                else each
                for each in each_data
            ]
            for name, each_data in findings.outcomes.items()
        }
        return text(replace(findings, outcomes=cells))

    good = with_difference(0.01, 0.03)
    assert good.count("at no share tried is it measurably worse than random") == 2 and "(better)" in good
    bad = with_difference(-0.30, -0.10)
    assert bad.count("it is worse than random at 30% and 10%, by 20 points") == 2 and "(worse)" in bad
    unsure = with_difference(-0.01, 0.03)
    assert "(cannot tell)" in unsure and "(better)" not in unsure and "(worse)" not in unsure
    assert "50% of the hardest 10%" in text(replace(findings, flips_kept={0.1: 0.5}))


def test_json_is_the_summary_and_nothing_else(small, monkeypatch: pytest.MonkeyPatch):
    _, out = small
    monkeypatch.setattr("tamis.demo.Recipe", lambda: SMALL)
    done = CliRunner().invoke(app, ["demo", "--out", str(out), "--json", "--quiet"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["flipped"] == 120


@pytest.mark.slow
def test_the_full_demo_shows_the_published_pattern(tmp_path: Path):
    code = "from tamis.cli import main; main()"
    subprocess.run([sys.executable, "-c", code, "demo", "--out", str(tmp_path), "--quiet"], check=True)
    summary = json.loads((tmp_path / "summary.json").read_text())
    mean = {
        (name, each["take"], round(each["keep"], 3)): each["mean"]
        for name, cells in summary["outcomes"].items()
        for each in cells
    }
    assert mean[CLEAN, "hardest", 0.5] >= mean[CLEAN, "random", 0.5]
    assert mean[CLEAN, "hardest", 0.3] >= mean[CLEAN, "random", 0.3]
    assert mean[CLEAN, "hardest", 0.1] < mean[CLEAN, "random", 0.1]
    assert all(mean[CLEAN, "easiest", keep] < mean[CLEAN, "random", keep] for keep in (0.5, 0.3, 0.1))
    assert mean[NOISY, "hardest", 0.3] < mean[NOISY, "random", 0.3] - 0.2
    assert mean[NOISY, "hardest", 0.1] < 0.1
    auroc = {each["name"]: each["auroc"] for each in summary["detection"]}
    assert min(auroc[name] for name in ("loss", "el2n", "aum")) >= 0.99
    assert 0.70 <= auroc["entropy"] <= 0.80
