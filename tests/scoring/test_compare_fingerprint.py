"""Fingerprints: slow twins, honest held-out accuracy, files, refusals, the section, real runs on the digits."""

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from references.fingerprint_slow import fit_slow, leave_one_out_slow
from scipy import stats

from scoring.compare.fingerprints.centroids import Centroids
from scoring.compare.fingerprints.fingerprint import Fingerprint, fingerprint
from scoring.compare.fingerprints.held_out_runs import (
    chosen_in_folds,
    folds,
    on_held_out_runs,
    read,
    sums_of,
    wilson,
)
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sections.fingerprint import section
from scoring.compare.sensitive.examples import null, sensitive
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.manifest import plain
from scoring.plots.fingerprint import fingerprint_figure
from scoring.plots.style import save
from scoring.run import score
from scoring.table import ScoreTable
from training.run import train


def world(seed=0, runs=(6, 5, 4), telling=8, shift=3.0, examples=60, meaning="hard"):
    """``telling`` examples are shifted for one architecture each, in turn."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=examples)
    values = {}
    for number, (name, count) in enumerate(zip(("mlp", "cnn", "linear"), runs)):
        values[name] = base + 0.5 * rng.normal(size=(count, examples))
        values[name][:, number : telling : len(runs)] += shift
    return RunScores.of_arrays({"el2n": values}, {"el2n": meaning}, ids=np.arange(examples) + 1000)


def arrays(scores, score="el2n"):
    return [scores.values(score, name) for name in scores.architectures]


@pytest.mark.parametrize(("seed", "runs"), [(0, (4, 3, 3)), (1, (2, 2)), (2, (5, 3))])
def test_held_out_runs_are_the_slow_ones(seed, runs):
    scores = world(seed, runs, shift=1.0, examples=25)
    slow = leave_one_out_slow(arrays(scores), 8)
    found = on_held_out_runs(scores, "el2n", most=8)
    assert found.sizes == (1, 2, 3, 5, 8)
    assert len(found.runs) == sum(runs)
    for run in found.runs:
        said = slow[run.architecture, run.run]
        assert run.predicted_K.tolist() == [said[size - 1] for size in found.sizes]


def test_the_fingerprint_is_fitted_on_all_runs():
    scores = world(3)
    found = fingerprint(scores, "el2n", reach=1.0)
    rows, centroids, scale = fit_slow(arrays(scores), len(found))
    assert found.ids.tolist() == [1000 + row for row in rows]
    np.testing.assert_allclose(found.mean_AK, centroids)
    np.testing.assert_allclose(found.scale_K, scale)


def test_precision_does_not_suffer_from_large_values():
    scores = world(4)
    far = RunScores.of_arrays({"el2n": {n: scores.values("el2n", n) + 1e6 for n in scores.architectures}})
    for one, two in zip(on_held_out_runs(scores, "el2n").runs, on_held_out_runs(far, "el2n").runs):
        np.testing.assert_array_equal(one.predicted_K, two.predicted_K)


def test_without_a_difference_held_out_accuracy_is_chance():
    balanced = [
        on_held_out_runs(world(seed, (5, 5), telling=0), "el2n", most=5, held_out=1).accuracy_K.mean()
        for seed in range(40)
    ]
    assert np.mean(balanced) == pytest.approx(0.5, abs=0.08)
    right = [
        on_held_out_runs(world(seed, (5, 5), telling=0), "el2n", most=5).accuracy_K.mean()
        for seed in range(20)
    ]
    assert 0.25 < np.mean(right) < 0.5


def test_choosing_the_score_in_every_fold_stays_at_chance_without_a_difference():
    best, honest = [], []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        scores = RunScores.of_arrays({f"s{i}": {a: rng.normal(size=(5, 40)) for a in "ab"} for i in range(6)})
        each = [on_held_out_runs(scores, name, most=3) for name in scores.scores]
        best.append(max(one.accuracy_K[0] for one in each))
        honest.append(chosen_in_folds(each).accuracy_K[0])
    assert np.mean(best) > 0.62
    assert np.mean(honest) < 0.58


def test_the_score_that_separates_is_chosen():
    rng = np.random.default_rng(0)
    scores = world(5)
    noise = {name: rng.normal(size=scores.values("el2n", name).shape) for name in scores.architectures}
    signal = {name: scores.values("el2n", name) for name in scores.architectures}
    both = RunScores.of_arrays({"noise": noise, "el2n": signal})
    found = fingerprint(both)
    assert found.score == "el2n" and found.accuracy["accuracy"] == 1.0
    assert found.accuracy["score"] == "chosen in every fold"


def test_one_run_left_of_each_architecture_still_tells():
    found = on_held_out_runs(world(0, (2, 2)), "el2n", held_out=1)
    assert len(found.runs) == 4 and found.accuracy_K[-1] == 1
    noise = on_held_out_runs(world(0, (2, 2), telling=0), "el2n", held_out=1)
    assert len(noise.runs) == 4


def test_folds_hold_every_run_out_once():
    scores = world(0, (5, 4, 3))
    for held_out in (None, 1, 2):
        seen = [
            (a, run)
            for fold in folds(scores, held_out, 0)
            for a, runs in fold.items()
            for run in runs.tolist()
        ]
        assert sorted(seen) == [(a, r) for a, n in enumerate((5, 4, 3)) for r in range(n)]
    assert [len(fold) for fold in folds(scores, 2, 0)] == [3, 3, 1]
    found = on_held_out_runs(scores, "el2n", held_out=2)
    assert len(found.runs) == 12 and found.accuracy_K[-1] == 1


def test_wilson_ends_are_where_the_score_test_just_accepts():
    for right, total in ((0, 10), (7, 10), (30, 30), (1, 2)):
        for end, extreme in zip(wilson(right, total), (0, 1)):
            if end == extreme:
                assert right == extreme * total
            else:
                z = (right / total - end) / np.sqrt(end * (1 - end) / total)
                assert abs(z) == pytest.approx(stats.norm.ppf(0.975), abs=1e-9)


def test_ranks_ignore_the_level_that_values_see():
    rng = np.random.default_rng(0)
    base = rng.normal(size=80)
    values = {name: base + shift + 0.3 * rng.normal(size=(6, 80)) for name, shift in (("a", 0), ("b", 2))}
    scores = RunScores.of_arrays({"loss": values})
    assert on_held_out_runs(scores, "loss", of="values").accuracy_K[0] == 1
    assert on_held_out_runs(scores, "loss", of="ranks").accuracy_K.mean() < 0.8


def test_constant_scores_name_the_first_and_break_nothing():
    scores = RunScores.of_arrays({"flat": {"a": np.ones((3, 5)), "b": np.ones((3, 5))}})
    found = on_held_out_runs(scores, "flat")
    assert found.accuracy_K.tolist() == [0.5] * len(found.sizes)
    assert np.isfinite(fingerprint(scores).scale_K).all()


# --- files and predictions


def table_of(scores, architecture, meaning="hard", **info):
    values = scores._read("el2n", architecture)
    columns = {"id": pa.array(scores.ids), "el2n": pa.array(values.mean(axis=0))}
    described = {"el2n": {"meaning": meaning}}
    for run, row in enumerate(values):
        columns[f"el2n.run{run}"] = pa.array(row)
        described[f"el2n.run{run}"] = {"role": "run", "parent": "el2n"}
    return ScoreTable(
        pa.table(columns), described, {"runs": [f"seed-{r}" for r in range(len(values))], **info}
    )


@pytest.mark.parametrize("of", ["values", "ranks"])
@pytest.mark.parametrize("meaning", ["hard", "easy"])
def test_saved_and_applied_to_new_runs(of, meaning, tmp_path):
    old, new = world(0, meaning=meaning), world(0, (9, 9, 9), meaning=meaning)
    made = fingerprint(old, of=of, reach=1.0)
    path = made.save(tmp_path / "f.json")
    known = Fingerprint.read(path)
    assert known.save(tmp_path / "g.json").read_bytes() == path.read_bytes()
    for name in new.architectures:
        said = known.predict(table_of(new, name, meaning))
        assert [each.run for each in said] == [f"seed-{r}" for r in range(9)]
        assert sum(each.architecture == name for each in said) >= (9 if of == "values" else 7)
        for each in said:
            assert each.margin >= 0 and each.distances[each.architecture] == min(each.distances.values())
    shuffled = np.random.default_rng(0).permutation(len(new))
    table = table_of(new, "cnn", meaning)
    turned = table.take(table.ids[shuffled])
    for one, two in zip(known.predict(table), known.predict(turned)):
        assert one.distances == pytest.approx(two.distances)
    assert len(known.predict(new)) == 27
    written = table.write(tmp_path / "t.parquet")
    assert known.predict(written) == known.predict(table)


def test_values_need_the_examples_of_the_fingerprint_alone():
    scores = world(0)
    made = fingerprint(scores, reach=1.0)
    part = table_of(scores, "linear").take(made.ids)
    assert {each.architecture for each in made.predict(part)} == {"linear"}
    rows = np.asarray(made.ids) - 1000
    said = made.predict(scores.values("el2n", "mlp")[:, rows])
    assert [each.architecture for each in said] == ["mlp"] * 6
    assert made.predict(scores.values("el2n", "mlp")[0, rows])[0] == said[0]
    with pytest.raises(InputError, match="all 60"):
        fingerprint(scores, of="ranks").predict(part)


def test_margin_by_hand():
    made = Fingerprint(
        "s", "hard", "values", ("a", "b"), np.array([1, 2]), np.array([[0.0, 0.0], [2.0, 4.0]]), np.array([1.0, 2.0]),
        5, None, {},
    )  # fmt: skip
    said = made.predict([0.0, 2.0])[0]
    assert said.architecture == "a"
    assert said.distances == pytest.approx({"a": math.sqrt(0.5), "b": math.sqrt(2.5)})
    assert said.margin == pytest.approx(2.0)


def test_what_does_not_fit_is_refused_in_one_sentence(tmp_path):
    scores = world(0)
    scores.fingerprint = "1-a"
    made = fingerprint(scores, reach=1.0)
    table = table_of(scores, "mlp")
    cases = [
        (table_of(scores, "mlp", fingerprint="1-b"), "other data or a part"),
        (table_of(scores, "mlp", meaning="easy"), "whose high means 'hard'"),
        (table.rename({"el2n": "loss"}), "score must be one of loss"),
        (table.take([i for i in table.ids if i != made.ids[0]]), "that are not there"),
        ([[1.0]] if len(made) != 1 else [[1.0, 2.0]], "in the order of ids"),
        (np.full(len(made), np.nan), "NaN or infinite"),
    ]
    for given, words in cases:
        with pytest.raises(InputError, match=words) as error:
            made.predict(given)
        assert "\n" not in str(error.value)
    changed = made.predict(table_of(scores, "mlp", fingerprint="1-b"), allow_changed_data=True)
    assert {each.architecture for each in changed} == {"mlp"}


def test_damaged_files_are_refused(tmp_path):
    path = fingerprint(world(0)).save(tmp_path / "f.json")
    whole = json.loads(path.read_text())
    broken = {
        "holds none": {"kind": "other"},
        "format must be 1": whole | {"format": 2},
        "parts are missing": {k: v for k, v in whole.items() if k != "scales"},
        "missing or wrong": whole | {"scales": [1.0, 2.0, 3.0] * 30},
    }
    for words, content in broken.items():
        path.write_text(json.dumps(content))
        with pytest.raises(InputError, match=words):
            Fingerprint.read(path)
    path.write_text("no json")
    with pytest.raises(InputError, match="holds none"):
        Fingerprint.read(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        Fingerprint.read(tmp_path / "nowhere.json")


@pytest.mark.parametrize(
    ("runs", "options", "words"),
    [
        ((5,), {}, "architectures must be at least 2"),
        ((5, 1), {}, "at least 2 of every"),
        ((5, 3), {"held_out": 3}, "between 1 and 2"),
        ((5, 3), {"reach": 1.5}, "reach must be"),
        ((5, 3), {"most": 0}, "most must be"),
        ((5, 3), {"of": "rank"}, "'values' or 'ranks'"),
        ((5, 3), {"score": "loss"}, "one of el2n"),
    ],
)
def test_errors(runs, options, words):
    with pytest.raises(InputError, match=words):
        fingerprint(world(0, runs), **options)


def test_infinite_values_ask_for_ranks():
    scores = world(0)
    values = {name: np.array(scores.values("el2n", name)) for name in scores.architectures}
    values["mlp"][0, 0] = np.inf
    bad = RunScores.of_arrays({"loss": values})
    with pytest.raises(InputError, match="use of='ranks'"):
        fingerprint(bad)
    assert fingerprint(bad, of="ranks", reach=1.0).accuracy["accuracy"] == 1
    said = section(bad, Request())
    assert any("so ranks are used" in sentence for sentence in said.sentences)
    mixed = RunScores.of_arrays({"loss": values, "el2n": {n: scores.values("el2n", n) for n in values}})
    assert any("without loss" in sentence for sentence in section(mixed, Request()).sentences)


# --- the section


def test_section_answers_and_can_be_read_as_a_fingerprint(tmp_path):
    scores = world(0)
    found = section(scores, Request())
    assert "tell mlp, cnn, linear apart: right for" in found.sentences[0]
    assert "of 15 held-out runs" in found.sentences[0] and "40 % by chance" in found.sentences[0]
    assert found.document["confusion"]["mlp"]["mlp"] == 6
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({"kind": "comparison", "sections": {"fingerprint": plain(found.document)}}))
    assert {each.architecture for each in Fingerprint.read(path).predict(table_of(scores, "cnn"))} == {"cnn"}
    first, second = (
        save(found.figures["fingerprint"](), tmp_path / f"{i}.png").read_bytes() for i in range(2)
    )
    assert first == second


def test_section_says_why_a_score_was_chosen_that_needs_more_examples():
    rng = np.random.default_rng(0)
    line, split = ({a: np.empty((5, 40)) for a in "abc"} for _ in range(2))
    for k, a in enumerate("abc"):
        line[a] = k + 0.1 * rng.normal(size=(5, 40))
        split[a] = (np.arange(40) % 2 == k) + 0.001 * rng.normal(size=(5, 40))
    both = section(RunScores.of_arrays({"line": line, "split": split}), Request())
    assert both.document["fingerprint"]["score"] == "split"
    assert len(both.document["fingerprint"]["ids"]) > 1
    assert both.sentences[0].endswith(
        "split is used, since its examples set the architectures apart most clearly, though 1 of 2 scores, "
        "by narrower margins, needs fewer."
    )
    clear = section(
        RunScores.of_arrays({"line": line, "noise": {a: rng.normal(size=(5, 40)) for a in line}}), Request()
    )
    assert clear.sentences[0].endswith(
        "line is used, since its examples set the architectures apart most clearly."
    )


def test_section_claims_nothing_of_noise():
    """The best of many sizes, in folds that share runs, was better than chance by its interval in a quarter of them."""
    claims = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        noise = RunScores.of_arrays({"s": {a: rng.normal(size=(5, 200)) for a in "ab"}})
        claims += "surely better than chance" not in section(noise, Request()).sentences[0]
    assert claims <= 3


def test_section_is_honest_about_chance_and_about_too_little():
    chance = section(world(0, (5, 5), telling=0), Request())
    assert "surely better than chance" in chance.sentences[0]
    some = section(world(11, (9, 9), telling=60, shift=0.5), Request())
    assert "do not name 95 %" in some.sentences[0]


@pytest.mark.parametrize(
    ("runs", "held_out", "words"),
    [((4,), None, "one architecture"), ((4, 1), None, "two runs each"), ((4, 3), 3, "ask for at most 2")],
)
def test_section_says_why_not(runs, held_out, words):
    found = section(world(0, runs), Request(held_out=held_out))
    assert len(found.sentences) == 1 and words in found.sentences[0] and not found.listings


def test_section_leaves_single_runs_out():
    found = section(world(0, (4, 4, 1)), Request())
    assert any(sentence.startswith("linear took no part") for sentence in found.sentences)


def test_figure_refuses_other_shapes():
    with pytest.raises(InputError, match="2 rows"):
        fingerprint_figure({"a": [1.0]}, [1], ([0.5], [1.0]), 0.5, np.zeros((3, 1)), ("a", "b"))


def test_separation_is_that_of_the_nearest_pair():
    even, odd, _ = sums_of(read(world(0), "el2n", "values"))
    few = Centroids.of(even.plus(odd)).only(np.arange(4))
    by_hand = min(
        (((few.mean_AN[a] - few.mean_AN[b]) / few.scale_N) ** 2).mean() for a, b in ((0, 1), (0, 2), (1, 2))
    )
    assert few.separation() == pytest.approx(by_hand)


# --- real runs


@pytest.fixture(scope="module")
def digits_runs(tmp_path_factory):
    """Ten runs each of a linear model, a 64-hidden MLP and a 3x64 MLP on the digits, 30 epochs."""
    folder, examples = tmp_path_factory.mktemp("digits"), Examples.load("digits")
    kinds = {
        "linear": ("linear", {}),
        "mlp": ("mlp", {"hidden": [64]}),
        "deep": ("mlp", {"hidden": [64, 64, 64]}),
    }
    for name, (model, options) in kinds.items():
        train(
            examples, model, out=folder / name, seeds=range(10), epochs=30, record=True, clean_every="1 epoch",
            checkpoint_every="never", model_options=options, progress=False,
        )  # fmt: skip
        score(
            examples,
            "loss@mean,el2n@mean,entropy@mean",
            folder / name,
            out=folder / f"{name}.parquet",
            per_run=True,
        )
    return RunScores.of_tables({name: folder / f"{name}.parquet" for name in kinds})


@pytest.mark.slow
def test_digits_sensitive_examples(digits_runs):
    for name in digits_runs.scores:
        found = sensitive(digits_runs, name, "mlp", "linear").count()
        own = [null(digits_runs, name, kind) for kind in digits_runs.architectures]
        print(name, found, [(each.median, each.most) for each in own])
        assert found >= 200
        assert all(each.median == 0 and each.most <= 25 for each in own)


@pytest.mark.slow
def test_digits_fingerprints(digits_runs):
    two = digits_runs.only(None, ["mlp", "linear"])
    for of in ("values", "ranks"):
        for name in two.scores:
            size = on_held_out_runs(two, name, of=of, most=10).fewest(0.95)
            print(of, name, size)
            assert size is not None and size <= 10
        made = fingerprint(digits_runs, of=of)
        print(of, made.score, len(made), made.accuracy["accuracy"])
        assert len(made) <= 10 and made.accuracy["accuracy"] >= (0.95 if of == "values" else 0.9)
