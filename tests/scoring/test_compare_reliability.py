"""Reliability over the number of runs: against slow twins, SciPy, closed forms and worlds of known truth."""

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.difficulty_world import DifficultyWorld
from references.reliability_slow import (
    disjoint_pairs,
    jackknife_by_hand,
    split_half,
    true_overlap,
    true_spearman,
)
from scipy import stats

from scoring.compare.intervals.over_pairs import error_on_scale, pair_interval, without_each_run
from scoring.compare.reliability.growth import Scale
from scoring.compare.reliability.kept_overlap import expected_overlap, pearson_of_overlap
from scoring.compare.reliability.more_runs import MOST_BY_LOT, expected, miss, runs_for, unpredictable
from scoring.compare.reliability.run_curve import run_curve
from scoring.compare.reliability.run_errors import run_errors
from scoring.compare.reliability.run_groups import disjoint, group_sizes, run_groups
from scoring.compare.reliability.spearman_brown import MOST_TIE_LOSS, spearman_brown
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sections.reliability import section
from scoring.errors import InputError
from scoring.manifest import plain


def noisy_runs(runs, rows, noise, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=rows) + noise * rng.normal(size=(runs, rows))


# --- the Gaussian copula


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("r", [-0.9, -0.3, 0.0, 0.2, 0.7, 0.99])
def test_expected_overlap_is_scipys_bivariate_normal(share, r):
    t = stats.norm.ppf(1 - share)
    both = stats.multivariate_normal([0, 0], [[1, r], [r, 1]]).cdf([-t, -t])
    assert expected_overlap(r, share) == pytest.approx(both / share, abs=2e-4)


def test_expected_overlap_has_closed_forms():
    for r in (-1.0, -0.4, 0.0, 0.6, 0.999, 1.0):  # Sheppard's formula at the median
        assert expected_overlap(r, 0.5) == pytest.approx(0.5 + np.arcsin(r) / np.pi, abs=1e-9)
    assert expected_overlap(0.0, 0.3) == pytest.approx(0.3)
    assert expected_overlap(1.0, 0.3) == 1
    assert expected_overlap(-1.0, 0.3) == pytest.approx(0, abs=1e-12)
    assert expected_overlap(-1.0, 0.8) == pytest.approx(0.75)


@settings(max_examples=40, deadline=None)
@given(st.floats(-0.95, 0.999), st.floats(0.02, 0.9))
def test_the_correlation_behind_an_overlap_is_found_again(r, share):
    overlap = expected_overlap(r, share)
    if overlap > 1e-9:
        assert expected_overlap(pearson_of_overlap(overlap, share), share) == pytest.approx(overlap, abs=1e-9)


def test_overlaps_out_of_reach_give_the_ends():
    assert pearson_of_overlap(1.0, 0.3) == 1
    assert pearson_of_overlap(0.0, 0.3) == -1
    with pytest.raises(InputError, match="share"):
        expected_overlap(0.5, 1.0)
    with pytest.raises(InputError, match="pearson"):
        expected_overlap(1.5, 0.3)


# --- groups of runs


@pytest.mark.parametrize("runs", [2, 3, 4, 5, 6, 7, 10, 30])
def test_groups_are_disjoint_and_of_their_size(runs):
    for size in group_sizes(runs):
        for groups_GK in run_groups(runs, size, np.random.default_rng(0)):
            pairs = disjoint(groups_GK)
            assert groups_GK.shape[1] == size and pairs.any()
            for a, b in np.argwhere(pairs):
                assert len(set(groups_GK[a]) | set(groups_GK[b])) == 2 * size
    assert group_sizes(runs)[0] == 1 and group_sizes(runs)[-1] == runs // 2


@pytest.mark.parametrize(("runs", "size"), [(4, 2), (5, 2), (6, 3), (6, 1)])
def test_with_few_runs_every_disjoint_pair_occurs(runs, size):
    [groups] = run_groups(runs, size, np.random.default_rng(0))
    assert disjoint(groups).sum() == len(disjoint_pairs(runs, size))


# --- the curve


@pytest.mark.parametrize("levels", [2, 4, 1000])
@pytest.mark.parametrize("runs", [4, 5, 6])
def test_curve_is_the_slow_definition(runs, levels):
    values = np.round(noisy_runs(runs, 60, 0.8, seed=runs) * levels / 6)
    curve = run_curve(values, keep=0.3)
    for point in curve.points:
        rho, overlap = split_half(values, point.runs, curve.kept)
        assert point.rho.value == pytest.approx(rho, abs=1e-12)
        assert point.overlap.value == pytest.approx(overlap, abs=1e-12)
        assert point.splits == len(disjoint_pairs(runs, point.runs))


def test_random_groups_estimate_the_mean_over_all_pairs():
    values = noisy_runs(8, 200, 0.8)
    curve = run_curve(values)
    rho, overlap = split_half(values, 4, curve.kept)
    assert curve.largest.rho.value == pytest.approx(rho, abs=0.005)
    assert curve.largest.overlap.value == pytest.approx(overlap, abs=0.02)
    assert run_curve(values, seed=0) == curve
    assert run_curve(values, seed=1) != curve


def test_order_of_the_examples_does_not_matter():
    values = np.round(noisy_runs(9, 300, 0.8), 1)
    shuffled = values[:, np.random.default_rng(3).permutation(300)]
    for a, b in zip(run_curve(values).points, run_curve(shuffled).points):
        assert (a.rho.value, a.overlap.value) == pytest.approx((b.rho.value, b.overlap.value), abs=1e-12)


def test_spearman_of_gaussian_runs_is_the_closed_form():
    curve = run_curve(noisy_runs(6, 20_000, 0.7))
    for point in curve.points:
        r = 1 / (1 + 0.49 / point.runs)
        assert point.rho.value == pytest.approx(6 / np.pi * np.arcsin(r / 2), abs=0.01)
        assert point.overlap.value == pytest.approx(expected_overlap(r, 0.3), abs=0.01)


def test_ties_of_fractions_survive_their_sums():
    """1/30 + 2/30 and 3/30 + 0 are not the same float."""
    counts = np.random.default_rng(0).integers(0, 4, (6, 200)).astype(float)
    whole, parts = run_curve(counts), run_curve(counts / 30)
    assert [p.rho.value for p in whole.points] == pytest.approx(
        [p.rho.value for p in parts.points], abs=1e-12
    )
    assert [p.by_lot for p in whole.points] == pytest.approx([p.by_lot for p in parts.points], abs=1e-12)


def test_infinities_count_by_the_number_of_runs():
    values = noisy_runs(4, 50, 0.3)
    values[:, 0] = np.inf
    values[0, 1], values[1, 1] = np.inf, -np.inf
    curve = run_curve(values)
    assert np.isfinite([p.rho.value for p in curve.points]).all()


def test_tie_loss_is_the_tie_correction_of_spearman():
    values = np.random.default_rng(0).integers(0, 3, (3, 40)).astype(float)
    expected_loss = np.mean([1 - stats.tiecorrect(stats.rankdata(run)) for run in values])
    assert run_curve(values).tie_loss == pytest.approx(expected_loss)
    assert run_curve(np.ones((2, 10))).tie_loss == 1
    assert run_curve(noisy_runs(2, 10, 1)).tie_loss == pytest.approx(0, abs=1e-12)


def test_edge_cases():
    equal = run_curve(np.tile(np.arange(30.0), (4, 1)))
    assert [p.rho.value for p in equal.points] == pytest.approx([1, 1])
    assert equal.single.rho.interval == pytest.approx((1, 1))
    assert equal.largest.overlap.value == 1
    assert runs_for(equal, "overlap", 0.9).runs == 1
    constant = run_curve(np.ones((4, 30)))
    assert np.isnan(constant.single.rho.value) and constant.single.rho.interval is None
    assert constant.single.overlap.value == pytest.approx(0.3)
    assert unpredictable(constant, "rho") and unpredictable(constant, "overlap")
    assert runs_for(constant, "overlap", 0.9) is None
    smallest = run_curve(noisy_runs(2, 3, 0.1))
    assert (smallest.kept, smallest.single.splits, smallest.single.rho.interval) == (1, 1, None)
    assert expected(smallest, "rho", 1).value == smallest.single.rho.value
    two = run_curve(noisy_runs(2, 100, 0.5))
    assert two.single.overlap.interval is None and miss(two, "rho") is None
    assert run_curve(noisy_runs(3, 100, 0.5)).single.overlap.interval is not None


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [(np.ones((1, 5)), {}, "runs >= 2"), (np.full((2, 5), np.nan), {}, "free of NaN"),
     (np.ones((2, 2)), {}, "examples >= 3"), (np.ones((2, 5)), {"keep": 0.0}, "keep must be")],
)  # fmt: skip
def test_errors_are_one_sentence(values, options, words):
    with pytest.raises(InputError, match=words) as error:
        run_curve(values, **options)
    assert "\n" not in str(error.value)


def test_questions_out_of_range_are_refused():
    curve = run_curve(noisy_runs(4, 50, 0.5))
    with pytest.raises(InputError, match="runs must be"):
        expected(curve, "rho", 0)
    with pytest.raises(InputError, match="target"):
        runs_for(curve, "rho", 1.0)


# --- intervals


def test_jackknife_is_that_of_pseudo_values():
    pairs = np.corrcoef(noisy_runs(6, 40, 0.8))
    assert error_on_scale(pairs, np.arctanh) == pytest.approx(jackknife_by_hand(pairs, np.arctanh))
    assert error_on_scale(pairs[:2, :2], np.arctanh) is None
    assert without_each_run(pairs)[0] == pytest.approx(pairs[1:, 1:][np.triu_indices(5, 1)].mean())


def test_interval_stays_inside_and_needs_three_runs():
    pairs = np.corrcoef(noisy_runs(3, 30, 3.0))
    low, high = pair_interval(pairs)
    assert -1 < low < high < 1
    assert pair_interval(pairs[:2, :2]) is None
    pairs[0, 1] = pairs[1, 0] = np.nan
    assert pair_interval(pairs) is None


def test_scale_grows_by_spearman_brown_and_comes_back():
    assert Scale().grown(0.5, 4) == spearman_brown(0.5, 4) == 0.8
    assert Scale(0.3).grown(0.3 - 0.05, 4) == 0.25  # no better than chance: more runs tell nothing
    assert Scale(0.3).grown(1.0, 4) == 1
    low, high = Scale(0.3).around(0.7, 0.5)
    assert low < 0.7 < high
    assert Scale().around(-0.2, 0.5) is None


def coverage(runs, noise, draws=200, rows=300, keep=0.3):
    """Share of draws whose interval holds the truth: single run and runs // 2, correlation and overlap."""
    truth_N = np.random.default_rng(7).normal(size=rows)
    size, kept = runs // 2, round(keep * rows)
    truths = {}
    for k in {1, size}:
        truths[k] = true_spearman(truth_N, noise / k**0.5), true_overlap(truth_N, noise / k**0.5, kept)
    hits = {(k, m): [] for k in truths for m in ("rho", "overlap")}
    rng = np.random.default_rng(11)
    for _ in range(draws):
        curve = run_curve(truth_N + noise * rng.normal(size=(runs, rows)), keep=keep)
        for k, m in hits:
            low, high = curve.of(k).measured(m).interval
            hits[k, m].append(low <= truths[k][m == "overlap"] <= high)
    return {key: np.mean(hit) for key, hit in hits.items()}


@pytest.mark.parametrize("runs", [3, 5, 10])
def test_intervals_cover_at_the_nominal_rate_or_more(runs):
    """95 % nominal; with 200 draws a true .95 stays above .91 in all but 1 % of cases."""
    found = coverage(runs, noise=0.7)
    assert min(found.values()) >= 0.91, found


def test_truth_of_finite_worlds_tends_to_the_closed_form():
    truth_N = stats.norm.ppf((np.arange(1500) + 0.5) / 1500)
    r = 1 / (1 + 0.6**2)
    assert true_spearman(truth_N, 0.6) == pytest.approx(6 / np.pi * np.arcsin(r / 2), abs=2e-3)


def test_interval_covers_where_runs_differ_in_quality():
    """Noise of a run is log-normal: the error comes from which runs were drawn."""
    truth_N = np.random.default_rng(7).normal(size=200)
    quantiles = 0.6 * np.exp(0.4 * stats.norm.ppf((np.arange(60) + 0.5) / 60))
    above = np.mean(
        [stats.norm.cdf((truth_N[:, None] - truth_N) / (sd * 2**0.5)) for sd in quantiles], axis=0
    ).sum(axis=1)
    truth = 12 * ((above - above.mean()) ** 2).sum() / (200 * (200**2 - 1))
    rng, hits = np.random.default_rng(5), []
    for _ in range(200):
        noise = 0.6 * np.exp(0.4 * rng.normal(size=(6, 1)))
        low, high = run_curve(truth_N + noise * rng.normal(size=(6, 200))).single.rho.interval
        hits.append(low <= truth <= high)
    assert np.mean(hits) >= 0.91


# --- more runs than there are


@pytest.mark.parametrize("noise", [0.3, 0.7, 1.5])
@pytest.mark.parametrize("keep", [0.1, 0.3])
def test_predictions_hold_on_runs_that_were_held_out(noise, keep):
    """From 6 of 40 runs: what 6, 10 and 20 runs give, measured on all 40."""
    values = noisy_runs(40, 2000, noise, seed=3)
    few, all_runs = run_curve(values[:6], keep=keep), run_curve(values, keep=keep)
    sizes = [p.runs for p in all_runs.points]
    for runs in (6, 11, 20):
        assert runs in sizes or runs == 11
        for measure, within in (("rho", 0.01), ("overlap", 0.03)):
            measured = expected(all_runs, measure, runs)
            predicted = expected(few, measure, runs)
            assert predicted.predicted and not measured.predicted
            assert predicted.value == pytest.approx(measured.value, abs=within)


def test_prediction_holds_where_noise_depends_on_difficulty():
    """Noise of hard examples is three times that of easy ones: Spearman says little of the overlap at the cut."""
    rng = np.random.default_rng(0)
    truth_N = rng.normal(size=3000)
    values = truth_N + (0.3 + 0.6 * stats.norm.cdf(truth_N)) * rng.normal(size=(40, 3000))
    few, measured = run_curve(values[:6], keep=0.1), run_curve(values, keep=0.1).largest
    predicted = expected(few, "overlap", 20)
    assert predicted.value == pytest.approx(measured.overlap.value, abs=0.03)
    assert predicted.interval[0] < measured.overlap.value < predicted.interval[1]
    of_all = expected_overlap(2 * np.sin(np.pi * few.largest.rho.value / 6), 0.1)
    assert abs(of_all - few.largest.overlap.value) > 0.05


def test_intervals_of_predictions_widen_where_the_rule_drifts():
    """Errors with heavy tails: means of few runs are not normal yet, and the rule is off by more farther out."""
    rng = np.random.default_rng(1)
    truth_N = rng.normal(size=3000)
    values = truth_N + (0.3 + 0.6 * stats.norm.cdf(truth_N)) * rng.standard_t(4, size=(40, 3000))
    few, measured = run_curve(values[:6], keep=0.1), run_curve(values, keep=0.1).largest
    predicted = expected(few, "overlap", 20)
    assert predicted.interval[0] < measured.overlap.value < predicted.interval[1]


def test_runs_for_a_target_is_measured_or_predicted_and_inverts():
    curve = run_curve(noisy_runs(10, 2000, 0.7))
    near = runs_for(curve, "overlap", 0.8)
    assert not near.predicted and expected(curve, "overlap", near.runs).value >= 0.8
    assert near.runs == 1 or expected(curve, "overlap", near.runs - 1).value < 0.8
    far = runs_for(curve, "overlap", 0.93)
    assert far.predicted and far.interval[0] <= far.runs <= far.interval[1]
    assert expected(curve, "overlap", far.runs).value >= 0.93 > expected(curve, "overlap", far.runs - 1).value
    rho = runs_for(curve, "rho", 0.97)
    assert rho.predicted and expected(curve, "rho", rho.runs).value >= 0.97


def rare_events(runs, rows=1500, seed=0):
    """Counts that are zero for most examples, as forgetting counts are."""
    rng = np.random.default_rng(seed)
    return rng.poisson(np.exp(1.2 * rng.normal(size=rows) - 2.5), (runs, rows)).astype(float)


def test_ties_break_spearman_brown_and_are_found_out():
    curve = run_curve(rare_events(20))
    assert curve.tie_loss > MOST_TIE_LOSS
    assert spearman_brown(curve.single.rho.value, 10) - curve.largest.rho.value > 0.05
    assert "ties take" in unpredictable(curve, "rho") and expected(curve, "rho", 20) is None
    few = run_curve(rare_events(4))
    assert few.largest.by_lot > MOST_BY_LOT
    assert "by lot" in unpredictable(few, "overlap") and runs_for(few, "overlap", 0.9) is None
    assert expected(few, "overlap", 2) is not None  # what was measured is still told


def test_coarse_numbers_with_little_lost_to_ties_are_predicted():
    curve = run_curve(np.round(noisy_runs(20, 3000, 1.0)))
    assert 0 < curve.tie_loss < MOST_TIE_LOSS
    for point in curve.points:
        predicted = spearman_brown(curve.single.rho.value, point.runs)
        assert predicted == pytest.approx(point.rho.value, abs=0.02)


def test_what_does_not_follow_the_rule_is_not_predicted():
    """Two kinds of runs that disagree: single runs agree badly, means of many cancel the kinds."""
    rng = np.random.default_rng(0)
    truth_N, kind_N = rng.normal(size=(2, 500))
    sign = np.array([1, -1, 1, -1])[:, None]
    values = 0.3 * truth_N + sign * kind_N + 0.01 * rng.normal(size=(4, 500))
    curve = run_curve(values)
    assert unpredictable(curve, "rho") and unpredictable(curve, "overlap")
    assert expected(curve, "overlap", 10) is None


# --- errors per example


def test_errors_are_of_the_mean_and_in_the_direction_of_the_score():
    values = noisy_runs(5, 30, 0.5)
    mean, error = run_errors(-values, "easy")
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(error, stats.sem(values, axis=0))
    mean, error = run_errors(np.array([[np.inf, np.inf, 1.0], [2.0, -np.inf, 3.0]]), "hard")
    assert mean[0] == np.inf and np.isnan(mean[1]) and np.isnan(error[:2]).all() and error[2] == 1
    assert np.isnan(run_errors(values[:1], "hard")[1]).all()


# --- the section


def a_section(world=None, seed=0, **request):
    return section((world or DifficultyWorld(examples=200)).draw(seed), Request(**request))


def test_section_answers_in_words_and_ranks_by_single_runs():
    world = DifficultyWorld(examples=400, runs={"mlp": 10, "cnn": 2}, noise={"mlp": 0.3, "cnn": 0.6})
    found = a_section(world)
    text = " ".join(found.sentences)
    assert "For loss of mlp at 30 % keep, " in text and "give 90 % overlap (measured); you have 10" in text
    assert (
        "For loss of cnn at 30 % keep, about " in text
        and "(predicted, which takes four runs to check)" in text
    )
    assert "you have 2, which should give" in text
    assert "An interval takes three runs" in text and "cnn (2)" in text
    rho, overlap = found.listings
    assert rho.header[3] == "single run (95 %)" and rho.header[5] == "k runs (95 %)"
    mlp = next(row for row in rho.rows if row[1] == "mlp")
    value, low, high = (float(number) for number in re.findall(r"[\d.]+", mlp[3]))
    assert mlp[4] == 5 and low < value < high < float(mlp[5].split()[0])
    cnn = next(row for row in overlap.rows if row[1] == "cnn")
    assert overlap.header[2:5] == ["runs", "runs for 90 % (95 %)", "single run (95 %)"]
    assert cnn[5:7] == [None] * 2 and cnn[-1] == "predicted" and "(" not in cnn[3] + cnn[4]
    assert " in 2 of 4 cases (a score of an architecture); the most are needed by " in found.sentences[0]
    most = max((row for row in overlap.rows if row[1] == "cnn"), key=lambda row: int(row[3]))
    assert f"by {most[0]} of cnn: {most[3]} runs (predicted, 2 there)." in found.sentences[0]
    assert all(len(row) == len(each.header) for each in found.listings for row in each.rows)
    json.dumps(plain(found.document), allow_nan=False)


def test_section_lists_the_most_reliable_score_first_and_constants_last():
    values = {"flat": np.ones((4, 50)), "bad": noisy_runs(4, 50, 2.0), "good": noisy_runs(4, 50, 0.1)}
    found = section(RunScores.of_arrays({name: {"mlp": runs} for name, runs in values.items()}), Request())
    assert [row[0] for row in found.listings[0].rows] == ["good", "bad", "flat"]
    assert any("nothing can be said of flat" in sentence for sentence in found.sentences)
    json.dumps(plain(found.document), allow_nan=False)


def test_section_warns_of_ties_and_refuses_their_prediction():
    scores = RunScores.of_arrays(
        {"forgetting": {"mlp": rare_events(4)}, "loss": {"mlp": noisy_runs(4, 1500, 0.5)}}
    )
    found = section(scores, Request(keep=0.3))
    text = " ".join(found.sentences)
    assert "single runs of forgetting: Spearman-Brown does not hold there" in text
    assert "For forgetting of mlp" in text and "cannot be predicted, since" in text and "drawn by lot" in text
    row = next(row for row in found.listings[0].rows if row[0] == "forgetting")
    assert row[-2] is None and row[-1] > MOST_TIE_LOSS


def test_section_of_many_scores_is_short():
    world = DifficultyWorld(examples=100, runs={"a": 4, "b": 4}, loadings={f"s{i}": 0.5 for i in range(6)})
    found = a_section(world)
    assert len(found.sentences) <= 6 and len(found.listings[0].rows) == 12
    assert " of 12 cases" in found.sentences[0]


def test_section_of_single_runs_says_what_is_missing():
    found = a_section(DifficultyWorld(runs={"mlp": 1, "cnn": 1}))
    assert "--per-run" in found.sentences[0]
    assert not found.listings and not found.figures and not found.tables
    mixed = a_section(DifficultyWorld(examples=50, runs={"mlp": 4, "cnn": 1}))
    assert any("There is one run of cnn" in sentence for sentence in mixed.sentences)
    assert {row[1] for row in mixed.listings[0].rows} == {"mlp"}


def test_section_of_three_examples_does_not_fail():
    found = section(RunScores.of_arrays({"s": {"a": np.arange(12.0).reshape(4, 3) ** 2 % 7}}), Request())
    assert found.sentences and len(found.listings) == 2


def test_standard_errors_are_a_table_of_id_and_architecture():
    scores = DifficultyWorld(examples=20, runs={"mlp": 3, "cnn": 1}).draw()
    table = section(scores, Request()).tables["standard_errors"]
    assert table.column_names == ["id", "architecture", "loss.mean", "loss.se", "entropy.mean", "entropy.se"]
    rows = table.to_pylist()
    assert len(rows) == 40 and rows[0]["architecture"] == "mlp" and rows[20]["architecture"] == "cnn"
    values = scores.values("loss", "mlp")
    assert rows[7]["loss.mean"] == pytest.approx(values[:, 7].mean())
    assert rows[7]["loss.se"] == pytest.approx(stats.sem(values[:, 7]))
    assert rows[27]["id"] == rows[7]["id"] and rows[27]["loss.se"] is None


@pytest.mark.parametrize(("scores", "kinds", "runs"), [(1, 1, 2), (12, 3, 6)])
def test_figures_are_drawn_for_few_and_many(scores, kinds, runs, tmp_path):
    pytest.importorskip("matplotlib")
    from scoring.plots.style import save

    world = DifficultyWorld(
        examples=40,
        runs={f"architecture-{i}": runs for i in range(kinds)},
        loadings={f"score_{i}": 0.5 for i in range(scores)},
    )
    figures = a_section(world).figures
    assert set(figures) == {"reliability", "reliability_overlap"}
    for stem, draw in figures.items():
        figure = draw()
        assert sum(axes.get_visible() for axes in figure.axes) == scores
        first = save(figure, tmp_path / f"{stem}.png").read_bytes()
        if stem == "reliability":
            assert save(draw(), tmp_path / "again.png").read_bytes() == first


# --- real runs


@pytest.mark.slow
def test_digits_repeat_what_is_published(tmp_path):
    """Averages beat single runs; train-averaged scores are far above counts; Spearman-Brown within .05."""
    from scoring import score
    from scoring.examples import Examples
    from training import train

    digits = Examples.load("digits")
    train(
        digits, model="mlp", model_options={"hidden": [64]}, epochs=30, optimizer="sgd", lr=0.015, batch_size=32,
        seeds=range(10), device="cpu", record=True, clean_every="1 epoch", out=tmp_path / "runs",
    )  # fmt: skip
    averaged, early = (
        ["loss@mean", "confidence@mean", "el2n@mean", "entropy@mean"],
        ["el2n@epoch=1", "el2n@epoch=3"],
    )
    counts = ["forgetting", "first_learned", "accuracy_over_time"]
    table = score(digits, [*averaged, *early, *counts], tmp_path / "runs", per_run=True, signals="recorded")
    scores = RunScores.of_tables({"mlp": table})
    curves = {name: run_curve(scores.values(name, "mlp")) for name in scores.scores}
    for name, curve in curves.items():
        assert curve.largest.rho.value > curve.single.rho.value, name
    worst = min(curves[name].single.rho.value for name in averaged)
    assert worst > max(curves[name].single.rho.value for name in counts) + 0.2
    for name in averaged + early:
        predicted = spearman_brown(curves[name].single.rho.value, 5)
        assert predicted == pytest.approx(curves[name].of(5).rho.value, abs=0.05), name
        two = run_curve(scores.values(name, "mlp")[:4])
        assert expected(two, "overlap", 5).value == pytest.approx(
            curves[name].largest.overlap.value, abs=0.06
        )
    for name in counts:
        assert curves[name].tie_loss > MOST_TIE_LOSS, name
        assert spearman_brown(curves[name].single.rho.value, 5) > curves[name].of(5).rho.value + 0.05
