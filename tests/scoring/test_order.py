"""The total order: score, hash, id."""

import numpy as np
import pytest

import scoring.order
from scoring.order import hash_order, score_order


def test_ties_go_by_hash_in_both_directions():
    ids = np.arange(100)
    up = score_order(np.zeros(100), ids, 0, highest_first=False)
    assert up.tolist() == score_order(np.zeros(100), ids, 0, highest_first=True).tolist()
    assert up.tolist() == hash_order(ids, 0).tolist() != hash_order(ids, 1).tolist()


@pytest.mark.parametrize("strings", [False, True])
def test_colliding_hashes_fall_back_to_the_id(monkeypatch, strings):
    colliding = lambda seed, ids: np.array([int(i) % 3 for i in ids], dtype=np.uint64)  # noqa: E731
    monkeypatch.setattr(scoring.order, "hash64", colliding)
    rng = np.random.default_rng(0)
    ids = np.arange(40)
    values = ids % 4 * 1.0
    expected = sorted(range(40), key=lambda i: (values[i], i % 3, i))
    for _ in range(5):
        mix = rng.permutation(40)
        named = np.array([f"{i:02}" for i in ids], dtype=object) if strings else ids
        order = score_order(values[mix], named[mix], 0, highest_first=False)
        assert mix[order].tolist() == expected


def test_negative_zero_ties_with_zero():
    ids = np.arange(20)
    assert (
        score_order(np.array([0.0, -0.0] * 10), ids, 0, highest_first=True).tolist()
        == hash_order(ids, 0).tolist()
    )
