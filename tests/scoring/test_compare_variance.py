"""Variance components against pairs of runs, mean squares, a mixed model, closed forms, worlds of known variances."""

import warnings
from itertools import combinations

import numpy as np
import pytest
from references.difficulty_world import DifficultyWorld
from references.variance_slow import (
    balanced_mean_squares,
    by_cells,
    scaled_ranks,
    theta,
    truth,
    without_examples,
    without_runs,
)
from scipy import stats

from scoring.compare.reliability.single_runs import spearman_brown
from scoring.compare.request import Request
from scoring.compare.run import compare
from scoring.compare.run_scores import RunScores
from scoring.compare.sections.variance import IN_WORDS, section
from scoring.compare.variance.moments import variance_moments
from scoring.compare.variance.shares import variance_components
from scoring.errors import InputError

UNEQUAL = {"mlp": 2, "cnn": 6, "vit": 3}
OWN_NOISE = {"mlp": 0.3, "cnn": 0.8, "vit": 0.5}


def world(runs=UNEQUAL, examples=200, **options) -> DifficultyWorld:
    return DifficultyWorld(examples=examples, runs=runs, loadings={"x": 1.0}, **options)


def some_cells(seed=0, levels=None, runs=UNEQUAL, examples=60) -> dict:
    drawn = world(runs, examples, interaction=0.6, noise=0.7).draw(seed)
    cells = {name: drawn.values("x", name) for name in runs}
    return cells if levels is None else {name: np.round(y * levels / 4) for name, y in cells.items()}


def decomposed(cells: dict, of="values"):
    return variance_components(RunScores.of_arrays({"x": cells}), "x", of=of)


def values(estimates: dict) -> dict:
    return {name: each.value for name, each in estimates.items()}


# --- estimates


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("of", ["ranks", "values"])
def test_estimates_are_covariances_of_pairs_of_runs(of, levels):
    for seed in range(5):
        cells = some_cells(seed, levels)
        read = {name: scaled_ranks(y) for name, y in cells.items()} if of == "ranks" else cells
        found = decomposed(cells, of)
        slow = theta(read)
        np.testing.assert_allclose(found.moments.theta_K, slow, rtol=1e-10, atol=1e-14)
        total = slow[1:].sum() / 3
        parts = values(found.components)
        assert parts["example"] == pytest.approx(slow[0])
        assert sum(parts.values()) == pytest.approx(total)
        assert found.noise_of("cnn").value == pytest.approx(slow[5])


def test_balanced_components_are_those_of_the_mean_squares():
    cells = some_cells(runs={"a": 3, "b": 3, "c": 3})
    found = decomposed(cells)
    example, interaction, noise = balanced_mean_squares(np.stack(list(cells.values())))
    as_random = values(found.random_architectures())
    assert as_random == pytest.approx({"example": example, "interaction": interaction})
    assert found.components["noise"].value == pytest.approx(noise)
    # As fixed architectures: the same total, the mean over architectures takes its part of the interaction.
    assert found.components["interaction"].value == pytest.approx(interaction * 2 / 3)
    assert found.components["example"].value == pytest.approx(example + interaction / 3)


def test_balanced_components_are_those_of_a_mixed_model():
    pytest.importorskip("statsmodels")
    import pandas as pd
    from statsmodels.regression.mixed_linear_model import MixedLM

    cells = some_cells(runs={"a": 3, "b": 3}, examples=50)
    rows = [
        {"y": y, "example": i, "architecture": name, "run": f"{name}{r}"}
        for name, table in cells.items()
        for r, run in enumerate(table)
        for i, y in enumerate(run)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Balanced data and positive components: REML is analysis of variance.
        fitted = MixedLM.from_formula(
            "y ~ C(run)", groups="example", re_formula="1", vc_formula={"own": "0 + C(architecture)"},
            data=pd.DataFrame(rows),
        ).fit(reml=True)  # fmt: skip
    found = decomposed(cells)
    as_random = values(found.random_architectures())
    assert as_random["example"] == pytest.approx(float(fitted.cov_re.iloc[0, 0]), rel=1e-3)
    assert as_random["interaction"] == pytest.approx(float(fitted.vcomp[0]), rel=1e-3)
    assert found.components["noise"].value == pytest.approx(float(fitted.scale), rel=1e-3)


def test_reliability_on_ranks_is_the_mean_spearman_of_two_runs():
    cells = some_cells()
    found = decomposed(cells, "ranks")
    for name, y in cells.items():
        pairs = [stats.spearmanr(a, b).statistic for a, b in combinations(y, 2)]
        assert found.reliability_of(name).value == pytest.approx(np.mean(pairs), abs=1e-12)
        five = spearman_brown(float(np.mean(pairs)), 5)
        assert found.reliability_of(name, 5).value == pytest.approx(five, abs=1e-12)


def test_reliability_is_cronbachs_alpha():
    runs_RN = some_cells(runs={"a": 5})["a"]
    alpha = 5 / 4 * (1 - runs_RN.var(axis=1, ddof=1).sum() / runs_RN.sum(axis=0).var(ddof=1))
    found = decomposed({"a": runs_RN})
    assert found.generalisability(5).value == pytest.approx(alpha, abs=1e-12)
    assert found.shares(5)["example"].value == pytest.approx(alpha, abs=1e-12)


def test_what_averaging_leaves():
    found = variance_components(world({"a": 4, "b": 4}, 300, interaction=0.5).draw(0), "x")
    parts = values(found.components)
    for runs in (1, 2, 10):
        after = {**parts, "noise": parts["noise"] / runs}
        whole = sum(after.values())
        assert values(found.shares(runs)) == pytest.approx({k: v / whole for k, v in after.items()})
        error = parts["noise"] / (2 * runs)
        assert found.generalisability(runs).value == pytest.approx(
            parts["example"] / (parts["example"] + error)
        )
    as_random = values(found.random_architectures())
    new = found.generalisability(2, new_architectures=3).value
    error = as_random["interaction"] / 3 + parts["noise"] / 6
    assert new == pytest.approx(as_random["example"] / (as_random["example"] + error))


def test_one_run_each_gives_what_architectures_share():
    cells = some_cells(runs={"a": 1, "b": 1, "c": 1})
    found = decomposed(cells, "ranks")
    pairs = [stats.spearmanr(x[0], y[0]).statistic for x, y in combinations(cells.values(), 2)]
    assert found.merged
    assert list(found.components) == ["example", "interaction and noise"]
    assert found.shares()["example"].value == pytest.approx(np.mean(pairs), abs=1e-12)
    for ask in (lambda: found.shares(2), lambda: found.generalisability(), lambda: found.noise_of("a")):
        with pytest.raises(InputError, match=r"one run|two runs"):
            ask()
    assert decomposed(cells, "values").main is None


def test_an_architecture_with_one_run_beside_several_is_left_out():
    cells = some_cells()
    found = decomposed({**cells, "single": cells["cnn"][:1] + 1})
    assert found.left_out == ("single",)
    assert found.components == decomposed(cells).components


# --- uncertainty


@pytest.mark.parametrize("levels", [None, 3])
@pytest.mark.parametrize("of", ["ranks", "values"])
def test_variance_over_examples_is_that_of_leaving_each_out(of, levels):
    cells = some_cells(1, levels, examples=150)
    fast = decomposed(cells, of).moments.by_examples_KK
    slow = without_examples(cells, ranked=of == "ranks")
    np.testing.assert_allclose(fast, slow, atol=0.03 * np.abs(slow).max())
    np.testing.assert_allclose(np.diag(fast), np.diag(slow), rtol=0.03)


def test_one_run_each_variance_over_examples_is_that_of_leaving_each_out():
    cells = some_cells(2, 3, runs={"a": 1, "b": 1, "c": 1}, examples=150)
    fast = variance_moments(
        {name: scaled_ranks(y) for name, y in cells.items()}.__getitem__, list(cells), ranked=True
    )
    found = []
    for i in range(150):
        ranks = [scaled_ranks(np.delete(y, i, axis=1))[0] for y in cells.values()]
        pairs = [np.cov(x, y)[0, 1] for x, y in combinations(ranks, 2)]
        found.append([np.mean(pairs), *(np.var(x, ddof=1) for x in ranks)])
    away = np.array(found) - np.mean(found, axis=0)
    slow = 149 / 150 * away.T @ away
    np.testing.assert_allclose(fast.by_examples_KK, slow, atol=0.03 * np.abs(slow).max())


def test_variance_over_runs_is_that_of_leaving_each_out():
    cells = some_cells(3)
    found = decomposed(cells).moments
    for number, name in enumerate(cells):
        if name == "mlp":
            assert not found.beyond_AKK[number].any()
            continue
        slow = without_runs(cells, name) - by_cells(cells, name)
        np.testing.assert_allclose(found.beyond_AKK[number], slow, rtol=1e-8, atol=1e-14)
    assert found.blind == [0]


def test_ranks_cannot_exchange_truth_for_noise_alone():
    """Without ties truth + noise of an architecture is the variance of ranks, whatever was drawn."""
    found = decomposed(some_cells(4), "ranks").moments
    for matrix in (found.by_examples_KK, *found.beyond_AKK):
        for truth_at, noise_at in ((1, 4), (2, 5), (3, 6)):
            np.testing.assert_allclose(matrix[truth_at], -matrix[noise_at], atol=1e-12)


def test_shared_deviations_widen_the_interval():
    alone = variance_components(world({"a": 6}, 400, noise=0.5).draw(0), "x", of="values")
    shared = world({"a": 6}, 400, noise=0.3, group_noise=0.45, groups=5).draw(0)
    found = variance_components(shared, "x", of="values")
    widths = [each.noise_of("a").high - each.noise_of("a").low for each in (alone, found)]
    assert widths[1] > 2 * widths[0]


CONFIGURATIONS = {
    "one architecture, 2 runs": {"runs": {"a": 2}},
    "one, 3": {"runs": {"a": 3}},
    "one, 6": {"runs": {"a": 6}},
    "two, 2": {"runs": {"a": 2, "b": 2}, "interaction": 0.5},
    "two, 3": {"runs": {"a": 3, "b": 3}, "interaction": 0.5},
    "two, 6": {"runs": {"a": 6, "b": 6}, "interaction": 0.5},
    "three, 2": {"runs": {"a": 2, "b": 2, "c": 2}, "interaction": 0.3},
    "three, 3": {"runs": {"a": 3, "b": 3, "c": 3}, "interaction": 0.3},
    "three, 6": {"runs": {"a": 6, "b": 6, "c": 6}, "interaction": 0.3},
    "unequal runs and noise": {"runs": UNEQUAL, "interaction": 0.5, "noise": OWN_NOISE},
    "no interaction": {"runs": {"a": 3, "b": 3, "c": 3}},
    "no interaction, unequal": {"runs": UNEQUAL, "noise": OWN_NOISE},
}
SHARED = {
    "two, 3, groups": {"runs": {"a": 3, "b": 3}, "interaction": 0.5, "group_noise": 0.3},
    "two, 6, groups": {"runs": {"a": 6, "b": 6}, "interaction": 0.5, "group_noise": 0.3},
    "unequal, groups": {"runs": {"a": 4, "b": 8, "c": 5}, "interaction": 0.5, "group_noise": 0.3},
}


def coverage(options: dict, of: str, draws: int, examples: int) -> dict[str, float]:
    """How often each 95 % interval holds the truth."""
    known = world(examples=examples, **options)
    ranked = of == "ranks"
    names = list(known.runs)
    true_K = truth(known, ranked)
    shared, noise = true_K[0], true_K[1 + len(names) :]
    own = true_K[1 : 1 + len(names)].mean()
    parts = {"example": shared, "interaction": own - shared, "noise": noise.mean()}
    if len(names) == 1:
        del parts["interaction"]
    hits: dict[str, list[bool]] = {}
    for seed in range(draws):
        found = variance_components(known.draw(seed), "x", of=of)
        shares = found.shares()
        asked = [(f"{name} component", found.components[name], value) for name, value in parts.items()]
        asked += [
            (f"{name} share", shares[name], value / sum(parts.values())) for name, value in parts.items()
        ]
        asked.append(("noise of the first", found.noise_of(names[0]), noise[0]))
        g = shared / (shared + noise.mean() / (2 * len(names)))
        asked.append(("generalisability", found.generalisability(2), g))
        for name, estimate, value in asked:
            hits.setdefault(name, []).append(estimate.low <= value + 1e-12 and value <= estimate.high + 1e-12)
    return {name: float(np.mean(each)) for name, each in hits.items()}


def check_coverage(found: dict[str, float], draws: int, label: str) -> None:
    """Within three standard errors of 95 %, or above: zero truths and few runs make intervals wide."""
    print(label, {name: round(100 * value, 1) for name, value in found.items()})
    lowest = 0.94 - 3 * np.sqrt(0.05 * 0.95 / draws)
    assert min(found.values()) >= lowest, (label, found)


@pytest.mark.parametrize("of", ["ranks", "values"])
def test_intervals_cover_in_a_world_of_unequal_runs(of):
    check_coverage(coverage(CONFIGURATIONS["unequal runs and noise"], of, 200, 200), 200, of)


@pytest.mark.slow
@pytest.mark.parametrize("of", ["ranks", "values"])
def test_intervals_cover_at_the_nominal_rate(of):
    found = {name: coverage(options, of, 500, 300) for name, options in CONFIGURATIONS.items()}
    for name, each in found.items():
        check_coverage(each, 500, f"{of}, {name}")
    # Where nothing is zero the rate is the nominal one, not merely at least that.
    shares = [
        rate
        for name, each in found.items()
        if "no interaction" not in name
        for part, rate in each.items()
        if part.endswith("share")
    ]
    assert 0.94 <= np.mean(shares) <= 0.965


@pytest.mark.slow
def test_intervals_cover_where_runs_move_whole_groups():
    for name, options in SHARED.items():
        found = coverage(options, "values", 500, 300)
        print(name, found)
        assert min(found.values()) >= 0.89, (name, found)
        assert np.mean(list(found.values())) >= 0.935, (name, found)


# --- main effects


def test_main_effects_are_covered():
    hits: dict[str, list[bool]] = {}
    moved = {"b": 1.5}
    for runs in ({"a": 2, "b": 2}, {"a": 3, "b": 6}, {"a": 6, "b": 6}):
        known = world(runs, 100, interaction=0.3, run_shift=0.4, architecture_shift=moved)
        for seed in range(200):
            main = variance_components(known.draw(seed), "x", of="values").main
            hits.setdefault(f"run {runs}", []).append(main.run.low <= known.run_variance() <= main.run.high)
            both = main.architecture.low <= 0.75**2 <= main.architecture.high
            hits.setdefault(f"architecture {runs}", []).append(both)
    rates = {name: np.mean(each) for name, each in hits.items()}
    assert min(rates.values()) >= 0.9, rates
    assert 0.93 <= np.mean(list(rates.values())) <= 0.985, rates


def test_main_effects_are_unbiased_and_nested():
    known = world({"a": 3, "b": 5}, 50, interaction=0.5, run_shift=0.4, architecture_shift={"b": 2.0})
    raw = []
    for seed in range(300):
        drawn = known.draw(seed)
        main = variance_components(drawn, "x", of="values").main
        raw.append((main.run.value, main.architecture.value))
        run_means = [drawn.values("x", name).mean(axis=1) for name in drawn.architectures]
        noise = np.mean([variance_components(drawn, "x", of="values").noise_of(name).value for name in "ab"])
        by_hand = np.mean([means.var(ddof=1) for means in run_means]) - noise / 50
        assert main.run.value == pytest.approx(max(by_hand, 0), abs=1e-12)
    mean, error = np.mean(raw, axis=0), np.std(raw, axis=0) / np.sqrt(300)
    assert abs(mean[0] - 0.16) < 4 * error[0]
    assert abs(mean[1] - 1.0) < 4 * error[1]


def test_one_architecture_has_a_run_effect_alone():
    main = decomposed({"a": some_cells()["cnn"]}).main
    assert main.architecture is None
    assert main.run.low <= main.run.value <= main.run.high


# --- edges


@pytest.mark.parametrize("of", ["ranks", "values"])
def test_a_constant_score_has_no_variance_and_no_shares(of):
    found = decomposed({"a": np.full((3, 10), 0.1), "b": np.full((2, 10), 0.7)}, of)
    assert values(found.components) == {"example": 0, "interaction": 0, "noise": 0}
    assert found.shares() == {}
    assert np.isnan(found.reliability_of("a").value)
    one = decomposed({"a": np.full((1, 10), 0.1), "b": np.full((1, 10), 0.7)}, of)
    assert one.shares() == {}


def test_equal_runs_have_no_noise():
    run = np.random.default_rng(0).normal(size=20)
    found = decomposed({"a": np.stack([run] * 3), "b": np.stack([-run] * 2)}, "ranks")
    assert found.components["noise"].value == pytest.approx(0, abs=1e-15)
    assert values(found.shares()) == pytest.approx({"example": 0, "interaction": 1, "noise": 0}, abs=1e-12)


def test_a_negative_estimate_is_cut_and_said():
    rng = np.random.default_rng(3)
    scores = RunScores.of_arrays({"x": {"a": rng.normal(size=(3, 40)), "b": rng.normal(size=(3, 40))}})
    found = variance_components(scores, "x")
    assert any(part.truncated for part in found.components.values())
    for part in [*found.components.values(), *found.shares().values()]:
        assert 0 <= part.low <= part.value <= part.high
    assert sum(values(found.shares()).values()) == pytest.approx(1)
    assert any("below zero" in sentence for sentence in section(scores, Request()).sentences)


@pytest.mark.parametrize("of", ["ranks", "values"])
@pytest.mark.parametrize("runs", [{"a": 2}, {"a": 3, "b": 2}, {"a": 1, "b": 1}])
def test_three_examples_are_enough(of, runs):
    found = variance_components(world(runs, 3).draw(0), "x", of=of)
    for part in [*found.components.values(), *found.shares().values()]:
        assert 0 <= part.low <= part.value <= part.high < np.inf


def test_infinities_rank_and_have_no_raw_variance():
    cells = {name: y.copy() for name, y in some_cells().items()}
    cells["cnn"][0, :2] = np.inf
    scores = RunScores.of_arrays({"x": cells, "y": some_cells(1)})
    assert variance_components(scores, "x").shares()
    with pytest.raises(InputError, match="2 infinities"):
        variance_components(scores, "x", of="values")
    found = section(scores, Request())
    assert any("infinities: x" in sentence for sentence in found.sentences)
    assert [each["score"] for each in found.document["values"]] == ["y"]


def test_wrong_requests_are_refused():
    scores = world().draw(0)
    for ask, words in (
        (lambda: variance_components(scores, "z"), "z"),
        (lambda: variance_components(scores, "x", of="logs"), "ranks"),
        (lambda: variance_components(scores.only(architectures=["mlp"]), "x").random_architectures(), None),
        (lambda: variance_components(scores, "x").shares(0), "whole number"),
        (lambda: variance_components(scores, "x").noise_of("rnn"), "mlp"),
        (lambda: variance_components(world({"a": 1}).draw(0), "x"), "two runs"),
    ):
        if words is None:
            assert ask() == {}
            continue
        with pytest.raises(InputError, match=words):
            ask()


def test_order_of_examples_and_units_do_not_matter():
    cells = some_cells()
    order = np.random.default_rng(0).permutation(60)
    found = decomposed(cells)
    turned = decomposed({name: y[:, order] for name, y in cells.items()})
    scaled = decomposed({name: 10 * y - 3 for name, y in cells.items()})
    for name, part in found.components.items():
        same, larger = turned.components[name], scaled.components[name]
        assert (same.value, same.low, same.high) == pytest.approx((part.value, part.low, part.high))
        assert (larger.value, larger.low) == pytest.approx((100 * part.value, 100 * part.low))
    for name, share in scaled.shares().items():
        assert share.low == pytest.approx(found.shares()[name].low)


# --- the section


def test_the_sentences_name_the_shares():
    found = section(world({"a": 4, "b": 5}, 400, interaction=0.7, noise=0.4).draw(0), Request())
    shares = found.document["ranks"][0]["shares"]
    first = found.sentences[0]
    for name, words in IN_WORDS.items():
        if name not in shares:
            continue
        part = shares[name]
        wanted = (
            f"{100 * part['value']:.0f} % ({100 * part['low']:.0f} to {100 * part['high']:.0f} %) is {words}"
        )
        assert wanted in first
    assert any("Averaging 4 runs removes 75 % of the run noise" in sentence for sentence in found.sentences)
    assert "chance" not in " ".join([*found.sentences, *(each.caption for each in found.listings)])
    assert any("the correlation to expect with another such mean" in each.caption for each in found.listings)
    noise, reliability = found.listings[2], found.document["ranks"][0]["reliability"]
    assert list(noise.header) == ["score", "a, 4 runs", "b, 5 runs"]
    assert [cell[0] for cell in noise.rows[0][1:]] == pytest.approx(
        [1 - reliability[name]["value"] for name in "ab"]
    )
    row = found.listings[0].rows[0]
    assert row[0] == "x"
    assert sum(value for value, _, _ in row[1:]) == pytest.approx(1)


@pytest.mark.parametrize(
    ("runs", "words", "listings"),
    [
        ({"a": 1}, "two runs or more", 0),
        ({"a": 3}, "compare two or more", 4),
        ({"a": 1, "b": 1}, "cannot be told from run noise", 1),
        ({"a": 2, "b": 3}, "do not contain", 4),
        ({"a": 3, "b": 1}, "train a second run", 4),
    ],
)
def test_what_cannot_be_asked_is_said(runs, words, listings):
    comparison = compare(world(runs, 30).draw(0), sections=["variance"])
    found = comparison["variance"]
    assert any(words in sentence for sentence in found.sentences)
    assert len(found.listings) == listings
    assert bool(found.figures) == bool(listings)
    comparison.to_json()
    assert "Variance" in comparison.markdown()


def test_constant_scores_are_named():
    scores = RunScores.of_arrays({"flat": {"a": np.ones((6, 9))}, "x": {"a": some_cells(examples=9)["cnn"]}})
    found = section(scores, Request())
    assert any("without variance: flat" in sentence for sentence in found.sentences)
    assert [row[0] for row in found.listings[0].rows] == ["x"]
    flat = section(RunScores.of_arrays({"flat": {"a": np.ones((2, 9))}}), Request())
    assert (flat.listings, flat.figures) == ((), {})


def test_many_scores_are_summed_up_first():
    found = section(
        DifficultyWorld(runs={"a": 3}, loadings={f"s{i}": 0.5 for i in range(6)}).draw(0), Request()
    )
    assert "over 6 scores" in found.sentences[0]


@pytest.mark.parametrize(
    ("count", "runs"), [(1, {"a": 1, "b": 1}), (2, {"a": 3}), (20, {f"net{i}": 2 for i in range(6)})]
)
def test_the_figure_has_a_bar_per_score_and_a_mark_per_architecture(count, runs):
    pytest.importorskip("matplotlib")
    names = {f"score_number_{i}": 0.9 for i in range(count)}
    figure = section(DifficultyWorld(100, runs, names).draw(0), Request()).figures["variance"]()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert sorted(labels) == sorted(names)
    marks = figure.axes[1].get_legend_handles_labels()[1] if len(figure.axes) > 1 else []
    assert marks == ([] if max(runs.values()) == 1 else list(runs))
    figure.canvas.draw()
    overlaps(figure)


def overlaps(figure) -> None:
    renderer = figure.canvas.get_renderer()
    texts = [axes.xaxis.label for axes in figure.axes]
    for axes in figure.axes:
        low, high = axes.get_xlim()
        texts += [tick.label1 for tick in axes.xaxis.get_major_ticks() if low <= tick.get_loc() <= high]
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    texts += figure.axes[0].get_yticklabels()
    boxes = [text.get_window_extent(renderer) for text in texts if text.get_text()]
    assert len(boxes) > 5
    for a, b in combinations(boxes, 2):
        assert not a.overlaps(b)
    for box in boxes:
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
