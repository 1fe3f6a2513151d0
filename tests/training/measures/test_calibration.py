"""Calibration error against a slow twin, closed forms and planted worlds; Brier score against scikit-learn."""

import numpy as np
import pytest

from scoring.errors import InputError
from tests.references.measures_slow import equal_mass_error, equal_width_error
from training.measures.calibration import brier_score, calibration_error, reliability_bins


@pytest.mark.parametrize("seed", range(5))
def test_both_binnings_against_slow_twins(seed):
    rng = np.random.default_rng(seed)
    n, bins = int(rng.integers(1, 300)), int(rng.integers(1, 30))
    confidence, right = rng.uniform(0.05, 1, n), (rng.uniform(size=n) < 0.7).astype(float)
    for binning, twin in (("equal_width", equal_width_error), ("equal_mass", equal_mass_error)):
        want = twin(confidence.tolist(), right.tolist(), bins)
        assert calibration_error(confidence, right, bins, binning) == pytest.approx(want, abs=1e-12)


def test_bin_edges_are_closed_on_the_right_and_bins_may_be_empty():
    found = reliability_bins([0.5, 0.25, 1.0, 0.75, 0.76], [1, 0, 1, 1, 0], bins=4)
    assert found.count_M.tolist() == [1, 1, 1, 2]
    assert found.accuracy_M.tolist() == [0, 1, 1, 0.5]
    alone = reliability_bins([1.0], [1], bins=15)
    assert (
        alone.count_M.tolist() == [0] * 14 + [1]
        and np.isnan(alone.accuracy_M[:14]).all()
        and alone.error == 0
    )


def test_equal_mass_bins_differ_by_one_at_most_and_ties_do_not_depend_on_order():
    rng = np.random.default_rng(1)
    confidence = rng.choice([0.4, 0.6, 0.8, 0.9], 101)
    right = (rng.uniform(size=101) < confidence).astype(float)
    found = reliability_bins(confidence, right, binning="equal_mass")
    assert found.count_M.max() - found.count_M.min() == 1 and found.count_M.sum() == 101
    order = rng.permutation(101)
    again = reliability_bins(confidence[order], right[order], binning="equal_mass")
    assert again.error == pytest.approx(found.error, abs=1e-12)
    assert reliability_bins(
        np.full(30, 0.7), np.r_[np.ones(15), np.zeros(15)], binning="equal_mass"
    ).error == (pytest.approx(0.2))


def test_planted_miscalibration_is_found_and_none_tends_to_zero():
    """An accuracy that is .1 below confidence everywhere has an error of .1; a calibrated model one near 0."""
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.3, 1, 200_000)
    for shift in (0.0, 0.1):
        right = (rng.uniform(size=len(confidence)) < confidence - shift).astype(float)
        for binning in ("equal_width", "equal_mass"):
            assert calibration_error(confidence, right, binning=binning) == pytest.approx(shift, abs=0.01)


def test_brier_score_in_closed_form_and_as_scikit_learn():
    assert brier_score([[1.0, 0.0]], [0]) == 0 and brier_score([[1.0, 0.0]], [1]) == 2
    assert brier_score(np.full((7, 4), 0.25), np.arange(7) % 4) == pytest.approx(3 / 4)
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    p, y = rng.uniform(size=50), rng.integers(0, 2, 50)
    assert brier_score(np.c_[1 - p, p], y) / 2 == pytest.approx(metrics.brier_score_loss(y, p))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (([], []), "confidence must be one per example"),
        (([0.5], [1, 0]), "confidence must be one per example"),
        (([np.nan], [1]), r"confidence must be in \[0, 1\]"),
        (([1.2], [1]), r"confidence must be in \[0, 1\]"),
        (([0.5], [1], 0), "bins must be a whole number from 1"),
        (([0.5], [1], 5, "wide"), "equal_width"),
    ],
)
def test_what_is_refused(given, words):
    with pytest.raises(InputError, match=words):
        reliability_bins(*given)
