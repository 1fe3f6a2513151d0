"""KNN-Shapley against Shapley values over all subsets, its axioms, and its edges."""

import numpy as np
import pytest
import torch
from references import neighbors_slow as slow
from references.collected_layers import clusters, collected, reordered
from references.small_runs import train_small

from scoring import neighbors
from scoring.catalog import make_scorer
from scoring.compare.detection import auroc
from scoring.compare.ranks import hard_high
from scoring.errors import InputError
from scoring.examples import Examples
from scoring.find_runs import find_runs
from scoring.run import score
from scoring.scorers.knn_shapley import KnnShapley, KnnShapleyTarget, knn_shapley, ranked_values
from training.interventions.noisy_labels import flip_labels

NAN = float("nan")


@pytest.mark.parametrize("k", [1, 2, 3, 5, 8, 20])
@pytest.mark.parametrize("players", [1, 2, 5, 8])
def test_values_of_ranked_players_equal_those_over_all_subsets(players, k):
    rng = np.random.default_rng(players * 100 + k)
    right = rng.random((4, players)) < 0.5
    found = ranked_values(right, k)
    for b in range(4):
        order = list(range(players))
        expected = slow.shapley(order, lambda s: slow.utility(s, order, right[b], k))  # noqa: B023
        np.testing.assert_allclose(found[b], [expected[j] for j in order], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize(("k", "seed"), [(1, 0), (2, 1), (3, 2), (9, 3)])
@pytest.mark.parametrize("with_target", [False, True])
def test_equals_shapley_over_all_subsets_of_rows(k, seed, metric, with_target):
    rows, labels = clusters(8, 3, classes=2, spread=1.5, seed=seed)
    ids = np.array([f"row {n}" for n in range(8)])
    theirs = clusters(5, 3, classes=2, spread=1.5, seed=seed + 10) if with_target else None
    at = collected([rows], labels, ids=ids, target=theirs)
    scorer = KnnShapleyTarget(k, metric) if with_target else KnnShapley(k, metric)
    found = scorer.score_all([at])[""]
    expected = slow.knn_shapley(rows, labels, ids, k, metric, theirs)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("k", [1, 10, 300])
def test_values_add_up_to_the_utility_of_all(k):
    rows, labels = clusters(120, spread=1.5)
    others, gold = clusters(31, spread=1.5, seed=7)
    values = knn_shapley(rows, labels, np.arange(120), k, target=(others, gold, np.arange(31)))
    near = [slow.ranked(row, rows, np.arange(120), "euclidean")[:k] for row in others[:31]]
    shares = [np.sum(labels[order] == y) / k for order, y in zip(near, gold)]
    np.testing.assert_allclose(values.sum(), np.mean(shares), rtol=1e-12)


def test_closed_form_on_a_line():
    """One test point at 0, players at 1, 2, 3, of which the first and last are right, k = 1."""
    values = knn_shapley(
        np.array([[1.0], [2.0], [3.0]]), np.array([1, 0, 1]), np.arange(3), 1,
        target=(np.zeros((1, 1)), np.array([1]), np.array([0])),
    )  # fmt: skip
    # s3 = 1/3, s2 = s3 - 1/2, s1 = s2 + 1
    np.testing.assert_allclose(values, [5 / 6, -1 / 6, 1 / 3], rtol=1e-15)


def test_label_errors_have_the_lowest_values():
    rows, labels = clusters(300, spread=0.5)
    wrong = labels != np.arange(300) % 3
    values = knn_shapley(rows, labels, np.arange(300), 10)
    assert values[wrong].max() < values[~wrong].min() and values[wrong].mean() < 0 < values[~wrong].min()


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_order_of_rows_and_targets_changes_no_bit(metric):
    rows, labels = clusters(70, spread=1.5)
    rows[:20] = rows[20:40]
    others, gold = clusters(13, seed=3)
    order = np.random.default_rng(0).permutation(70)
    at = collected([rows], labels)
    found = KnnShapley(5, metric).score_all([at])[""]
    assert np.array_equal(KnnShapley(5, metric).score_all([reordered(at, order)])[""], found[order])
    ids, theirs = np.arange(70), np.arange(13)
    straight = knn_shapley(rows, labels, ids, 5, metric, (others, gold, theirs))
    mixed = knn_shapley(
        rows[order], labels[order], ids[order], 5, metric, (others[::-1], gold[::-1], theirs[::-1])
    )
    assert np.array_equal(mixed, straight[order])


def test_blocks_of_test_points(monkeypatch):
    rows, labels = clusters(70, spread=1.5)
    whole = knn_shapley(rows, labels, np.arange(70), 5)
    for elements in (1, 70 * 7, 70 * 69):
        monkeypatch.setattr(neighbors, "ELEMENTS", elements)
        np.testing.assert_allclose(knn_shapley(rows, labels, np.arange(70), 5), whole, rtol=0, atol=1e-15)


def test_what_is_not_finite_is_nan_and_leaves_the_others_alone():
    rows, labels = clusters(20, spread=1.5)
    others, gold = clusters(6, seed=5)
    expected = knn_shapley(rows[1:], labels[1:], np.arange(1, 20), 3)
    of_target = knn_shapley(
        rows[1:], labels[1:], np.arange(1, 20), 3, target=(others[1:], gold[1:], np.arange(1, 6))
    )
    rows[0, 1], others[0, 0] = NAN, np.inf
    found = knn_shapley(rows, labels, np.arange(20), 3)
    assert np.isnan(found[0]) and np.array_equal(found[1:], expected)
    found = knn_shapley(rows, labels, np.arange(20), 3, target=(others, gold, np.arange(6)))
    assert np.isnan(found[0]) and np.array_equal(found[1:], of_target)
    assert np.isnan(knn_shapley(rows * NAN, labels, np.arange(20), 3)).all()
    assert np.isnan(
        knn_shapley(rows, labels, np.arange(20), 3, target=(others * NAN, gold, np.arange(6)))
    ).all()


def test_one_example_two_examples_and_labels_the_target_lacks():
    assert np.isnan(knn_shapley(np.ones((1, 2)), np.array([0]), np.arange(1), 3)).all()
    assert knn_shapley(np.array([[0.0], [1.0]]), np.array([0, 0]), np.arange(2), 1).tolist() == [1, 1]
    assert knn_shapley(np.array([[0.0], [1.0]]), np.array([0, 1]), np.arange(2), 1).tolist() == [0, 0]
    target = (np.zeros((1, 1)), np.array([4]), np.arange(1))
    assert knn_shapley(
        np.array([[0.0], [1.0]]), np.array([0, 1]), np.arange(2), 1, target=target
    ).tolist() == [0, 0]
    one = (np.zeros((1, 1)), np.array([0]), np.arange(1))
    assert knn_shapley(np.ones((1, 1)), np.array([0]), np.arange(1), 4, target=one).tolist() == [0.25]


def test_constant_features_are_ranked_by_the_hash_of_the_id():
    labels = np.array([0, 1, 0, 1, 1, 0, 0])
    values = knn_shapley(np.ones((7, 3)), labels, np.arange(7), 2)
    np.testing.assert_allclose(
        values, slow.knn_shapley(np.ones((7, 3)), labels, np.arange(7), 2, "euclidean"), rtol=1e-12
    )


def test_wrong_options():
    with pytest.raises(InputError, match="knn_shapley: k must be a whole number from 1, got 0"):
        KnnShapley(0)
    with pytest.raises(InputError, match="knn_shapley: metric must be one of cosine, euclidean"):
        KnnShapleyTarget(metric="dot")


def test_label_errors_in_digits_are_found_by_what_reads_labels_alone(tmp_path):
    noisy = flip_labels(Examples.load("digits").take(np.arange(400)), 0.1)
    train_small(tmp_path / "run", noisy.examples, model_options={"hidden": (64,)})
    with_labels = ["knn_shapley", "prototypes:supervised", "prediction_depth"]
    without = ["prototypes:sorscher2022", "prototypes:kwok2024", "prediction_depth:baldock2021"]
    table = score(noisy.examples, [*with_labels, *without], tmp_path / "run")
    areas = {
        name: auroc(hard_high(table.column(name), make_scorer(name).meaning, name), noisy.flipped)
        for name in [*with_labels, *without]
    }
    assert all(areas[name] >= 0.94 for name in with_labels), areas
    assert all(0.4 <= areas[name] <= 0.7 for name in without), areas


def test_values_against_a_target_from_a_run(tmp_path):
    """The target's representations at the same checkpoint, through the public function."""
    digits = Examples.load("digits")
    examples, target = digits.take(np.arange(150)), digits.take(np.arange(150, 190))
    train_small(tmp_path / "run", examples)
    table = score(examples, ["knn_shapley:target(k=5)", "knn_shapley(k=5)"], tmp_path / "run", target=target)
    (run,) = find_runs(tmp_path / "run")
    model = run.load(run.checkpoints()[-1], examples)

    def last(of):
        batch = model.inputs.prepare(of).batch(np.arange(len(of)))
        with torch.no_grad():
            network = model.module
            return network.body(network.inputs(batch["x"])).numpy()

    pair = last(target), target.labels, target.ids
    for name, against in [("knn_shapley:target(k=5)", pair), ("knn_shapley(k=5)", None)]:
        expected = knn_shapley(last(examples), examples.labels, examples.ids, 5, "euclidean", against)
        np.testing.assert_allclose(table.column(name), expected, rtol=0, atol=1e-4)
        assert np.std(expected) > 5e-4
