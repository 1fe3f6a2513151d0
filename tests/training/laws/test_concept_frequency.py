"""Accuracy against concept frequency: closed forms, a planted line, and a classifier trained on Zipf classes."""

import numpy as np
import pytest
from scipy.stats import binomtest, linregress
from sklearn.neighbors import KNeighborsClassifier

from scoring.errors import InputError
from training.laws.concept_frequency import concept_frequency
from training.laws.uncertainty.interval import wilson_interval


def planted(rng, concepts=200, slope=0.12, noise=0.1):
    counts = np.round(10 ** rng.uniform(0, 5, concepts))
    return counts, np.clip(0.1 + slope * np.log10(counts) + noise * rng.normal(size=concepts), 0, 1)


def test_line_and_correlation_are_those_of_least_squares():
    counts, accuracy = planted(np.random.default_rng(0))
    found, slow = concept_frequency(counts, accuracy), linregress(np.log10(counts), accuracy)
    assert (found.slope.value, found.intercept) == pytest.approx((slow.slope, slow.intercept))
    assert found.r.value == pytest.approx(slow.rvalue)
    half = 1.96 * slow.stderr
    assert found.slope.high - found.slope.low == pytest.approx(2 * half, rel=0.2)
    np.testing.assert_allclose(found.predict([10, 1000]), slow.intercept + slow.slope * np.array([1, 3]))
    assert found.seen == 200 and found.never == 0 and not found.cautions


def test_bins_are_decades_with_their_means():
    counts = [0, 0, 1, 9, 10, 99, 100, 1000, 99999, 100000]
    accuracy = [0.0, 0.1, 0.2, 0.3, 0.4, 0.6, 0.5, 0.9, 0.7, 0.8]
    bins = concept_frequency(counts, accuracy).bins
    assert [(b.low, b.high, b.concepts) for b in bins] == [
        (0, 1, 2),
        (1, 10, 2),
        (10, 100, 2),
        (100, 1000, 1),
        (1000, 10000, 1),
        (10000, 100000, 1),
        (100000, 1000000, 1),
    ]
    assert [b.accuracy.value for b in bins] == pytest.approx([0.05, 0.25, 0.5, 0.5, 0.9, 0.7, 0.8])
    assert np.isnan(bins[0].mean_log10) and bins[1].mean_log10 == pytest.approx(np.log10(9) / 2)
    assert all(b.accuracy.low < b.accuracy.value < b.accuracy.high for b in bins)


def test_wilson_is_scipys():
    for k, n in ((0, 5), (3, 11), (11, 11)):
        slow = binomtest(k, n).proportion_ci(0.9, method="wilson")
        found = wilson_interval(k / n, n, 0.9)
        assert (found.low, found.high) == pytest.approx((slow.low, slow.high), abs=1e-12)


def test_intervals_cover_the_planted_slope():
    rng, hit, inside = np.random.default_rng(1), 0, 0
    for _ in range(200):
        counts = 10 ** rng.uniform(0, 4, 60)
        accuracy = 0.3 + 0.1 * np.log10(counts) + rng.uniform(-0.2, 0.2, 60)
        found = concept_frequency(counts, accuracy, resamples=400)
        hit += 0.1 in found.slope
        second = found.bins[1]
        centre = 0.3 + 0.1 * second.mean_log10
        inside += centre in second.accuracy
    assert 180 <= hit < 200 and inside >= 190


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_of_a_classifier_on_zipf_classes_is_linear_in_log_frequency(seed):
    """400 Gaussian classes that overlap so that accuracy does not level off at 1; the k-th has 3000 / k^1.3 examples.

    Every ninth of the rarer half has none.
    """
    rng = np.random.default_rng(seed)
    counts = np.maximum(1, np.round(3000 / np.arange(1, 401) ** 1.3)).astype(int)
    counts[200::9] = 0
    centres = rng.normal(size=(400, 24))
    labels, asked = np.repeat(np.arange(400), counts), np.repeat(np.arange(400), 20)
    train, test = (centres[of] + rng.normal(size=(len(of), 24)) for of in (labels, asked))
    right = KNeighborsClassifier(1).fit(train, labels).predict(test) == asked
    found = concept_frequency(counts, right.reshape(400, 20).mean(1))
    assert found.never == 23 and found.bins[0].accuracy.value == 0 and found.bins[0].concepts == 23
    assert len(found.bins) == 5 and found.r_bins >= 0.9
    assert found.r.low > 0.6 and found.slope.low > 0.2
    assert [b.accuracy.value for b in found.bins] == sorted(b.accuracy.value for b in found.bins)


def test_frequency_that_does_not_matter_is_called_so():
    rng = np.random.default_rng(3)
    found = concept_frequency(10 ** rng.uniform(0, 4, 50), rng.uniform(0, 1, 50))
    assert 0 in found.slope and "unrelated" in {c.code for c in found.cautions}


def test_edges():
    same = concept_frequency([1, 10, 100], [0.4, 0.4, 0.4])
    assert same.slope.value == pytest.approx(0) and np.isnan(same.r.value) and np.isnan(same.r_bins)
    assert {c.code for c in same.cautions} == {"few_runs", "unrelated"}
    narrow = concept_frequency([10, 20, 30, 40], [0.1, 0.2, 0.3, 0.4])
    assert np.isnan(narrow.r_bins) and {c.code for c in narrow.cautions} == {"few_runs", "flat"}
    counts, accuracy = planted(np.random.default_rng(4), 30)
    turn = np.random.default_rng(5).permutation(30)
    assert concept_frequency(counts, accuracy) == concept_frequency(counts[turn], accuracy[turn])
    with pytest.raises(InputError, match="above 0"):
        narrow.predict([0.0])


@pytest.mark.parametrize(
    ("counts", "accuracy", "said"),
    [
        ([1, 2], [0.1, 0.2], "at least 3"),
        ([1, 2, 3], [0.1, 0.2], "one length"),
        ([1, 2, np.nan], [0.1, 0.2, 0.3], "counts is not finite"),
        ([1, 2, 3], [0.1, 0.2, np.inf], "accuracy is not finite"),
        ([-1, 2, 3], [0.1, 0.2, 0.3], "0, or 1 and more"),
        ([0.5, 2, 3], [0.1, 0.2, 0.3], "0, or 1 and more"),
        ([1, 2, 3], [0.1, 0.2, 30.0], "in \\[0, 1\\]"),
        ([0, 0, 3], [0.1, 0.2, 0.3], "2 different counts"),
        ([7, 7, 7], [0.1, 0.2, 0.3], "2 different counts"),
    ],
)
def test_what_is_no_table_of_concepts_is_refused(counts, accuracy, said):
    with pytest.raises(InputError, match=said):
        concept_frequency(counts, accuracy)
