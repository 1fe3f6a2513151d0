"""Relative error change and sigma: the paper's printed table, Fieller's interval and its coverage, study tables."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from scoring.errors import InputError
from tests.references.measures_slow import fieller_by_search
from training.measures.fieller import ratio_change
from training.measures.relative_error import data_efficiency, relative_errors
from training.measures.representation import extremes, representation
from training.studies.paired import Difference
from training.studies.table import SCHEMA

PRINTED = [
    (6.04, 0.52, -11.7), (5.23, 0.52, -10.1), (5.48, 0.52, -10.5), (2.94, 0.52, -5.65), (3.62, 0.46, -7.87),
    (1.52, 0.46, -3.25), (0.53, 0.14, -3.86),
]  # fmt: skip
"""Change of the domain error in percent, share removed, sigma: the production table of Anand et al. 2023."""


@pytest.mark.parametrize(("change", "removed", "sigma"), PRINTED)
def test_sigma_follows_from_the_printed_changes_within_their_rounding(change, removed, sigma):
    """Shares removed are printed to a point, changes to .01; 1.52 over 46 % is .1 % outside of that."""
    found = data_efficiency(Difference(change, change - 1, change + 1, 3), 1 - removed)
    assert found is not None and found.mean == pytest.approx(-change / removed)
    assert found.low == pytest.approx(-(change + 1) / removed) and found.high == pytest.approx(
        -(change - 1) / removed
    )
    low, high = (change - 0.005) / (removed + 0.005), (change + 0.005) / (removed - 0.005)
    digit = 0.05 if abs(sigma) >= 10 else 0.005
    assert low * 0.998 <= -sigma + digit and -sigma - digit <= high


@pytest.mark.parametrize("seed", range(4))
def test_fieller_against_a_search_for_the_ratios_that_are_not_rejected(seed):
    rng = np.random.default_rng(seed)
    baseline = rng.normal(0.1, 0.004 * (1 + seed), 5)
    values = 1.2 * baseline + rng.normal(0, 0.004, 5)
    found = ratio_change(values, baseline)
    assert found.mean == pytest.approx(values.mean() / baseline.mean() - 1)
    assert [found.low, found.high] == pytest.approx(
        fieller_by_search(values.tolist(), baseline.tolist()), abs=1e-6
    )


def worlds(spread, ratio=1.1, seeds=5, studies=4000):
    """Errors of all and of a share, correlated over seeds, around .1 and ratio * .1."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, spread / 2, (studies, seeds))
    baseline = 0.1 + shared + rng.normal(0, spread, (studies, seeds))
    return 0.1 * ratio + shared + rng.normal(0, spread, (studies, seeds)), baseline


@pytest.mark.parametrize(("spread", "ratio", "seeds"), [(0.002, 1.0, 3), (0.02, 1.1, 5)])
def test_fieller_covers_as_it_says(spread, ratio, seeds):
    """The binomial error of a coverage over 3,000 studies is .004."""
    found = [ratio_change(*each) for each in zip(*worlds(spread, ratio, seeds, 3000), strict=True)]
    assert np.mean([each.low <= ratio - 1 <= each.high for each in found]) == pytest.approx(0.95, abs=0.012)
    if ratio == 1:
        called = np.mean([each.verdict() != "cannot tell" for each in found])
        assert called == pytest.approx(0.05, abs=0.012), "with no difference one study in twenty calls one"


def test_more_seeds_do_not_cure_the_mean_of_ratios():
    """Seeds that vary by a fifth: five times as many seeds leave its bias, and its t interval misses more and more."""
    values, baseline = worlds(0.02, 1.1, seeds=60, studies=500)
    found = [ratio_change(*each) for each in zip(values, baseline, strict=True)]
    ratios = values / baseline - 1
    half = stats.t.ppf(0.975, 59) * ratios.std(axis=1, ddof=1) / np.sqrt(60)
    covered = np.mean(abs(ratios.mean(axis=1) - 0.1) <= half)
    assert np.mean([each.low <= 0.1 <= each.high for each in found]) == pytest.approx(0.95, abs=0.03)
    assert covered < 0.9 and np.median(ratios.mean(axis=1)) > 0.13
    assert np.median([each.mean for each in found]) == pytest.approx(0.1, abs=0.005)


def test_edges_of_the_ratio():
    alone = ratio_change([0.2], [0.1])
    assert alone.mean == pytest.approx(1.0) and (alone.low, alone.high) == (-np.inf, np.inf)
    same = ratio_change([0.1, 0.11, 0.12], [0.1, 0.11, 0.12])
    assert (same.mean, same.low, same.high) == (0, 0, 0) and same.verdict() == "cannot tell"
    twice = ratio_change([0.2, 0.22, 0.24], [0.1, 0.11, 0.12])
    assert (twice.low, twice.high) == pytest.approx((1, 1)), "exactly twice in every seed"
    perfect = ratio_change([0.1, 0.2, 0.1], [0.0, 0.0, 0.0])
    assert np.isnan(perfect.mean) and perfect.verdict() == "cannot tell"
    wild = ratio_change([0.1, 0.2, 0.1], [0.3, -0.2, 0.01])
    assert (wild.low, wild.high) == (-np.inf, np.inf), "the baseline may be 0"
    with pytest.raises(InputError, match="one value per seed"):
        ratio_change([0.1], [0.1, 0.2])


def table_of(cells, metric="accuracy", group="", split="test"):
    rows = [
        {"way": way, "take": way, "by": None, "budget": budget, "keep": keep, "rows": int(100 * keep), "seed": seed,
         "value": value, "metric": metric, "variant": "as is", "model": "m", "regime": "5 epochs", "split": split,
         "group": group, "step": 9, "run": "r"}
        for way, budget, keep, values in cells
        for seed, value in enumerate(values)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMA)


CELLS = [
    ("all", None, 1.0, [0.90, 0.91, 0.90]),
    ("random", "48%", 0.48, [0.88, 0.885, 0.88]),
    ("hardest", "48%", 0.48, [0.95, 0.955, 0.95]),
    ("easiest", "48%", 0.48, [0.90, 0.90, 0.91]),
]


def test_errors_of_a_study_against_all_and_against_random():
    found = {each.outcome.way: each for each in relative_errors(table_of(CELLS))}
    assert found.keys() == {"random", "hardest", "easiest"}
    errors, base = 1 - np.array(CELLS[1][3]), 1 - np.array(CELLS[0][3])
    random = found["random"]
    assert (
        random.percent.mean == pytest.approx(100 * (errors.mean() / base.mean() - 1))
        and random.verdict == "worse"
    )
    assert random.sigma is not None and random.sigma.mean == pytest.approx(random.percent.mean / -0.52)
    assert random.sigma.low <= random.sigma.mean <= random.sigma.high
    assert (random.error, random.baseline) == pytest.approx((errors.mean(), base.mean()))
    assert found["hardest"].verdict == "better" and found["easiest"].verdict == "cannot tell"
    against = {each.outcome.way: each for each in relative_errors(table_of(CELLS), against="random")}
    assert against.keys() == {"hardest", "easiest"} and against["hardest"].sigma is None
    assert against["hardest"].percent.mean == pytest.approx(100 * (0.145 / 0.355 - 1))


def test_losses_are_their_own_errors_and_seeds_are_paired():
    losses = table_of([("all", None, 1.0, [1.0, 1.1, 1.2]), ("random", "50%", 0.5, [2.0, 2.2, 2.4])], "loss")
    (found,) = relative_errors(losses, "loss")
    assert (found.percent.mean, found.percent.low, found.percent.high) == pytest.approx((100, 100, 100))
    two = relative_errors(table_of([("all", None, 1.0, [0.9, 0.9]), ("random", "50%", 0.5, [0.8, 0.8, 0.1])]))
    assert (
        two[0].percent.seeds == 2
        and two[0].percent.mean == pytest.approx(100)
        and two[0].verdict == "cannot tell"
    )


def test_nothing_removed_has_no_sigma_and_what_is_refused():
    assert data_efficiency(Difference(1.0, 0.0, 2.0, 3), 1.0) is None
    table = table_of(CELLS)
    with pytest.raises(InputError, match="against must be one of"):
        relative_errors(table, against="rnadom")
    with pytest.raises(InputError, match="no finished runs of 'stratified random'"):
        relative_errors(table, against="stratified random")
    with pytest.raises(InputError, match="share in"):
        relative_errors(
            table_of([("all", None, 1.0, [3.0]), ("random", "50%", 0.5, [2.0])], "perplexed"), "perplexed"
        )


def test_representation_over_seeds_and_its_extremes():
    cells = [("all", None, 1.0, [0.0, 0.0, 0.0]), ("hardest", "48%", 0.48, [0.8, 0.9, 0.7])]
    tables = [table_of(cells, "representation", "class:small", "train")]
    tables.append(
        table_of([("hardest", "48%", 0.48, [-0.1, -0.1, -0.1])], "representation", "class:big", "train")
    )
    tables.append(table_of(CELLS))
    found = representation(pa.concat_tables(tables))
    assert [(each.way, each.name) for each in found] == [("hardest", "small"), ("hardest", "big")]
    assert found[0].change.mean == pytest.approx(0.8) and found[0].change.low < 0.8 < found[0].change.high
    assert found[1].change.low == pytest.approx(found[1].change.high)
    gains, losses = extremes(found)
    assert [each.name for each in gains] == ["small"] and [each.name for each in losses] == ["big"]
    assert representation(table_of(CELLS)) == []
