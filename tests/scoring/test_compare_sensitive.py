"""Sensitive examples: slow twins, SciPy, worlds with planted examples, edges, the section and its figures."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest
from references.difficulty_world import DifficultyWorld
from references.sensitive_slow import (
    benjamini_hochberg_slow,
    example_permutation_slow,
    normal_scores_slow,
    pooled_permutation_slow,
)
from scipy import stats

from scoring.compare.ranks import average_ranks
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sections.sensitive import section
from scoring.compare.sensitive.examples import Null, any_pair, null, pairs, sensitive
from scoring.compare.sensitive.multiple_testing import benjamini_hochberg, simes
from scoring.compare.sensitive.normal_scores import Level, normal_scores
from scoring.compare.sensitive.permutation import example_permutation, pooled_permutation, relabellings
from scoring.compare.sensitive.welch import Moments, hedges_g, welch
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.hashing import derive_seed
from scoring.manifest import plain
from scoring.plots.contact_sheet import contact_sheet
from scoring.plots.manhattan import manhattan
from scoring.plots.style import save


def draw(seed, runs=10, kind="plain", sensitive=0, examples=500):
    """A world of one score: plain, with ties, or with twice the noise in the second architecture."""
    world = DifficultyWorld(
        examples, {"a": runs, "b": runs}, {"loss": 0.9}, noise=0.5, sensitive=sensitive, shift=3.0
    )
    scores = world.draw(seed)
    a, b = (np.array(scores.values("loss", name)) for name in "ab")
    if "unequal" in kind:
        b += np.sqrt(0.75) * np.random.default_rng([seed, 1]).normal(size=b.shape)
    if "ties" in kind:
        a, b = (np.maximum(np.round(2 * each), -1) for each in (a, b))
    return RunScores.of_arrays({"loss": {"a": a, "b": b}})


# --- many tests at once


@pytest.mark.parametrize("seed", range(5))
def test_q_values_are_the_definition(seed):
    p = np.round(np.random.default_rng(seed).beta(0.5, 2, 60), 2)
    found = benjamini_hochberg(p)
    np.testing.assert_allclose(found, benjamini_hochberg_slow(p), atol=1e-12)


def test_q_values_are_statsmodels():
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    p = np.random.default_rng(0).random(200) ** 2
    np.testing.assert_allclose(benjamini_hochberg(p), multitest.multipletests(p, method="fdr_bh")[1])


def test_p_values_outside_their_range_are_refused():
    for wrong in ([0.1, np.nan], [0.1, 1.1], [[0.1]]):
        with pytest.raises(InputError, match="between 0 and 1"):
            benjamini_hochberg(wrong)


def test_simes_by_hand_and_of_a_single_test():
    np.testing.assert_allclose(simes([[0.01, 0.5], [0.04, 0.5], [0.9, 0.5]]), [0.03, 0.5])
    np.testing.assert_allclose(simes([[0.2, 0.7]]), [0.2, 0.7])


# --- Welch's t


@pytest.mark.parametrize(("a", "b"), [(2, 2), (3, 7), (10, 4)])
def test_welch_is_scipys(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(a, 50)), 0.5 + 3 * rng.normal(size=(b, 50))
    expected = stats.ttest_ind(x, y, equal_var=False).pvalue
    np.testing.assert_allclose(welch(Moments.of(x), Moments.of(y)), expected, rtol=1e-9)
    cut = welch(Moments.of(x), Moments.of(y), least=1.96)
    np.testing.assert_allclose(cut[expected < 0.05], expected[expected < 0.05], rtol=1e-9)


def test_without_variance_welch_knows_equal_from_different():
    x, y = np.tile([1.0, 1.0, 2.0], (3, 1)), np.tile([1.0, 5.0, 2.0], (4, 1))
    one, two = Moments.of(x), Moments.of(y)
    np.testing.assert_array_equal(welch(one, two), [1, 0, 1])
    np.testing.assert_array_equal(hedges_g(one, two), [0, -np.inf, 0])


def test_hedges_g_has_no_bias_with_few_runs():
    rng = np.random.default_rng(0)
    x, y = 0.8 + rng.normal(size=(4, 200_000)), rng.normal(size=(5, 200_000))
    assert hedges_g(Moments.of(x), Moments.of(y)).mean() == pytest.approx(0.8, abs=0.01)


# --- normal scores and levelling


@pytest.mark.parametrize("levels", [2, 4, 1000])
def test_normal_scores_are_the_slow_ones(levels):
    values = np.random.default_rng(levels).integers(0, levels, (3, 41)).astype(float)
    ranks = np.stack([(average_ranks(row) - 0.5) / 41 for row in values])
    z, hidden = normal_scores(ranks)
    slow = [normal_scores_slow(row) for row in values]
    np.testing.assert_allclose(z, [each[0] for each in slow], atol=1e-12)
    np.testing.assert_allclose(hidden, np.mean([each[1] for each in slow], axis=0), atol=1e-12)
    assert (hidden > 0).all()


def test_level_takes_off_what_depends_on_difficulty_alone():
    rng = np.random.default_rng(0)
    base = rng.normal(size=3000)
    bent = base + 0.4 * np.sin(base) + 0.3
    found = Level(bent, base).of()
    inner = np.abs(base) < 2
    assert np.abs(found - (bent - base))[inner].max() < 0.05
    np.testing.assert_allclose(Level(base[:20] + 0.25, base[:20]).of(), 0.25)


# --- permutations


@pytest.mark.parametrize(("a", "b", "levels"), [(3, 3, 1000), (2, 4, 3), (3, 4, 4), (2, 2, 2)])
def test_permutations_are_the_slow_ones(a, b, levels):
    rng = np.random.default_rng(levels)
    x, y = (rng.integers(0, levels, (runs, 13)).astype(float) for runs in (a, b))
    x[:, :4] += levels
    np.testing.assert_allclose(example_permutation(x, y), example_permutation_slow(x, y))
    np.testing.assert_allclose(pooled_permutation(x, y), pooled_permutation_slow(x, y))


@pytest.mark.parametrize(
    ("a", "b", "noise"), [(3, 3, 4.0), (5, 5, 0.25), (3, 8, 4.0), (3, 8, 0.25), (5, 5, 1.0)]
)
def test_pooled_p_values_are_uniform_whatever_the_noise_of_either_side(a, b, noise):
    small, few = [], []
    for seed in range(30):
        rng = np.random.default_rng([seed, a, b])
        p = pooled_permutation(noise * rng.normal(size=(a, 500)), rng.normal(size=(b, 500)), seed=seed)
        small.append((p < 0.05).mean())
        few.append((p < 0.001).mean())
    assert 0.045 < np.mean(small) < 0.06
    assert np.mean(few) < 0.002


def test_five_against_five_runs_have_no_p_below_2_of_252():
    x, y = 0.01 * np.random.default_rng(0).random((2, 5, 400))
    y[:, :40] += 1
    p = example_permutation(x, y)
    assert p.min() == pytest.approx(2 / 252)
    assert not (benjamini_hochberg(p) < 0.05).any()
    assert (benjamini_hochberg(pooled_permutation(x, y))[:40] < 0.05).all()


def test_many_runs_take_random_relabellings_of_the_seed():
    first = relabellings(8, 8, 50, 0)
    assert first.shape == (50, 16) and (first.sum(axis=1) == 8).all()
    np.testing.assert_array_equal(first, relabellings(8, 8, 50, 0))
    assert (first != relabellings(8, 8, 50, 1)).any()
    x, y = np.random.default_rng(0).normal(size=(2, 8, 30))
    x[:, 0] += 100
    assert example_permutation(x, y, permutations=99)[0] == pytest.approx(0.01)


def test_permutations_refuse_what_they_cannot_use():
    x = np.zeros((3, 5))
    with pytest.raises(InputError, match="give ranks instead"):
        example_permutation(x, x + np.inf)
    with pytest.raises(InputError, match="of the same examples"):
        pooled_permutation(x, np.zeros((3, 4)))
    with pytest.raises(InputError, match="at least 2 of each"):
        pooled_permutation(x, x[:1])
    with pytest.raises(InputError, match="permutations must be"):
        pooled_permutation(x, x, permutations=0)


# --- worlds


def rates(kind, runs, draws, method="auto"):
    """Share of null worlds with any discovery; mean share of false ones, and power, with 40 of 500 planted."""
    any_null, false, power = [], [], []
    for seed in range(draws):
        any_null.append(
            sensitive(draw(seed, runs, kind), "loss", "a", "b", method=method, seed=seed).count() > 0
        )
        planted = sensitive(draw(seed, runs, kind, sensitive=40), "loss", "a", "b", method=method, seed=seed)
        found = planted.found()
        false.append(found[40:].sum() / max(1, found.sum()))
        power.append(found[:40].mean())
    return np.mean(any_null), np.mean(false), np.mean(power)


def test_planted_examples_are_found_and_others_are_not():
    any_null, false, power = rates("plain", 8, 25)
    assert any_null <= 0.2 and false <= 0.08 and power >= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "runs", "most_false", "least_power"),
    [
        ("plain", 3, 0.075, 0.95), ("plain", 5, 0.05, 0.99), ("plain", 10, 0.075, 0.99),
        ("ties", 3, 0.075, 0.85), ("ties", 5, 0.05, 0.98), ("ties", 10, 0.05, 0.98),
        ("unequal", 5, 0.08, 0.9), ("unequal", 10, 0.08, 0.95),
    ],
)  # fmt: skip
def test_false_discoveries_over_200_draws(kind, runs, most_false, least_power):
    any_null, false, power = rates(kind, runs, 200)
    print(f"{kind} {runs}: any on the null {any_null:.3f}, false {false:.3f}, power {power:.3f}")
    assert any_null <= (0.22 if kind == "unequal" else 0.1) and false <= most_false and power >= least_power


def test_levelling_keeps_shifts_of_some_from_moving_the_others():
    scores = draw(0, 30, sensitive=100)
    plain_p = stats.ttest_ind(scores.ranks("loss", "a"), scores.ranks("loss", "b"), equal_var=False).pvalue
    assert (benjamini_hochberg(plain_p)[100:] < 0.05).sum() > 100
    assert sensitive(scores, "loss", "a", "b").found()[100:].sum() < 40


def test_halves_of_one_architecture_differ_in_nothing():
    found = null(draw(0, 10, sensitive=100), "loss", "a", splits=6)
    assert (found.median, found.most, found.runs) == (0, 0, (5, 5)) and len(found.counts) == 6
    pooled = null(draw(0, 10), "loss", "a", method="pooled", splits=3)
    assert pooled.median == 0


def test_the_saving_of_the_null_changes_no_count():
    scores = draw(3, 8, sensitive=30)
    runs = np.concatenate([scores.values("loss", "a"), scores.values("loss", "b")])
    mixed = RunScores.of_arrays({"loss": {"both": runs}})
    found = null(mixed, "loss", "both", splits=4, q=0.2)
    rng, counts = np.random.default_rng(derive_seed("sensitive null", 0, "loss", "both")), []
    for _ in range(4):
        order = rng.permutation(16)
        halves = RunScores.of_arrays({"loss": {"x": runs[order[:8]], "y": runs[order[8:]]}})
        counts.append(sensitive(halves, "loss", "x", "y", method="welch").count(0.2))
    assert list(found.counts) == counts and max(counts) > 0


@pytest.mark.parametrize("method", ["welch", "pooled", "permutation"])
def test_order_of_examples_does_not_matter(method):
    scores, order = draw(1, 5, "ties", sensitive=30), np.random.default_rng(0).permutation(500)
    turned = RunScores.of_arrays({"loss": {name: scores.values("loss", name)[:, order] for name in "ab"}})
    one, two = (sensitive(each, "loss", "a", "b", method=method) for each in (scores, turned))
    np.testing.assert_allclose(one.p_N[order], two.p_N, rtol=1e-6, atol=1e-9)


def test_swapping_the_architectures_turns_the_signs():
    scores = draw(2, 10, sensitive=30)
    one, two = sensitive(scores, "loss", "a", "b"), sensitive(scores, "loss", "b", "a")
    np.testing.assert_allclose(one.effect_N, -two.effect_N)
    np.testing.assert_allclose(one.p_N, two.p_N, rtol=1e-9)
    np.testing.assert_allclose(one.g_N, -two.g_N, atol=1e-9)
    assert (one.effect_N[one.most(10)] > 0).all()
    sizes = np.abs(one.effect_N[one.most(10)])
    assert all(a >= b for a, b in pairwise(sizes)) and one.found()[one.most(10)].all()


@pytest.mark.parametrize("method", ["welch", "pooled", "permutation"])
def test_edges_constant_equal_and_infinite(method):
    flat = RunScores.of_arrays({"flat": {"a": np.ones((3, 9)), "b": np.ones((4, 9))}})
    np.testing.assert_array_equal(sensitive(flat, "flat", "a", "b", method=method).p_N, 1)
    row = np.arange(40.0)
    equal = RunScores.of_arrays({"s": {"a": np.tile(row, (3, 1)), "b": np.tile(row, (3, 1))}})
    found = sensitive(equal, "s", "a", "b", method=method)
    np.testing.assert_array_equal(found.p_N, 1)
    np.testing.assert_array_equal(found.g_N, 0)
    rng = np.random.default_rng(0)
    heavy = rng.normal(size=(2, 4, 3))
    heavy[0, 0, 0], heavy[1, 1, 2] = np.inf, -np.inf
    three = sensitive(
        RunScores.of_arrays({"s": {"a": heavy[0], "b": heavy[1]}}), "s", "a", "b", method=method
    )
    assert np.isfinite(three.p_N).all() and np.isfinite(three.g_N).all()


def test_an_example_of_one_value_everywhere_is_not_sensitive_however_its_rank_moves():
    rng = np.random.default_rng(0)
    a, b = np.maximum(rng.normal(size=(2, 10, 300)) - np.array([0, 1.2])[:, None, None], 0)
    a[:, :50] = b[:, :50] = 0
    found = sensitive(RunScores.of_arrays({"forgetting": {"a": a, "b": b}}), "forgetting", "a", "b")
    assert (np.abs(found.effect_N[:50]) > 5).all()
    np.testing.assert_array_equal(found.p_N[:50], 1)
    assert found.count() == 0


def test_auto_takes_welch_from_ten_runs():
    assert sensitive(draw(0, 10), "loss", "a", "b").method == "welch"
    assert sensitive(draw(0, 9), "loss", "a", "b").method == "pooled"


def test_errors_are_one_sentence():
    one = RunScores.of_arrays({"s": {"a": np.zeros((1, 5)), "b": np.zeros((3, 5))}})
    for call, words in (
        (lambda: sensitive(one, "s", "a", "b"), "at least 2 of either"),
        (lambda: null(one, "s", "b"), "at least 4"),
        (lambda: sensitive(draw(0), "loss", "a", "b", method="anova"), "auto, welch"),
        (lambda: sensitive(draw(0), "loss", "a", "c"), "one of a, b"),
    ):
        with pytest.raises(InputError, match=words) as error:
            call()
        assert "\n" not in str(error.value)


# --- the section


def three(seed=0, runs=8, labels=True):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=200)
    values = {name: base + 0.4 * rng.normal(size=(runs, 200)) for name in ("mlp", "cnn", "linear")}
    values["linear"][:, :20] += 3
    counts = {name: np.maximum(np.round(each), 0) for name, each in values.items()}
    return RunScores.of_arrays(
        {"el2n": values, "forgetting": counts}, labels_N=np.arange(200) % 4 if labels else None
    )


def test_section_says_who_differs_and_who_does_not():
    scores = three()
    found = section(scores, Request(shown=5))
    whole, none, some = found.sentences[:3]
    count = max(max(pair["sensitive"].values()) for pair in found.document["pairs"])
    assert whole.startswith(
        f"Of 200 examples two architectures rank 0 to {count} differently (q < 0.05; 3 pairs, "
    )
    assert "two halves of one architecture's own runs 0" in whole and "2 of 3 pairs surely differ" in whole
    assert none.startswith(
        "mlp and cnn rank none of 200 examples differently (q < 0.05; any score) as far as 8"
    )
    assert some.startswith("mlp and linear rank 2") and "the most of 2 scores)" in some
    assert "two halves of mlp's own runs, 4 each: 0" in some
    assert any("tie under forgetting" in sentence for sentence in found.sentences)
    counts = {(row[0], row[1]): row for row in found.listings[0].rows}
    listed = counts["el2n", "mlp / linear"]
    assert listed[2] == sensitive(scores, "el2n", "mlp", "linear").count() >= 18 and listed[7] == "yes"
    assert counts["el2n", "mlp / cnn"][7] == "no"
    each = [sensitive(scores, "el2n", *pair) for pair in pairs(scores)]
    assert counts["el2n", "some pair"][2] == (any_pair(each) < 0.05).sum()
    shown = found.listings[1]
    assert len(shown.rows) == 5 and all(int(row[0]) < 20 for row in shown.rows)
    assert all(row[1] == str(int(row[0]) % 4) for row in shown.rows)
    table = found.tables["sensitive"]
    assert table.num_rows == 2 * 3 * 200 and table.column_names[:4] == ["id", "score", "first", "second"]
    json.dumps(plain(found.document), allow_nan=False)
    assert set(found.figures) == {"sensitive_1", "sensitive_2", "sensitive_3"}


def test_section_does_not_take_the_best_of_many_scores_for_a_finding():
    sure = 0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        base = rng.normal(size=200)
        same = {
            f"s{number}": {name: base + 0.5 * rng.normal(size=(5, 200)) for name in "ab"}
            for number in range(12)
        }
        said = section(RunScores.of_arrays(same), Request()).sentences[0]
        sure += not any(words in said for words in ("rank none", "their own runs do", "surely specific"))
    assert sure <= 1


def test_section_does_not_call_examples_specific_when_own_runs_differ_as_much(monkeypatch):
    monkeypatch.setattr(
        "scoring.compare.sensitive.pairs.null_places",
        lambda place, names, *rest: Null(names[1], [90, 100], (4, 4)),
    )
    sentences = section(three(), Request()).sentences
    assert "own runs 95 (at most 100); 0 of 3 pairs surely differ" in sentences[0]
    assert "the architectures do not differ by more than their own runs do" in sentences[2]
    assert "no example is specific" in sentences[2]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"a": (4, 9)}, "There is one architecture"),
        ({"a": (4, 9), "b": (1, 9)}, "each needs at least two runs \\(a has 4, b has 1\\)"),
    ],
)
def test_section_says_why_not(values, words):
    rng = np.random.default_rng(0)
    scores = RunScores.of_arrays({"s": {name: rng.normal(size=shape) for name, shape in values.items()}})
    found = section(scores, Request())
    assert len(found.sentences) == 1 and not found.listings and not found.figures
    assert re.search(words, found.sentences[0])


def test_section_with_few_runs_names_what_is_missing():
    scores = three(runs=2, labels=False)
    found = section(scores, Request())
    assert any("permutations of the labels of runs" in sentence for sentence in found.sentences)
    assert "is not known, as that takes four runs" in found.sentences[0]
    assert found.listings[0].rows[0][3] is None and found.listings[0].rows[0][7] is None


def test_section_of_many_scores_counts_the_pair_that_differs_most():
    rng = np.random.default_rng(0)
    base = rng.normal(size=60)
    values = {
        f"s{i}": {
            a: base + 0.3 * rng.normal(size=(3, 60)) + (k * i * (np.arange(60) < 5))
            for k, a in enumerate("abc")
        }
        for i in range(13)
    }
    found = section(RunScores.of_arrays(values), Request())
    counts = {}
    for pair in found.document["pairs"]:
        for score, count in pair["sensitive"].items():
            counts[score] = max(counts.get(score, 0), count)
    listed = found.listings[0]
    assert [row[2] for row in listed.rows] == sorted(counts.values(), reverse=True)[:12]
    assert all(row[2] == counts[row[0]] for row in listed.rows) and listed.rows[0][2] >= 5
    assert "all counts are in summary.json" in listed.caption


def test_section_shows_the_examples_themselves(tmp_path):
    scores = three()
    texts = Examples.from_arrays([f"text {i}" for i in range(200)], np.arange(200) % 4, ids=np.arange(200))
    listing = section(scores, Request(examples=texts, shown=3)).listings[1]
    assert listing.header[:3] == ["id", "label", "example"]
    assert all(f"text {row[0]}" in str(row[2]) for row in listing.rows)
    assert all(len(row) == len(listing.header) for row in listing.rows)
    images = Examples.from_arrays(
        np.random.default_rng(0).integers(0, 255, (200, 6, 6), dtype=np.uint8), ids=np.arange(200)
    )
    found = section(scores, Request(examples=images, shown=3))
    figure = found.figures["sensitive_examples_1"]()
    captions = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len(captions) == 3 and all("linear" in caption for caption in captions)
    assert (
        save(figure, tmp_path / "a.png").read_bytes()
        == save(found.figures["sensitive_examples_1"](), tmp_path / "b.png").read_bytes()
    )


def test_large_tables_hold_the_sensitive_examples_alone(monkeypatch):
    monkeypatch.setattr("scoring.compare.sensitive.pairs.MOST_ROWS", 100)
    found = section(three(), Request())
    table = found.tables["sensitive"]
    assert 0 < table.num_rows < 200 and max(table.column("q").to_pylist()) < 0.05
    assert found.document["table"] == "sensitive examples"


# --- figures


def test_manhattan_marks_what_is_sensitive(monkeypatch, tmp_path):
    p = np.r_[np.full(5, 1e-6), np.linspace(0.01, 1, 95)]
    q = benjamini_hochberg(p)
    labels, names = np.arange(100) % 3, ["cat", "dog", "owl"]
    harder = np.where(np.arange(100) < 3, 1, -1)
    figure = manhattan(p, q, harder, ("mlp", "cnn"), labels_N=labels, label_names=names)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["harder for mlp (3)", "harder for cnn (2)", "q = 0.05"]
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == names
    same = manhattan(p, q, harder, ("mlp", "cnn"), labels_N=labels, label_names=names)
    assert save(figure, tmp_path / "a.png").read_bytes() == save(same, tmp_path / "b.png").read_bytes()
    monkeypatch.setattr("scoring.plots.manhattan.MOST_POINTS", 20)
    assert "25 of 100 shown" in manhattan(p, q, harder, ("a", "b")).axes[0]._left_title.get_text()
    flat = manhattan(np.ones(4), np.ones(4), np.zeros(4), ("a", "b"))
    assert "a first one at q = 0.05" in [text.get_text() for text in flat.legends[0].get_texts()]
    with pytest.raises(InputError, match="q_N must be"):
        manhattan(p, q[:3], harder, ("a", "b"))


def test_contact_sheets_take_any_image_and_cut_long_captions():
    images = [np.zeros((4, 5), np.uint8), np.ones((3, 3, 1), np.uint8), np.ones((8, 8, 3), np.uint8)]
    figure = contact_sheet(images, ["one", "two $x_1", "word " * 80])
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert len(texts) == 3 and texts[2].endswith("...") and texts[2].count("\n") == 4
    figure.canvas.draw()
    with pytest.raises(InputError, match="one caption each"):
        contact_sheet(images, ["one"])
