"""Hashes that stand in for randomness: stable, spread out, independent of order, without global state."""

import hashlib
import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from scoring.hashing import combine, derive_seed, digest, fingerprint, hash64, hash_ids, shuffled, uniform

MASK = (1 << 64) - 1


def splitmix64(value: int) -> int:
    """One output of splitmix64 for the state ``value``, in plain Python (Steele et al. 2014)."""
    z = (value + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_integer_ids_hash_as_splitmix64(ids):
    got = hash_ids(np.array(ids, dtype=np.int64)).tolist()
    assert got == [splitmix64(each & MASK) for each in ids]


def test_the_first_output_of_splitmix64_is_the_published_one():
    # The reference implementation by S. Vigna prints this for seed 0.
    assert int(hash_ids(np.array([0]))[0]) == 0xE220A8397B1DCDAF


@given(st.lists(st.text(max_size=20), max_size=20))
def test_text_ids_hash_as_blake2b(ids):
    want = [int.from_bytes(hashlib.blake2b(each.encode(), digest_size=8).digest(), "little") for each in ids]
    array = np.empty(len(ids), dtype=object)
    array[:] = ids
    assert hash_ids(array).tolist() == want


def test_narrow_integers_hash_like_wide_ones():
    ids = np.array([0, 1, 100])
    for kind in (np.int8, np.int32, np.uint16):
        assert np.array_equal(hash_ids(ids.astype(kind)), hash_ids(ids))


def test_seeds_and_ids_give_unrelated_numbers():
    ids = np.arange(20_000)
    columns = np.stack([uniform(seed, ids) for seed in range(4)])
    assert ((columns >= 0) & (columns < 1)).all()
    counts = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in columns])
    chi_square = ((counts - 1000.0) ** 2 / 1000.0).sum(axis=1)
    assert chi_square.max() < 43.8  # 99.9 % of chi-square with 19 degrees of freedom
    assert np.abs(np.corrcoef(columns) - np.eye(4)).max() < 4 / np.sqrt(20_000)
    neighbours = np.corrcoef(columns[0][:-1], columns[0][1:])[0, 1]
    assert abs(neighbours) < 4 / np.sqrt(20_000)


def test_uniform_of_an_id_does_not_depend_on_its_company():
    ids = np.array(["a", "b", "c"], dtype=object)
    assert uniform(3, ids)[1] == uniform(3, ids[1:2])[0]
    assert uniform(3, ids)[1] != uniform(4, ids)[1]
    assert len(uniform(3, ids[:0])) == 0


def test_a_derived_seed_tells_its_parts_apart():
    seeds = {
        derive_seed("a", 1),
        derive_seed("a1"),
        derive_seed("a", "1"),
        derive_seed(1, "a"),
        derive_seed("a", 1, 0),
    }
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed("order", 0, 3) == derive_seed("order", 0, 3)


@given(st.integers(0, 2**40), st.integers(0, 200))
def test_shuffled_is_a_permutation(seed, n):
    order = shuffled(seed, n)
    assert sorted(order.tolist()) == list(range(n))
    assert np.array_equal(order, shuffled(seed, n))


@given(st.lists(st.binary(max_size=4), max_size=4), st.lists(st.binary(max_size=4), max_size=4))
def test_digest_keeps_part_lists_apart(first, second):
    assert (digest(*first) == digest(*second)) == (first == second)


@given(st.lists(st.integers(0, MASK), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_fingerprint_ignores_order_but_not_rows(values, generator):
    rows = np.array(values, dtype=np.uint64)
    mixed = values.copy()
    generator.shuffle(mixed)
    assert fingerprint(np.array(mixed, dtype=np.uint64)) == fingerprint(rows)
    assert fingerprint(np.append(rows, np.uint64(0))) != fingerprint(rows)
    changed = rows.copy()
    changed[0] ^= np.uint64(1)
    assert fingerprint(changed) != fingerprint(rows)


def test_fingerprint_sees_duplicates_and_swapped_halves():
    a, b = hash_ids(np.array([1, 2]))
    assert fingerprint(np.array([a, a])) != fingerprint(np.array([b, b]))
    # The plain sums agree; the mixed sums do not.
    assert fingerprint(np.array([3, 5], dtype=np.uint64)) != fingerprint(np.array([4, 4], dtype=np.uint64))


def test_combine_depends_on_the_order_of_parts_and_works_row_by_row():
    a, b = hash_ids(np.arange(5)), hash_ids(np.arange(5, 10))
    assert not np.any(combine(a, b) == combine(b, a))
    assert np.array_equal(combine(a, b)[2:3], combine(a[2:3], b[2:3]))
    assert len(np.unique(combine(a, a))) == 5


@pytest.mark.parametrize(
    "call", [lambda: shuffled(1, 50), lambda: hash64(0, ["a", "b"]), lambda: uniform(1, [1, 2])]
)
def test_no_global_generator_is_touched(call):
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
    call()
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())  # noqa: NPY002
