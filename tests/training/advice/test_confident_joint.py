"""The confident joint: cleanlab's numbers, the definition written slowly, and its edges."""

import numpy as np
import pytest

from scoring.errors import InputError
from training.advice.confident_joint import confident_joint
from training.advice.noise_share import noise_share


def noisy_world(seed, rows=600, classes=5, wrong=0.15):
    """Labels of which ``wrong`` are another class, and probabilities that mostly know the true one."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, rows)
    labels = np.where(rng.random(rows) < wrong, (truth + rng.integers(1, classes, rows)) % classes, truth)
    logits = rng.normal(size=(rows, classes))
    logits[np.arange(rows), truth] += 3
    p_NC = np.exp(logits)
    return labels, p_NC / p_NC.sum(axis=1, keepdims=True), float((labels != truth).mean())


def slow_joint(labels, p_NC):
    classes = p_NC.shape[1]
    counts = np.zeros((classes, classes), dtype=int)
    for label, p in zip(labels, p_NC):
        reached = [
            j for j in range(classes) if (labels == j).any() and p[j] >= p_NC[labels == j, j].mean() - 1e-6
        ]
        if reached:
            counts[label, max(reached, key=lambda j: p[j])] += 1
    for j in range(classes):
        counts[j, j] = max(counts[j, j], int((labels == j).any()))
    return counts


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_definition_and_what_cleanlab_counts(seed):
    labels, p_NC, truth = noisy_world(seed)
    found = confident_joint(labels, p_NC)
    np.testing.assert_array_equal(found.counts_CC, slow_joint(labels, p_NC))
    assert found.joint_CC.sum() == pytest.approx(1) and found.joint_CC.sum(axis=1) == pytest.approx(
        np.bincount(labels) / len(labels)
    )
    assert found.share == pytest.approx(truth, abs=0.03)
    count = pytest.importorskip("cleanlab.count")
    np.testing.assert_array_equal(
        found.counts_CC, count.compute_confident_joint(labels, p_NC, calibrate=False)
    )
    # cleanlab rounds every cell of the calibrated joint to whole examples
    theirs = count.estimate_joint(labels, p_NC)
    assert np.abs(found.joint_CC - theirs).max() <= 1.01 / len(labels)
    off = ~np.eye(p_NC.shape[1], dtype=bool)
    assert found.suspected_N.sum() == found.counts_CC[off].sum()


def test_edges():
    one = confident_joint([0], [[1.0]])
    assert one.share == 0 and not one.suspected_N.any()
    absent = confident_joint([0, 0, 2], [[0.9, 0.1, 0.0], [0.8, 0.2, 0.0], [0.0, 0.3, 0.7]])
    assert absent.counts_CC[1].sum() == 0 and absent.counts_CC[:, 1].sum() == 0 and absent.share == 0
    equal = confident_joint([0, 1, 0, 1], np.full((4, 2), 0.5))
    assert equal.share == pytest.approx(
        2 / 4 * 2 / 3
    )  # nothing is known: all seem class 0, one of class 1 stays
    with pytest.raises(InputError, match="must be numbers"):
        confident_joint([0, 1], [[np.nan, 1], [0, 1]])
    with pytest.raises(InputError, match="of shape"):
        confident_joint([0, 1], [[1.0, 0.0]])
    with pytest.raises(InputError, match="classes from 0 to 1"):
        confident_joint([0, 2], [[1.0, 0.0], [0.0, 1.0]])


def test_the_interval_covers_and_does_not_see_the_order_of_rows():
    hit = 0
    for seed in range(40):
        labels, p_NC, _ = noisy_world(100 + seed, rows=400)
        found = noise_share(labels, p_NC[None], np.arange(400))
        centre = 0.1542  # mean of the estimate over 400 other worlds
        hit += centre in found
    assert hit >= 34
    labels, p_NC, _ = noisy_world(1)
    ids, turn = np.arange(len(labels)), np.random.default_rng(0).permutation(len(labels))
    there, again = (
        noise_share(labels, p_NC[None], ids),
        noise_share(labels[turn], p_NC[turn][None], ids[turn]),
    )
    assert (there.value, there.low, there.high) == pytest.approx((again.value, again.low, again.high))


def test_no_wrong_label_seen_is_not_certainty():
    labels = np.arange(100) % 2
    found = noise_share(labels, np.eye(2)[labels][None], np.arange(100))
    assert found.value == found.low == 0 and found.high == pytest.approx(1 - 0.05**0.01)
    assert noise_share([0], [[[1.0]]], np.arange(1)).high == pytest.approx(0.95)
