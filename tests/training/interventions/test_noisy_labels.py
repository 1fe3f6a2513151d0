"""Label noise: exact counts, what was really changed, and no dependence on the order of the rows."""

import numpy as np
import pytest

from scoring.errors import InputError
from scoring.examples import Examples
from training.interventions.noisy_labels import confuse_labels, flip_labels, shuffle_labels


def examples(n: int = 1000, classes: int = 4) -> Examples:
    features = np.arange(n, dtype=np.float32)[:, None]
    return Examples.from_arrays(features, np.arange(n) % classes, ids=np.arange(n) * 7)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.145, 0.5, 1.0])
def test_flips_are_exact_and_always_another_class(rate: float) -> None:
    clean = examples(100)
    noisy = flip_labels(clean, rate, seed=3)
    assert noisy.flipped.sum() == {0.145: 15}.get(rate, round(rate * 100))
    assert noisy.rate == noisy.flipped.mean()
    np.testing.assert_array_equal(noisy.flipped, noisy.examples.labels != clean.labels)
    assert noisy.examples.ids.tolist() == clean.ids.tolist()


def test_flipped_classes_are_uniform_among_the_others() -> None:
    clean = examples(30_000)
    noisy = flip_labels(clean, 1.0)
    offsets = np.bincount((noisy.examples.labels - clean.labels) % 4, minlength=4)
    assert offsets[0] == 0
    assert (np.abs(offsets[1:] - 10_000) < 400).all()


def test_a_lower_rate_flips_a_subset_to_the_same_classes() -> None:
    low, high = (flip_labels(examples(), rate, seed=1) for rate in (0.1, 0.3))
    assert (high.flipped | ~low.flipped).all()
    changed = low.flipped
    np.testing.assert_array_equal(low.examples.labels[changed], high.examples.labels[changed])


def test_seeds_differ() -> None:
    one, two = (flip_labels(examples(), 0.2, seed=seed).flipped for seed in (0, 1))
    assert 0 < (one & two).sum() < 100


MATRIX = np.full((4, 4), 0.1) + 0.6 * np.eye(4)


@pytest.mark.parametrize(
    "corrupt",
    [
        lambda e: flip_labels(e, 0.2, 5),
        lambda e: shuffle_labels(e, 0.2, 5),
        lambda e: confuse_labels(e, MATRIX, 5),
    ],
    ids=["flip", "shuffle", "confuse"],
)
def test_row_order_does_not_matter_and_the_input_stays(corrupt) -> None:
    clean = examples()
    before = clean.labels.copy()
    order = np.random.default_rng(0).permutation(len(clean))
    noisy, shuffled = corrupt(clean), corrupt(clean.take(order))
    np.testing.assert_array_equal(noisy.examples.labels[order], shuffled.examples.labels)
    np.testing.assert_array_equal(noisy.flipped[order], shuffled.flipped)
    np.testing.assert_array_equal(clean.labels, before)
    assert noisy.examples.fingerprint == shuffled.examples.fingerprint != clean.fingerprint


def test_shuffle_keeps_class_counts_and_tells_the_realised_rate() -> None:
    clean = examples(3000, classes=3)
    noisy = shuffle_labels(clean, 0.05)
    np.testing.assert_array_equal(np.bincount(noisy.examples.labels), np.bincount(clean.labels))
    # Kwok et al. 2024: 5 % shuffled over three classes are 3.35 % real flips.
    assert 0.025 < noisy.rate < 0.04


def test_confusion_shares_are_exact_per_class() -> None:
    clean = examples(1000)
    noisy = confuse_labels(clean, MATRIX)
    for label in range(4):
        counts = np.bincount(noisy.examples.labels[clean.labels == label], minlength=4)
        np.testing.assert_array_equal(counts, [175 if other == label else 25 for other in range(4)])
    assert noisy.rate == pytest.approx(0.3)
    assert confuse_labels(clean, np.eye(4)).rate == 0


def test_confusion_quotas_that_do_not_divide_still_cover_every_row() -> None:
    matrix = np.full((3, 3), 1 / 3)
    noisy = confuse_labels(examples(10, classes=3), matrix)
    np.testing.assert_array_equal(np.bincount(noisy.examples.labels), [4, 3, 3])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda e: flip_labels(e, 1.5), r"flip_labels: rate must be a number from 0 to 1, got 1\.5\."),
        (
            lambda e: shuffle_labels(e, float("nan")),
            r"shuffle_labels: rate must be a number from 0 to 1, got nan\.",
        ),
        (
            lambda e: confuse_labels(e, np.eye(3)),
            r"confuse_labels: matrix must be of shape \(4, 4\), got \(3, 3\)\.",
        ),
        (lambda e: confuse_labels(e, np.eye(4) * 2), "rows of non-negative shares that sum to 1"),
    ],
)
def test_wrong_values_are_one_sentence(call, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        call(examples())


def test_examples_without_labels_are_refused() -> None:
    unlabelled = Examples.from_arrays(np.zeros((3, 2), dtype=np.float32) + np.arange(3)[:, None])
    with pytest.raises(InputError, match="flip_labels: examples must have labels"):
        flip_labels(unlabelled, 0.1)
