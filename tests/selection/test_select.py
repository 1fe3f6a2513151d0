"""select(): meanings, bands, balance, weights, names and error sentences."""

import numpy as np
import pyarrow as pa
import pytest
from references.score_tables import table_of

from scoring.errors import InputError
from scoring.table import ScoreTable
from selection.catalog import STRATEGIES, make_strategy, strategy_names
from selection.run import select
from selection.strategy import Strategy


def test_hard_end_follows_the_meaning():
    for meaning, hard in (
        ("hard", 2),
        ("noisy", 2),
        ("uncertain", 2),
        ("easy", 0),
        ("clean", 0),
        ("typical", 0),
    ):
        table = table_of([0.0, 1.0, 2.0], meaning=meaning)
        assert select(table, take="hardest", keep=1).ids.tolist() == [hard]
        assert select(table, take="easiest", keep=1).ids.tolist() == [2 - hard]
        assert select(table, take="highest", keep=1).ids.tolist() == [2]
        assert select(table, take="lowest", keep=1).ids.tolist() == [0]
    for meaning in ("quality", "arbitrary", "like_target"):
        with pytest.raises(
            InputError, match=f"got 's' of meaning '{meaning}'; say 'highest' or 'lowest' instead"
        ):
            select(table_of([1.0], meaning=meaning), take="hardest")


def test_band():
    table = table_of(np.arange(100.0))
    places = lambda **options: sorted(select(table, take="band", **options).ids.tolist())  # noqa: E731
    assert places(low=0.2, high=0.7) == list(range(20, 70))
    assert places(low=0.9) == list(range(90, 100))
    assert places(high=0.1) == list(range(10))
    assert places(keep=10) == list(range(45, 55))
    assert places() == list(range(35, 65))
    assert places(low=0.5, keep="10%") == list(range(70, 80))
    assert places(low=0.2, high=0.7, keep=5) == list(range(42, 47))
    bands = [places(low=cut / 7, high=(cut + 1) / 7) for cut in range(7)]
    assert sorted(place for band in bands for place in band) == list(range(100))
    with pytest.raises(InputError, match="keep asks for 30 rows, but there are 10 that can be chosen"):
        places(low=0.9, keep="30%")
    for options in ({"low": 0.7, "high": 0.2}, {"low": 0.5, "high": 0.5}, {"low": -0.1}, {"high": 1.1},
                    {"low": float("nan")}, {"low": "half"}):  # fmt: skip
        with pytest.raises(InputError, match="must be fractions of the ranking with 0 <= low < high <= 1"):
            places(**options)
    with pytest.raises(InputError, match="keep must be given with balance 'equal'"):
        select(table, take="band", low=0.2, balance="equal", groups=np.zeros(100, int))
    halves = select(table, take="band", low=0.5, balance="proportional", groups=np.arange(100) % 2)
    assert sorted(halves.ids.tolist()) == list(range(50, 100))


def test_band_ranks_count_from_the_lowest():
    subset = select(table_of(np.arange(10.0)), take="band", low=0.2, high=0.5)
    assert subset.explain(3) == "band 0.2 to 0.5 of s from the lowest of 10, rank 4"


def test_floor_lets_the_score_decide_above_it():
    values = np.r_[np.arange(100.0) + 1000, np.arange(100.0)]
    table = table_of(values, label=pa.array([0] * 100 + [1] * 100))
    kept = lambda **options: np.bincount(select(table, keep=60, **options).ids >= 100, minlength=2).tolist()  # noqa: E731
    assert kept() == [60, 0]
    assert kept(balance="floor") == [45, 15]
    assert kept(balance="proportional") == [30, 30]


def test_a_group_without_candidates():
    values = np.r_[np.full(5, np.nan), np.arange(15.0)]
    table = table_of(values, label=pa.array([7] * 5 + [8] * 15))
    for balance in ("proportional", "equal", "floor"):
        subset = select(table, keep=10, nan="drop", balance=balance)
        assert [(g["group"], g["kept"]) for g in subset.info["groups"]] == [(8, 10), (7, 0)]


@pytest.mark.parametrize("balance", ["none", "proportional", "equal", "floor"])
def test_inclusion_probabilities_of_random_by_repeated_draws(balance):
    table = table_of(np.zeros(24), label=pa.array([0] * 14 + [1] * 7 + [2] * 3))
    draws, counts = 1500, np.zeros(24)
    stated = np.zeros(24)
    for seed in range(draws):
        subset = select(table, take="random", keep=10, balance=balance, seed=seed)
        counts[subset.ids] += 1
        stated[subset.ids] = subset.probability
    spread = np.sqrt(stated * (1 - stated) / draws)
    assert stated.sum() == pytest.approx(10)
    assert (np.abs(counts / draws - stated) <= 4.5 * spread + 1e-12).all()


def test_inverse_weights_estimate_totals():
    rng = np.random.default_rng(0)
    values, labels = rng.gamma(2, size=60), np.r_[np.zeros(45, int), np.ones(15, int)]
    table = table_of(values)
    options = {"take": "random", "keep": 20, "balance": "equal", "groups": labels, "weight": "inverse"}
    draws = [select(table, seed=seed, **options) for seed in range(400)]
    totals = [(values[subset.ids] * subset.weight).sum() for subset in draws]
    assert np.mean(totals) == pytest.approx(values.sum(), abs=4 * np.std(totals) / 20)
    assert (select(table, keep=20, weight="inverse").weight == 1).all()


class TestNames:
    def test_catalogue_loads_and_lists(self):
        assert set(STRATEGIES) <= set(strategy_names())
        for name in STRATEGIES:
            assert isinstance(make_strategy(name, {})[1], Strategy)

    def test_unknown_name(self):
        with pytest.raises(
            InputError, match=r"take must be one of band, .*got 'hardset'. Did you mean 'hardest'"
        ):
            select(table_of([1.0]), take="hardset")

    def test_options(self):
        with pytest.raises(InputError, match="take 'hardest' has no options, got 'low'"):
            select(table_of([1.0]), take="hardest", low=0.1)
        with pytest.raises(
            InputError, match=r"option must be one of high, low, got 'lo'. Did you mean 'low'"
        ):
            select(table_of([1.0]), take="band", lo=0.1)
        assert len(select(table_of([1.0, 2.0]), take="hardest", keep=1, low=None, high=None)) == 1

    def test_module_and_class_object_and_entry_point(self, monkeypatch):
        import selection.catalog

        where = "selection.strategies.top:Lowest"
        table = table_of([3.0, 1.0, 2.0])
        monkeypatch.setattr(selection.catalog, "added_places", lambda group: {"mine": where})
        strategy = make_strategy(where, {})[1]
        for take in (where, "mine", strategy, type(strategy)):
            assert select(table, take=take, keep=1).ids.tolist() == [1]
        assert select(table, take=strategy, keep=1).info["select"]["take"] == where
        with pytest.raises(InputError, match="options must be set on the strategy object"):
            select(table, take=strategy, low=0.5)

    @pytest.mark.parametrize(
        "take", ["no_such_module:X", "selection.budget:Nothing", "selection.budget:Budget", 3]
    )
    def test_what_is_no_strategy(self, take):
        with pytest.raises(InputError, match=r"select: take .*(cannot be imported|must be a name)"):
            select(table_of([1.0]), take=take)


def test_error_sentences():
    table = table_of([1.0, 2.0], label=pa.array([0, 1]), other=pa.array([1.0, 1.0]))
    with pytest.raises(
        InputError, match=r"by must be one of label, other, s, got 'othr'. Did you mean 'other'"
    ):
        select(table, "othr")
    with pytest.raises(
        InputError, match=r"balance must be one of .*got 'proportionl'. Did you mean 'proportional'"
    ):
        select(table, keep=1, balance="proportionl")
    with pytest.raises(InputError, match="floor must be a fraction of the even share from 0 to 1, got 2"):
        select(table, keep=1, balance="floor", floor=2)
    with pytest.raises(InputError, match="weight must be one of inverse, one, got 'two'"):
        select(table, keep=1, weight="two")
    with pytest.raises(InputError, match=r"seed must be a whole number, got 0\.5"):
        select(table, keep=1, seed=0.5)
    two = ScoreTable.from_columns([1], {"a": [1.0], "b": [1.0]}, "hard")
    with pytest.raises(InputError, match="by must name a score for take 'hardest', one of a, b"):
        select(two, keep=1)
    with pytest.raises(InputError, match="groups must be given to balance"):
        select(two, "a", keep=1, balance="equal")


def test_groups_may_be_a_column_an_array_or_strings():
    table = table_of(np.arange(12.0), kind=pa.array([0.0, 1.0] * 6))
    for groups in ("kind", ["x", "y"] * 6, np.array([5, 6] * 6), np.array([True, False] * 6), [1.0, 2.0] * 6):
        subset = select(table, keep=4, balance="equal", groups=groups)
        assert sorted(subset.ids.tolist()) == [8, 9, 10, 11]
    for groups, sentence in (
        ("knd", "column must be one of kind, s, got 'knd'. Did you mean 'kind'"),
        ([1, 2], r"groups must be one per row of the table \(12\), got '2 of them'"),
        ([None, "a"] * 6, "groups must not be missing, got 6 rows without one"),
        ([0.5, 1] * 6, "groups must be whole numbers or strings"),
    ):
        with pytest.raises(InputError, match=sentence):
            select(table, keep=4, balance="equal", groups=groups)


def test_a_strategy_that_breaks_its_promise():
    from dataclasses import dataclass

    from selection.strategy import Chosen

    @dataclass(frozen=True)
    class Odd(Strategy):
        rows: tuple[int, ...] = ()

        def select(self, candidates, budget):
            return Chosen(np.array(self.rows, dtype=np.int64), "odd")

    table = table_of(np.arange(5.0))
    for rows, sentence in (
        ((0, 0), "different rows"),
        ((9, 1), "positions of its 5"),
        ((0, 1, 2), "at most 2 rows"),
    ):
        with pytest.raises(InputError, match=sentence):
            select(table, take=Odd(rows), keep=2)
    with pytest.raises(InputError, match="found only 1; pass allow_short=True"):
        select(table, take=Odd((3,)), keep=2)
    short = select(table, take=Odd((3,)), keep=2, allow_short=True)
    assert short.ids.tolist() == [3] and short.info["short"] and short.explain(3) == "odd"


def test_numpy_seeds_are_seeds():
    table = table_of(np.zeros(30))
    assert select(table, keep=5, seed=np.int64(3)).ids.tolist() == select(table, keep=5, seed=3).ids.tolist()


def test_many_groups():
    table = table_of(np.arange(2000.0))
    subset = select(table, keep=1000, balance="equal", groups=np.arange(2000) % 500)
    assert {group["kept"] for group in subset.info["groups"]} == {2}
    assert sorted(subset.ids.tolist()) == list(range(1000, 2000))
