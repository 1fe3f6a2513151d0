"""The report of a study: counts against the planted truth, intervals against scipy, missing cells, odd names."""

import csv
import json
import math
import re

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from scoring.errors import InputError
from training.studies.paired import Difference, paired_difference
from training.studies.reporting.cautions import cautions
from training.studies.reporting.comparisons import compare_with_random, count, holm, interval_of_mean, p_value
from training.studies.reporting.regimes import disagreements
from training.studies.reporting.report import study_tables, summarise, write_report
from training.studies.reporting.results import Results
from training.studies.reporting.sizes import size_section
from training.studies.table import SCHEMA, write_table

WAYS = ("hardest by el2n", "easiest by el2n")


def rows_of(value, *, ways=WAYS, budgets=("50%", "10%"), seeds=(0, 1, 2), variants=("clean",), models=("m",),
            regimes=("100 steps",), splits=("test",), metric="accuracy", steps=(100,)):  # fmt: skip
    """Rows of a run table: ``value(way, budget, seed, variant, regime)`` at the end, less before."""
    rows = []
    for seed in seeds:
        for variant in variants:
            for model in models:
                for regime in regimes:
                    cells = [("all", None)]
                    cells += [(way, b) for way in ("random", "stratified random", *ways) for b in budgets]
                    for way, budget in cells:
                        keep = 1.0 if budget is None else float(budget[:-1]) / 100
                        cell = {
                            "study": "pruning", "variant": variant, "model": model, "regime": regime, "way": way,
                            "take": way.split()[0], "budget": budget, "seed": seed, "run": f"runs/{len(rows)}",
                            "keep": keep, "rows": round(1000 * keep), "N": 10.0, "epochs": 10.0, "steps": steps[-1],
                            "group": "", "metric": metric,
                        }  # fmt: skip
                        for step in steps:
                            at = value(way, budget, seed, variant, regime) * step / steps[-1]
                            rows += [{**cell, "step": step, "split": split, "value": at} for split in splits]
    return rows


def results_of(rows, about=None, **asked):
    return Results.of(pa.Table.from_pylist(rows, schema=SCHEMA), about or {}, **asked)


def grouped(rows, classes, split, metric, value):
    """The same cells with a value per class."""
    return [
        {**row, "group": f"class:{name}", "split": split, "metric": metric, "value": value(row, name)}
        for row in rows if row["step"] == row["steps"]
        for name in classes
    ]  # fmt: skip


def written(folder, rows, about=None, **options):
    write_table(folder / "study.parquet", rows)
    if about is not None:
        (folder / "study.json").write_text(json.dumps(about))
    return write_report(folder, **options)


def test_p_values_are_those_of_the_paired_t_test_and_agree_with_the_interval():
    rng = np.random.default_rng(0)
    for seeds in (3, 5, 10):
        cells = [(way, budget) for way in ("random", *WAYS) for budget in ("50%", "10%")]
        values = {cell: rng.normal(size=seeds) for cell in cells}
        rows = rows_of(
            lambda way, budget, seed, *_, v=values: v.get((way, budget), [0.0] * 10)[seed], seeds=range(seeds)
        )
        found = compare_with_random(results_of(rows))
        assert len(found) == 4
        for each in found:
            outcome = each.outcome
            mine, other = values[outcome.way, outcome.budget], values["random", outcome.budget]
            assert each.p == pytest.approx(stats.ttest_rel(mine, other).pvalue, rel=1e-9)
            assert (each.p < 0.05) == (each.verdict != "cannot tell")
            low, high = stats.t.interval(0.95, seeds - 1, outcome.mean, stats.sem(mine))
            assert interval_of_mean(outcome) == pytest.approx((low, high))


def test_holm_is_the_step_down_of_its_definition():
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    rng = np.random.default_rng(1)
    p = rng.random(30) ** 4
    rejected = set()
    for rank, place in enumerate(np.argsort(p)):
        if p[place] >= 0.05 / (30 - rank):
            break
        rejected.add(int(place))
    assert {place for place, q in enumerate(holm(p)) if q < 0.05} == rejected


def test_under_the_null_as_many_are_called_as_chance_calls():
    rng = np.random.default_rng(2)
    ways = tuple(f"way {number}" for number in range(30))
    called = tested = adjusted = 0
    for _ in range(6):
        rows = rows_of(lambda *_: rng.normal(), ways=ways, budgets=("50%", "30%", "10%"), seeds=range(4))
        counts = count(compare_with_random(results_of(rows)))
        assert counts.by_chance == pytest.approx(0.05 * counts.tested)
        called, tested = called + counts.better + counts.worse, tested + counts.tested
        adjusted += counts.better_holm + counts.worse_holm
    assert tested == 540
    # 27 are expected; those of one budget share a random share, so the spread is wider than binomial.
    assert 10 <= called <= 50
    assert adjusted <= 2


def test_a_planted_difference_is_called_where_it_is_and_nowhere_else():
    rng = np.random.default_rng(3)

    def value(way, budget, seed, variant, regime):
        shift = {("hardest by el2n", "50%"): 0.1, ("hardest by el2n", "10%"): -0.2}.get((way, budget), 0.0)
        return 0.7 + 0.01 * seed + shift + rng.normal(0, 1e-4) * (way != "easiest by el2n")

    summary = summarise(results_of(rows_of(value, seeds=range(5))), figures=False)
    sentence = summary.sentences[0]
    assert sentence.startswith("Better than random: hardest by el2n at 50%.")
    assert "hardest by el2n at 10%" in sentence.partition("Worse than random:")[2]
    assert (summary.counts.better_holm, summary.counts.worse_holm) == (1, 1)
    assert "of 4 would be called by chance" in summary.sentences[1]


def test_of_a_loss_the_lower_is_better():
    rows = rows_of(lambda way, *_: 1.0 if way == "hardest by el2n" else 2.0, metric="loss")
    found = {each.outcome.way: each.verdict for each in compare_with_random(results_of(rows))}
    assert found == {"hardest by el2n": "better", "easiest by el2n": "cannot tell"}


def test_reports_of_what_was_added_speak_of_it_and_give_no_sigma(tmp_path):
    rng = np.random.default_rng(2)
    rows = [{**row, "study": "augmentation"} for row in rows_of(lambda *_: rng.random())]
    rows += grouped(rows, ("b", "c"), "test", "accuracy", lambda *_: rng.random())
    chosen = [row for row in rows if row["way"] != "all"]
    rows += grouped(
        chosen, ("b", "c"), "train", "representation", lambda row, name: -1.0 if name == "b" else 1.0
    )
    written(tmp_path, rows, {"kind": "augmentation"}, figures=False)
    told = (tmp_path / "report.md").read_text()
    assert "nothing was added of some class" in told and "what was added against its share" in told
    assert "nothing was kept" not in told and "; the labelled examples alone: " in told
    assert "data removed" not in told and "all: " not in told.partition("Worst class")[2].partition("\n")[0]


def test_sizes_are_compared_within_one_family():
    sizes = {"llama-8": 1e4, "mixtral-8-4x2": 3e4, "llama-16": 1e5}
    rng = np.random.default_rng(3)
    rows = rows_of(lambda *_: rng.random(), models=tuple(sizes), metric="loss", splits=("a", "b"))
    rows = [{**row, "study": "corpus", "N": sizes[row["model"]]} for row in rows]
    about = {
        "kind": "corpus",
        "study": {"models": {name: {"family": name.partition("-")[0]} for name in sizes}},
    }
    section = size_section(results_of(rows, about))
    assert {(row[2], row[3]) for row in section.listings[0].rows} == {("llama-8", "llama-16")}
    assert {row[2] for row in section.listings[1].rows} == {"llama-8", "llama-16"}
    assert section.sentences[1].startswith("Of mixtral-8-4x2 it cannot be told")


def test_differences_without_spread():
    assert 0.0499 < p_value(Difference(0.1, 0.1, 0.1, 3)) < 0.05
    assert p_value(Difference(0.1, 0.1 - 1e-17, 0.1 + 1e-17, 11)) == 2.0**-10
    assert p_value(Difference(0.0, 0.0, 0.0, 3)) == 1
    assert math.isnan(p_value(Difference(0.1, -math.inf, math.inf, 1)))
    assert math.isnan(p_value(Difference(0.1, 0.05, 0.15, 2)))
    assert math.isnan(p_value(None))


def test_holm_holds_where_accuracies_come_in_steps():
    """30 ways that do not differ, on a test set so coarse that seeds often agree to the last digit."""
    rng = np.random.default_rng(0)
    called = 0
    for _ in range(200):
        steps = np.round(rng.normal(size=(30, 3))) / 100
        p_N = [p_value(paired_difference(0.5 + each, [0.5] * 3)) for each in steps]
        called += bool((holm(np.array(p_N)) < 0.05).any())
    assert called <= 0.05 * 200


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_few_seeds_give_no_verdict_anywhere(seeds, tmp_path):
    rng = np.random.default_rng(4)
    summary = written(tmp_path, rows_of(lambda *_: rng.normal(), seeds=seeds), figures=len(seeds) == 1)
    assert summary.counts.tested == 0 and summary.counts.untested == 4
    assert summary.sentences == ["No verdicts: they need 3 seeds or more with finite values."]
    assert any("Verdicts need 3" in each for each in summary.cautions)
    cells = [cell for listing in summary.listings for row in listing.rows for cell in row[1:]]
    assert not [cell for cell in cells if re.search("better|worse|cannot|[sa][+-]", str(cell))]
    assert ("±" in str(cells[0])) == (len(seeds) > 1)


def test_missing_cells_are_counted_and_named():
    rows = rows_of(lambda *_: 0.5)
    complete = len({(row["way"], row["budget"], row["seed"]) for row in rows})
    gone = [
        row
        for row in rows
        if not (row["way"] == "hardest by el2n" and row["budget"] == "10%" and row["seed"] == 1)
    ]
    found = cautions(results_of(gone, {"cells": complete}))
    assert any(
        f"1 of {complete} cells are missing" in each and "hardest by el2n / 10% / seed 1" in each
        for each in found
    )
    assert any("Not every mean is of all 3 seeds" in each for each in found)
    assert cautions(results_of(rows, {"cells": complete})) == []
    # A whole model that failed cannot be named from the table, its number can.
    found = cautions(results_of(rows, {"cells": 2 * complete}))
    assert [each for each in found if f"{complete} of {2 * complete} cells" in each and "/ seed" not in each]


def test_values_that_are_not_finite_have_no_verdict_and_a_caution(tmp_path):
    def value(way, budget, seed, *_):
        return math.nan if way == "hardest by el2n" and seed == 2 else 0.5 + 0.01 * seed

    summary = written(tmp_path, rows_of(value), figures=False)
    assert (summary.counts.tested, summary.counts.untested) == (2, 2)
    assert any("not finite in 2 of" in each for each in summary.cautions)
    with (tmp_path / "outcomes.csv").open(encoding="utf-8") as file:
        bad = [row for row in csv.DictReader(file) if row["way"] == "hardest by el2n"]
    assert {row["mean"] for row in bad} == {"nan"} and {row["sd"] for row in bad} == {"nan"}


def test_regimes_that_disagree_are_listed():
    def value(way, budget, seed, variant, regime):
        shift = 0.1 if regime == "100 steps" else -0.1
        return 0.5 + shift * (way == "hardest by el2n" and budget == "10%")

    results = results_of(rows_of(value, regimes=("100 steps", "10 epochs")))
    compared, changed = disagreements(results, compare_with_random(results))
    assert compared == 4
    assert [(each.way, each.budget, each.verdicts, each.turned) for each in changed] == [
        ("hardest by el2n", "10%", {"steps": "better", "epochs": "worse"}, True)
    ]
    report = summarise(results, figures=False).report
    section = next(each for each in report.sections if each.name == "regimes")
    assert section.sentences[0].startswith("Between equal steps and equal epochs, 1 of 4 verdicts")
    assert section.title == "Equal steps or equal epochs?"


def test_regimes_of_variants_of_other_sizes_are_one_regime():
    rows = rows_of(lambda *_: 0.5, variants=("clean",), regimes=("100 steps", "10 epochs"))
    rows += rows_of(lambda *_: 0.5, variants=("small",), regimes=("60 steps", "10 epochs"))
    assert set(results_of(rows).regimes.values()) == {"steps", "epochs"}
    rows += rows_of(lambda *_: 0.5, variants=("small",), regimes=("30 steps",))
    assert set(results_of(rows).regimes.values()) == {"100 steps", "60 steps", "30 steps", "10 epochs"}


def test_the_worst_class_is_taken_seed_by_seed_and_lost_classes_are_named(tmp_path):
    rows = rows_of(lambda way, *_: 0.2 if way == "hardest by el2n" else 0.6)
    per_class = {"a": 0.9, "b": 0.3, "c": 0.6}
    groups = grouped(
        rows, per_class, "test", "accuracy", lambda row, name: per_class[name] - 0.3 * (row["way"] == WAYS[0])
    )
    lost = grouped(
        rows, per_class, "train", "representation",
        lambda row, name: -1.0 if (row["way"], row["budget"], name) == (WAYS[0], "10%", "b") else 0.1,
    )  # fmt: skip
    summary = written(tmp_path, rows + groups + lost)
    sections = {each.name: each for each in summary.report.sections}
    assert "better in 0 and worse in 2 of 4" in sections["groups"].sentences[0]
    assert all(each["lowest_mean"] == "b" for each in sections["groups"].document["test/class"])
    assert [each["classes"] for each in sections["collapse"].document["lost"]] == [["b"]]
    assert sections["collapse"].document["lost"][0]["way"] == WAYS[0]
    # 1 / 3 by chance: .2 lies below it, .6 above.
    assert len(sections["collapse"].document["at_chance"]) == 2
    assert (tmp_path / "representation-clean.png").is_file()


def test_planted_rows_are_told_where_there_are_any():
    rows = rows_of(lambda *_: 0.5, variants=("clean", "noisy"))
    share = {"all": 0.1, "random": 0.1, WAYS[0]: 0.4}
    planted = [
        {**row, "split": "train", "metric": "planted",
         "value": share.get(row["way"], 0.0) * (row["variant"] == "noisy")} for row in rows
    ]  # fmt: skip
    section = next(
        each
        for each in summarise(results_of(rows + planted), figures=False).report.sections
        if each.name == "planted"
    )
    assert len(section.listings) == 1
    assert "between 0.000" in section.sentences[0] and "0.400 (hardest by el2n" in section.sentences[0]
    assert "of all it is 0.100" in section.sentences[0]


def test_other_metrics_are_beside_the_first():
    rows = rows_of(lambda way, *_: 0.9 if way == WAYS[0] else 0.5)
    rows += rows_of(lambda way, *_: 0.9 if way == WAYS[0] else 0.5, metric="loss")
    summary = summarise(results_of(rows), figures=False)
    section = next(each for each in summary.report.sections if each.name == "metrics")
    assert section.document["loss"]["opposite"] == 2 and section.document["loss"]["worse"] == 2
    assert results_of(rows, metric="loss").metric == "loss"


def test_several_splits_without_classes(tmp_path):
    rng = np.random.default_rng(5)
    rows = rows_of(lambda *_: 3 + rng.normal(), splits=("wiki", "code"), metric="loss", steps=(50, 100))
    summary = written(tmp_path, rows)
    assert summary.counts.tested == 8 and len(summary.listings) == 2
    assert {"results.png", "differences.png", "training.png"} <= {path.name for path in summary.files}
    assert study_tables(tmp_path, split="code").counts.tested == 4
    with pytest.raises(InputError, match="split"):
        study_tables(tmp_path, split="cod")
    with pytest.raises(InputError, match="metric"):
        study_tables(tmp_path, metric="accuracy")


def test_equal_tables_give_equal_bytes_and_old_files_go(tmp_path):
    rng = np.random.default_rng(6)
    values = rng.normal(size=1000).tolist()
    make = iter(values)
    rows = rows_of(lambda *_: next(make), budgets=("10%",))
    files = written(tmp_path, rows, {"kind": "pruning", "study": {"data": {"name": "toy", "rows": 3}}}).files
    before = {path.name: path.read_bytes() for path in files}
    assert {path.name: path.read_bytes() for path in write_report(tmp_path).files} == before
    write_report(tmp_path, figures=False)
    assert not list(tmp_path.glob("*.png")) and (tmp_path / "study.parquet").is_file()


def test_names_of_all_kinds(tmp_path):
    ways = ("härdest | by `é` $x_1$ <b>", "困難 by スコア", "_under", "x" * 120 + "1", "x" * 120 + "2")
    rng = np.random.default_rng(7)
    rows = rows_of(lambda *_: rng.normal(), ways=ways, budgets=("10%",), variants=("a|b/../c", "数据"))
    rows += grouped(rows, ("b|c", "クラス"), "test", "accuracy", lambda *_: rng.normal())
    rows += grouped(rows[: len(rows) // 3], ("b|c", "クラス"), "train", "representation", lambda *_: 0.5)
    summary = written(tmp_path, rows)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert r"härdest \| by \`é\` \$x_1\$ &lt;b\>" in text
    assert all(path.parent == tmp_path for path in summary.files)
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) <= 1


def test_many_ways_are_several_figures():
    ways = tuple(f"way {number}" for number in range(30))
    sections = summarise(results_of(rows_of(lambda *_: 0.5, ways=ways))).report.sections
    names = {stem for section in sections for stem in section.figures}
    assert names == {f"results-part{n}" for n in (1, 2, 3)} | {"differences-part1", "differences-part2"}


def test_nothing_evaluated_and_only_all_examples(tmp_path):
    rows = [row for row in rows_of(lambda *_: 0.5) if row["way"] == "all"]
    summary = written(tmp_path, rows)
    assert summary.sentences == [
        "No way of choosing stands beside a random share of its size, so there is nothing to compare."
    ]
    with pytest.raises(InputError, match="nothing to compare"):
        results_of([{**row, "split": "train"} for row in rows])
    with pytest.raises(FileNotFoundError):
        write_report(tmp_path / "nowhere")


def test_a_budget_without_shares_and_all_values_equal(tmp_path):
    rows = [{**row, "keep": None, "rows": None} for row in rows_of(lambda *_: 0.5)]
    summary = written(tmp_path, rows)
    assert (summary.counts.better, summary.counts.worse, summary.counts.tested) == (0, 0, 4)
    assert (
        "Nothing is called better than random. Nothing is called worse than random." in summary.sentences[0]
    )


def test_what_chooses_nothing_is_a_line_and_no_comparison(tmp_path):
    rows = rows_of(lambda *_: 0.5, regimes=("100 steps", "compute of 100 steps"))
    pool = [{**row, "way": "whole pool", "budget": "100%"} for row in rows if row["way"] == "all"]
    rows = [{**row, "study": "augmentation"} for row in rows + pool]
    summary = written(tmp_path, rows)
    assert summary.counts.tested == 8 and summary.cautions == []
    assert (
        "the labelled examples alone: 0.500 ± 0.000; whole pool: 0.500 ± 0.000" in summary.listings[0].caption
    )
    assert summary.listings[0].header == ["way", "50%", "10%"]
    assert set(results_of(rows).regimes.values()) == {"steps", "compute"}
    assert "added, % of what the pool offers" in (results_of(rows).words.share)
