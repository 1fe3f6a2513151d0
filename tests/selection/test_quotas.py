"""Quotas: exact sums, bounds kept, and the slow obvious divisions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from references.selection_slow import hamilton, round_robin

from selection.quotas import apportion

SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def test_known_cases():
    assert apportion(550, [1000, 100], [1000, 100]).tolist() == [500, 50]
    assert apportion(550, [1, 1], [1000, 100]).tolist() == [450, 100]
    assert apportion(10, [3, 3, 3], [9, 9, 9]).tolist() == [4, 3, 3]
    assert apportion(110, [1000, 100], [1000, 100], [27, 27]).tolist() == [83, 27]
    assert apportion(0, [1, 2], [5, 5]).tolist() == [0, 0]
    assert apportion(2, [5, 5], [0, 2]).tolist() == [0, 2]
    assert apportion(0, [], []).tolist() == []


@given(SIZES, st.data())
def test_proportional_is_hamilton(sizes, data):
    total = data.draw(st.integers(0, sum(sizes)))
    assert apportion(total, sizes, sizes).tolist() == hamilton(total, sizes)


@given(SIZES, st.data())
def test_equal_is_round_robin_and_nests(sizes, data):
    total = data.draw(st.integers(0, sum(sizes) - 1))
    quotas = apportion(total, [1] * len(sizes), sizes)
    assert quotas.tolist() == round_robin(total, sizes)
    assert (apportion(total + 1, [1] * len(sizes), sizes) >= quotas).all()


@given(st.data())
def test_sum_and_bounds(data):
    groups = data.draw(st.integers(1, 8))
    numbers = st.lists(st.integers(0, 40), min_size=groups, max_size=groups)
    caps = data.draw(numbers)
    floors = [min(low, cap) for low, cap in zip(data.draw(numbers), caps)]
    weights = [w + 1 for w in data.draw(numbers)]
    total = data.draw(st.integers(sum(floors), sum(caps)))
    quotas = apportion(total, weights, caps, floors)
    assert quotas.sum() == total
    assert (quotas <= np.array(caps)).all() and (quotas >= np.array(floors)).all()
