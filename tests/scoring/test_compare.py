"""Reliability, agreement and detection against SciPy, scikit-learn and closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from scoring.compare.agreement.columns import agreement
from scoring.compare.detection import (
    auroc,
    auroc_interval,
    average_precision,
    delong_error,
    detection,
    detections,
    precision_at,
)
from scoring.compare.ranks import average_ranks, chance_in_top, spearman
from scoring.compare.reliability.single_runs import pair_correlations, reliabilities, reliability
from scoring.compare.reliability.spearman_brown import runs_needed, spearman_brown
from scoring.describe import tied_fraction
from scoring.errors import InputError


def tied_values(seed: int, n: int, levels: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, levels, n).astype(float)


# --- ranks


@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=40))
def test_average_ranks_are_scipys(values):
    np.testing.assert_allclose(average_ranks(values), stats.rankdata(values))


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_spearman_is_scipys(levels):
    a, b = tied_values(0, 200, levels), tied_values(1, 200, levels)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert spearman(a, a) == 1
    assert spearman(a, -a) == -1


def test_spearman_of_a_constant_is_nan():
    assert np.isnan(spearman([1, 1, 1], [1, 2, 3]))


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.data())
def test_chance_in_top_sums_to_k_and_is_fair_to_ties(values, data):
    k = data.draw(st.integers(1, len(values)))
    chance = chance_in_top(values, k)
    assert chance.sum() == pytest.approx(k)
    assert ((chance >= 0) & (chance <= 1)).all()
    for value in set(values):
        assert len({c for c, v in zip(chance, values) if v == value}) == 1


# --- reliability


def noisy_runs(runs: int, rows: int, noise: float, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(size=rows) + noise * rng.normal(size=(runs, rows))


def test_reliability_is_the_mean_over_pairs():
    runs = noisy_runs(4, 300, 0.7)
    pairs = [stats.spearmanr(runs[i], runs[j]).statistic for i in range(4) for j in range(i)]
    found = reliability(runs, keep=0.25)
    assert found.rho == pytest.approx(np.mean(pairs))
    assert (found.rho_lowest, found.rho_highest) == pytest.approx((min(pairs), max(pairs)))
    assert (found.runs, found.rows, found.tied) == (4, 300, 0)


def test_overlap_is_the_intersection_of_kept_sets():
    runs = noisy_runs(2, 200, 0.5)
    top = [set(np.argsort(-run)[:60]) for run in runs]
    assert reliability(runs, keep=0.3).overlap == pytest.approx(len(top[0] & top[1]) / 60)
    bottom = [set(np.argsort(run)[:60]) for run in runs]
    easy = reliability(runs, keep=0.3, meaning="easy").overlap
    assert easy == pytest.approx(len(bottom[0] & bottom[1]) / 60)


def test_constant_scores_overlap_by_chance_and_have_no_correlation():
    found = reliability(np.ones((3, 100)), keep=0.3)
    assert np.isnan(found.rho)
    assert found.overlap == pytest.approx(0.3)
    assert found.tied == 1
    assert found.of_mean(3) is None


def test_spearman_brown_predicts_the_reliability_of_means():
    runs = noisy_runs(40, 3000, 1.0)
    single = reliability(runs[:8]).rho
    means = np.stack([runs[:20].mean(axis=0), runs[20:].mean(axis=0)])
    assert spearman_brown(single, 20) == pytest.approx(reliability(means).rho, abs=0.02)
    assert reliability(runs[:8]).of_mean(20) == pytest.approx(spearman_brown(single, 20))


def test_runs_needed_inverts_spearman_brown():
    assert spearman_brown(0.5, runs_needed(0.5, 0.9)) == pytest.approx(0.9)
    assert runs_needed(0.95, 0.9) == 1
    assert runs_needed(-0.1, 0.9) == np.inf


def test_reliabilities_put_the_most_reliable_first_and_constants_last():
    runs = {"flat": np.ones((2, 50)), "noisy": noisy_runs(2, 50, 3.0), "exact": noisy_runs(2, 50, 0.01)}
    names = [r.name for r in reliabilities(runs, dict.fromkeys(runs, "hard"))]
    assert names == ["exact", "noisy", "flat"]


def test_missing_values_are_refused_or_dropped_pairwise():
    runs = noisy_runs(3, 60, 0.5)
    holes = runs.copy()
    holes[0, :10] = np.nan
    with pytest.raises(InputError, match="10 NaN"):
        reliability(holes)
    rho = pair_correlations(holes, nan="drop")
    assert rho[0, 1] == pytest.approx(stats.spearmanr(runs[0, 10:], runs[1, 10:]).statistic)
    assert rho[1, 2] == pytest.approx(stats.spearmanr(runs[1], runs[2]).statistic)


@pytest.mark.parametrize(
    ("runs", "options", "words"),
    [
        (np.ones((1, 5)), {}, "at least 2 runs"),
        (np.ones((2, 5)), {"keep": 1.0}, "keep must be a fraction"),
        (np.ones((2, 5)), {"nan": "omit"}, "'error' or 'drop'"),
        (np.ones((2, 2)), {}, "at least 3"),
    ],
)
def test_reliability_errors_are_one_sentence(runs, options, words):
    with pytest.raises(InputError, match=words) as error:
        reliability(runs, **options)
    assert "\n" not in str(error.value)


def test_tied_fraction():
    assert tied_fraction([1, 1, 2, np.nan]) == pytest.approx(2 / 3)


# --- agreement


def test_agreement_turns_every_column_to_hard():
    loss = np.random.default_rng(0).normal(size=100)
    found = agreement({"loss": loss, "confidence": np.exp(-loss)}, {"loss": "hard", "confidence": "easy"})
    np.testing.assert_allclose(found.rho_SS, 1)


def test_agreement_is_scipys_matrix():
    values = {f"s{i}": tied_values(i, 150, 9) for i in range(4)}
    found = agreement(values, dict.fromkeys(values, "uncertain"))
    expected = stats.spearmanr(np.stack(list(values.values())), axis=1).statistic
    np.testing.assert_allclose(found.rho_SS, expected, atol=1e-12)
    assert found.of("s0", "s2") == pytest.approx(expected[0, 2])


def test_agreement_keeps_constants_as_nan_and_drops_rows_everywhere():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40))
    a[3] = np.nan
    columns = {"a": a, "b": b, "flat": np.zeros(40)}
    meanings = {"a": "hard", "b": "hard", "flat": "hard"}
    with pytest.raises(InputError, match="1 NaN"):
        agreement(columns, meanings)
    found = agreement(columns, meanings, nan="drop")
    assert found.rows == 39
    assert np.isnan(found.of("flat", "a")) and np.isnan(found.of("flat", "flat"))
    assert found.of("a", "b") == pytest.approx(stats.spearmanr(np.delete(a, 3), np.delete(b, 3)).statistic)


def test_agreement_takes_what_has_no_hard_end_as_it_is_and_refuses_classes():
    values = np.arange(10.0)
    with pytest.raises(InputError, match="no order"):
        agreement({"class": values, "b": values}, {"class": "label", "b": "hard"})
    assert agreement({"q": values, "b": values}, {"q": "quality", "b": "easy"}).of("q", "b") == -1
    assert agreement({"r": values, "b": values}, {"r": "arbitrary", "b": "hard"}).of("r", "b") == 1


def test_order_puts_similar_scores_side_by_side():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 300))
    columns = {
        "x1": x, "y1": y, "x2": x + 0.1 * rng.normal(size=300),
        "y2": y + 0.1 * rng.normal(size=300), "x3": x + 0.1 * rng.normal(size=300),
    }  # fmt: skip
    found = agreement(columns, dict.fromkeys(columns, "hard"))
    letters = "".join(name[0] for name in found.ordered().names)
    assert letters in ("xxxyy", "yyxxx")
    assert found.ordered().of("x1", "y2") == found.of("x1", "y2")
    assert found.closest("y1")[0] == "y2"


# --- detection


@pytest.mark.parametrize("levels", [2, 4, 1000])
def test_detection_is_scikit_learns(levels):
    values = tied_values(0, 300, levels)
    wrong = np.random.default_rng(1).random(300) < 0.2 + 0.3 * (values > levels / 2)
    assert auroc(values, wrong) == pytest.approx(metrics.roc_auc_score(wrong, values))
    assert average_precision(values, wrong) == pytest.approx(metrics.average_precision_score(wrong, values))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_auroc_counts_pairs_with_ties_half(rows):
    values, wrong = np.array([r[0] for r in rows], dtype=float), np.array([r[1] for r in rows])
    if wrong.all() or not wrong.any():
        return
    pairs = values[wrong][:, None] - values[~wrong][None, :]
    assert auroc(values, wrong) == pytest.approx(((pairs > 0) + 0.5 * (pairs == 0)).mean())


def test_delong_is_the_slow_definition():
    values = tied_values(3, 80, 12)
    wrong = np.random.default_rng(4).random(80) < 0.3
    wins = (values[wrong][:, None] > values[~wrong]) + 0.5 * (values[wrong][:, None] == values[~wrong])
    variance = wins.mean(axis=1).var(ddof=1) / wins.shape[0] + wins.mean(axis=0).var(ddof=1) / wins.shape[1]
    assert delong_error(values, wrong) == pytest.approx(np.sqrt(variance))


def test_delong_matches_the_bootstrap():
    rng = np.random.default_rng(5)
    wrong = np.arange(400) < 80
    values = rng.normal(size=400) + wrong
    draws = []
    for _ in range(400):
        rows = np.r_[rng.integers(0, 80, 80), rng.integers(80, 400, 320)]
        draws.append(auroc(values[rows], wrong[rows]))
    assert delong_error(values, wrong) == pytest.approx(np.std(draws), rel=0.15)


@settings(max_examples=50)
@given(st.floats(0, 1), st.integers(1, 500), st.integers(1, 500))
def test_interval_holds_the_estimate_and_stays_inside(area, wrong, right):
    low, high = auroc_interval(area, wrong, right)
    assert 0 <= low <= area <= high <= 1
    mirrored = auroc_interval(1 - area, wrong, right)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_interval_keeps_a_width_at_perfect_separation_and_covers():
    assert auroc_interval(1.0, 20, 200)[0] < 0.99
    rng = np.random.default_rng(0)
    truth, covered = stats.norm.cdf(1.5 / np.sqrt(2)), 0
    for _ in range(300):
        values = np.r_[rng.normal(1.5, 1, 30), rng.normal(0, 1, 200)]
        low, high = auroc_interval(auroc(values, np.arange(230) < 30), 30, 200)
        covered += low <= truth <= high
    assert covered / 300 > 0.91


def test_precision_at_k_shares_ties_out():
    wrong = np.array([True, False, True, False])
    assert precision_at([3, 2, 1, 0], wrong, 1) == 1
    assert precision_at([3, 2, 1, 0], wrong, 2) == 0.5
    assert precision_at([1, 1, 1, 1], wrong, 2) == 0.5
    assert precision_at([2, 1, 1, 1], wrong, 2) == pytest.approx((1 + 1 / 3) / 2)


def test_detection_reads_the_meaning():
    values, wrong = np.arange(20.0), np.arange(20) < 5
    assert detection(values, wrong, meaning="hard").auroc == 0
    found = detection(values, wrong, name="aum", meaning="clean")
    assert (found.auroc, found.average_precision, found.k, found.precision_at_k) == (1, 1, 5, 1)


@pytest.mark.parametrize(
    ("shift", "words"),
    [(6.0, "finds nearly all of"), (2.5, "finds most of"), (1.2, "finds part of"), (0.4, "barely finds"),
     (0.0, "does not find"), (-1.0, "points away from")],
)  # fmt: skip
def test_verdict_says_how_well_in_plain_words(shift, words):
    wrong = np.arange(4000) < 400
    values = np.random.default_rng(0).normal(size=4000) + shift * wrong
    sentence = detection(values, wrong, name="el2n").verdict
    assert sentence.startswith(f"el2n {words} this noise: AUROC ")
    assert sentence.endswith("10% by chance.")


def test_verdict_never_rounds_up_to_perfect():
    wrong = np.arange(10_000) < 100
    values = wrong.astype(float) + np.linspace(0, 0.5, 10_000)
    values[0] = 0.49
    assert "AUROC >0.999" in detection(values, wrong).verdict


def test_detections_are_sorted_and_errors_are_clear():
    wrong = np.arange(30) < 6
    columns = {"bad": np.arange(30.0), "good": -np.arange(30.0)}
    assert [d.name for d in detections(columns, dict.fromkeys(columns, "hard"), wrong)] == ["good", "bad"]
    with pytest.raises(InputError, match="both kinds"):
        detection(np.arange(5.0), np.zeros(5, dtype=bool))
    with pytest.raises(InputError, match="bool array of shape"):
        detection(np.arange(5.0), np.zeros(4, dtype=bool))
    with pytest.raises(InputError, match="k must be between 1 and 30"):
        detection(np.arange(30.0), wrong, k=31)
    with pytest.raises(InputError, match="1 NaN"):
        detection([np.nan, 1, 2, 3], np.array([True, False, True, False]))
