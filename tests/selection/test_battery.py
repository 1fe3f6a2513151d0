"""The contract battery: every strategy of the catalogue under every balance."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.score_tables import random_table, shuffled, table_of
from references.selection_slow import ranking, top_with_floor

from scoring.errors import InputError
from selection.catalog import STRATEGIES, make_strategy
from selection.pools import BALANCES
from selection.run import select

NAMES = sorted(STRATEGIES)
ENDS = ["hardest", "easiest", "highest", "lowest"]
SCORED = [name for name in NAMES if make_strategy(name, {})[1].reads_scores]
each_strategy = pytest.mark.parametrize("take", NAMES)
each_balance = pytest.mark.parametrize("balance", BALANCES)


@each_strategy
@each_balance
@pytest.mark.parametrize("strings", [False, True])
def test_exact_budget_for_every_size(take, balance, strings):
    table = random_table(30, strings=strings)
    for k in range(31):
        subset = select(table, "s", take, keep=k, balance=balance)
        assert len(subset) == k == len(set(subset.ids.tolist()))
        assert set(subset.ids.tolist()) <= set(table.ids.tolist())
        assert subset.info["rows"] == k and not subset.info["short"]
    assert set(select(table, "s", take, keep=1.0, balance=balance).ids) == set(table.ids)


@each_strategy
@each_balance
def test_more_than_there_is(take, balance):
    table = random_table(20)
    with pytest.raises(
        InputError, match=r"^select: keep asks for 21 rows, but there are 20; pass allow_short=True"
    ):
        select(table, "s", take, keep=21, balance=balance)
    subset = select(table, "s", take, keep=21, balance=balance, allow_short=True)
    assert len(subset) == 20 and subset.info["short"]


@each_strategy
@each_balance
@pytest.mark.parametrize("values", [[3.0] * 12, [1.0] * 11 + [1e300], list(range(-12, 0)), [0.0, -0.0] * 6])
def test_ties_outliers_and_negative_scores(take, balance, values):
    table = table_of(values, label=pa.array([0] * 9 + [1] * 3))
    for k in (1, 5, 12):
        assert len(select(table, "s", take, keep=k, balance=balance)) == k


@each_strategy
@each_balance
def test_one_row_and_none(take, balance):
    table = table_of([1.0], label=pa.array([4]))
    assert select(table, "s", take, keep=1, balance=balance).ids.tolist() == [0]
    assert len(select(table, "s", take, keep=0, balance=balance)) == 0
    empty = table.take([])
    assert len(select(empty, "s", take, keep="30%", balance=balance)) == 0


@each_strategy
@each_balance
@pytest.mark.parametrize("strings", [False, True])
def test_row_order_changes_nothing(take, balance, strings, tmp_path):
    table = random_table(80, strings=strings)
    first, second = (select(t, "s", take, keep=33, balance=balance) for t in (table, shuffled(table)))
    one, two = first.write(tmp_path / "1.parquet"), second.write(tmp_path / "2.parquet")
    assert one.read_bytes() == two.read_bytes()


@each_strategy
def test_seed_decides_ties_and_draws_only(take):
    tied, distinct = table_of(np.zeros(200)), table_of(np.arange(200.0))
    one, two = (set(select(tied, "s", take, keep=50, seed=seed).ids.tolist()) for seed in (0, 1))
    assert one != two
    one, two = (set(select(distinct, "s", take, keep=50, seed=seed).ids.tolist()) for seed in (0, 1))
    assert (one != two) == (take == "random")


@each_strategy
@pytest.mark.parametrize("balance", ["none", "equal"])
def test_nested_budgets_nest(take, balance):
    table = random_table(40)
    previous: set[int] = set()
    for k in range(41):
        kept = set(select(table, "s", take, keep=k, balance=balance).ids.tolist())
        assert previous <= kept
        previous = kept


@pytest.mark.parametrize("take", SCORED)
@each_balance
def test_nan_policies(take, balance):
    values = np.arange(20.0)
    values[[2, 7, 11]] = np.nan
    values[[0, 19]] = -np.inf, np.inf
    table = table_of(values, label=pa.array([0, 1] * 10))
    with pytest.raises(InputError, match=r"got 3 of 20 NaN \(ids 2, 7, 11\); pass nan='drop' or nan='keep'"):
        select(table, "s", take, keep=5, balance=balance)
    dropped = select(table, "s", take, keep=17, balance=balance, nan="drop")
    assert set(dropped.ids) == set(range(20)) - {2, 7, 11}
    assert dropped.info["without_score"] == 3
    with pytest.raises(InputError, match="keep asks for 18 rows, but there are 17 that can be chosen, of 20"):
        select(table, "s", take, keep="90%", balance=balance, nan="drop")
    kept = select(table, "s", take, keep=10, balance=balance, nan="keep")
    assert len(kept) == 10 and {2, 7, 11} <= set(kept.ids.tolist())
    assert kept.explain(7).startswith("no s score")
    assert (kept.probability == 1).all()
    one = select(table, "s", take, keep=1, nan="keep")
    assert one.ids[0] in (2, 7, 11) and one.probability[0] == pytest.approx(1 / 3)
    with pytest.raises(
        InputError, match=r"nan must be one of drop, error, keep, got 'kep'. Did you mean 'keep'"
    ):
        select(table, "s", take, keep=1, nan="kep")


def test_random_reads_no_score():
    table = table_of([np.nan, 1.0, np.nan])
    subset = select(table, "s", "random", keep=3)
    assert subset.info["select"]["by"] is None and len(subset) == 3


def test_infinities_are_values():
    table = table_of([0.0, np.inf, -np.inf, 5.0])
    assert select(table, take="highest", keep=4).ids.tolist() == [1, 3, 0, 2]
    assert select(table, take="lowest", keep=2).ids.tolist() == [2, 0]


@pytest.mark.parametrize("take", ENDS)
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_ends_equal_the_slow_reference(take, data):
    n = data.draw(st.integers(1, 25))
    values = data.draw(
        st.lists(st.sampled_from([-2.5, 0.0, 1.0, 7.0, np.inf, -np.inf]), min_size=n, max_size=n)
    )
    seed, k = data.draw(st.integers(0, 5)), data.draw(st.integers(0, n))
    group_of = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n))
    ids = [f"i{row}" for row in range(n)]
    table = table_of(values, ids)
    order = ranking(values, ids, seed, highest_first=take in ("hardest", "highest"))
    subset = select(table, take=take, keep=k, seed=seed)
    assert subset.ids.tolist() == [ids[row] for row in order[:k]]
    assert subset.table.column("rank").to_pylist() == list(range(1, k + 1))
    floored = select(table, take=take, keep=k, seed=seed, balance="floor", groups=group_of, floor=0.5)
    sizes = np.bincount(group_of)
    if (
        k // len(sizes[sizes > 0]) // 2 <= sizes[sizes > 0].min()
    ):  # the reference knows no group smaller than a floor
        assert set(floored.ids) == {ids[row] for row in top_with_floor(order, group_of, k, 0.5)}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=40), st.integers(0, 40), st.sampled_from(ENDS))
def test_increasing_transforms_keep_the_rows(values, k, take):
    values = np.array(values, dtype=np.float64)
    k = min(k, len(values))
    plain = select(table_of(values), take=take, keep=k)
    for transform in (lambda x: 3 * x - 7, lambda x: x**3, np.arctan):
        assert select(table_of(transform(values)), take=take, keep=k).ids.tolist() == plain.ids.tolist()


@each_strategy
def test_imbalance(take):
    table = table_of(np.random.default_rng(0).normal(size=1100), label=pa.array([0] * 1000 + [1] * 100))
    wanted = {"proportional": [500, 50], "equal": [450, 100]}
    for balance, counts in wanted.items():
        subset = select(table, "s", take, keep=550, balance=balance)
        assert [group["kept"] for group in subset.info["groups"]] == counts
        assert [group["rows"] for group in subset.info["groups"]] == [1000, 100]
    for floor in (0.2, 0.5, 1.0):
        subset = select(table, "s", take, keep=110, balance="floor", floor=floor)
        kept = [group["kept"] for group in subset.info["groups"]]
        assert sum(kept) == 110 and min(kept) >= int(floor * 55)
