"""Measures of a classifier against a slow twin and scikit-learn, and the edges."""

import numpy as np
import pytest

from scoring.errors import InputError
from tests.references.measures_slow import measures
from training.evaluate import macro_f1
from training.measures.classification import classification_measures
from training.measures.kept import kept_measures


def found_by(logits, labels, names, **more):
    found = classification_measures(np.asarray(logits, dtype=float), np.asarray(labels), names, **more)
    keyed = {(each.group, each.metric): each.value for each in found}
    assert len(keyed) == len(found) and all(isinstance(value, float) for value in keyed.values())
    return keyed


@pytest.mark.parametrize("seed", range(4))
def test_all_against_a_slow_twin_and_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    n, classes = int(rng.integers(2, 120)), int(rng.integers(2, 6))
    logits, labels = rng.normal(0, 3, (n, classes)), rng.integers(0, classes, n)
    names = [f"k{k}" for k in range(classes)]
    found = found_by(logits, labels, names)
    for metric, value in measures(logits, labels).items():
        assert found["", metric] == pytest.approx(value, abs=1e-12), metric
    predictions = logits.argmax(axis=1)
    assert found["", "macro_f1"] == macro_f1(labels, predictions)
    metrics = pytest.importorskip("sklearn.metrics")
    precision, recall, f1, count = metrics.precision_recall_fscore_support(
        labels, predictions, labels=range(classes), zero_division=0
    )
    for k, name in enumerate(names):
        if count[k] == 0:
            assert not [key for key in found if key[0] == f"class:{name}"]
            continue
        assert found[f"class:{name}", "accuracy"] == pytest.approx(recall[k])
        assert found[f"class:{name}", "f1"] == pytest.approx(f1[k])
        assert found.get((f"class:{name}", "precision"), 0.0) == pytest.approx(precision[k])


def test_order_of_rows_does_not_matter():
    rng = np.random.default_rng(5)
    logits, labels = rng.normal(size=(80, 3)).round(1), rng.integers(0, 3, 80)
    order = rng.permutation(80)
    one, two = found_by(logits, labels, list("abc")), found_by(logits[order], labels[order], list("abc"))
    assert one.keys() == two.keys() and all(two[key] == pytest.approx(one[key], abs=1e-12) for key in one)


def test_groups_one_class_ties_and_a_class_never_predicted():
    logits, labels = [[2, 1, 0], [2, 1, 0], [0, 0, 0]], [0, 1, 0]
    found = found_by(logits, labels, list("abc"), groups={"place": ["x", "y", "x"]})
    assert found["class:a", "accuracy"] == 1, "of equal logits the first counts"
    assert found["class:a", "precision"] == pytest.approx(2 / 3)
    assert ("class:b", "precision") not in found and found["class:b", "f1"] == 0
    assert not [key for key in found if key[0] == "class:c"], "no example has it"
    assert found["place:x", "accuracy"] == 1 and found["place:y", "accuracy"] == 0
    assert found["", "worst_class_accuracy"] == 0
    alone = found_by([[3.0]], [0], ["only"])
    assert alone["", "accuracy"] == 1 and alone["", "loss"] == alone["", "brier"] == alone["", "ece"] == 0


def test_certain_and_wrong_is_finite():
    found = found_by([[1e4, -1e4]], [1], ["a", "b"])
    assert found["", "loss"] == pytest.approx(2e4) and found["", "brier"] == 2 and found["", "ece"] == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_logits_that_are_not_finite_are_refused(value):
    logits = np.zeros((3, 2))
    logits[1, 0] = value
    with pytest.raises(
        InputError, match=r"^measures: logits of 1 of 3 examples are not finite; .*diverged.*\.$"
    ):
        classification_measures(logits, np.array([0, 1, 0]), ["a", "b"])
    with pytest.raises(InputError, match="no examples to measure on"):
        classification_measures(np.zeros((0, 2)), np.zeros(0, dtype=np.int64), ["a", "b"])


def test_representation_of_what_was_kept():
    labels, planted = np.array([0, 0, 0, 0, 1, 1]), np.array([False] * 5 + [True])
    found = {
        (m.group, m.metric): m.value
        for m in kept_measures(labels, ["a", "b", "c"], np.array([0, 4, 5]), planted)
    }
    assert found["class:a", "representation"] == pytest.approx(1 / 3 / (4 / 6) - 1)
    assert found["class:b", "representation"] == pytest.approx(1.0)
    assert ("class:c", "representation") not in found and found["", "planted"] == pytest.approx(1 / 3)
    shares = np.array([4, 2]) / 6
    changes = np.array([found["class:a", "representation"], found["class:b", "representation"]])
    assert (shares * changes).sum() == pytest.approx(0), (
        "gains and losses cancel, weighted by the shares before"
    )
    with pytest.raises(InputError, match="nothing was kept"):
        kept_measures(labels, ["a", "b"], np.array([], dtype=np.int64), planted)
