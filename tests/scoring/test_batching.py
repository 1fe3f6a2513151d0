"""Batch plans: every row once, limits kept, similar lengths together."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scoring.batching import plan_batches

lengths_lists = st.lists(st.integers(1, 600), max_size=80)


@given(lengths_lists, st.integers(1, 40), st.none() | st.integers(1, 2000), st.booleans())
def test_every_row_once_within_the_limits(lengths, batch_size, max_tokens, sort):
    lengths = np.array(lengths, dtype=np.int64)
    batches = plan_batches(lengths, batch_size, max_tokens, sort)
    rows = np.concatenate([np.empty(0, dtype=np.int64), *batches])
    assert sorted(rows.tolist()) == list(range(len(lengths)))
    if not sort:
        assert rows.tolist() == sorted(rows.tolist())
    for batch in batches:
        assert batch.dtype == np.int64
        assert 1 <= len(batch) <= batch_size
        if max_tokens is not None and len(batch) > 1:
            assert lengths[batch].max() * len(batch) <= max_tokens


@given(lengths_lists, st.integers(1, 40))
def test_sorted_plans_go_from_long_to_short(lengths, batch_size):
    lengths = np.array(lengths, dtype=np.int64)
    planned = [lengths[batch] for batch in plan_batches(lengths, batch_size)]
    flat = np.concatenate([np.empty(0, dtype=np.int64), *planned])
    assert (np.diff(flat) <= 0).all()


def test_sorting_saves_padding():
    lengths = np.random.default_rng(0).lognormal(4, 0.8, 2000).astype(np.int64) + 1

    def padded(sort):
        batches = plan_batches(lengths, 32, sort=sort)
        return sum(len(batch) * lengths[batch].max() for batch in batches) / lengths.sum()

    assert padded(True) < 1.1
    assert padded(False) > 2


def test_a_row_over_the_token_limit_is_alone():
    assert [batch.tolist() for batch in plan_batches(np.array([5, 900, 5]), 8, 100)] == [[1], [0, 2]]
