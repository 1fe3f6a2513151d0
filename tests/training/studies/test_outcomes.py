"""Outcomes: mean, spread and verdicts by hand, and paired intervals against scipy."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from scoring.errors import InputError
from training.studies.outcomes import higher_is_better, outcomes
from training.studies.paired import paired_difference
from training.studies.table import SCHEMA

VALUES = {
    ("all", None): [0.8, 0.9, 0.85],
    ("random", "10%"): [0.4, 0.5, 0.45],
    ("stratified random", "10%"): [0.5, 0.5, 0.52],
    ("hardest by el2n", "10%"): [0.7, 0.81, 0.74],
    ("hardest by el2n", "50%"): [0.7, 0.9, 0.6],
}


def table_of(values, metric="accuracy", variant="as is", **more):
    rows = [
        {"way": way, "take": way.split()[0], "budget": budget, "seed": seed, "value": value, "metric": metric,
         "variant": variant, "model": "m", "regime": "9 steps", "split": "test", "group": "", "step": 9, **more}
        for (way, budget), each in values.items()
        for seed, value in enumerate(each)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def by_cell(found):
    return {(o.way, o.budget): o for o in found}


def test_every_way_against_both_baselines_and_all():
    found = by_cell(outcomes(table_of(VALUES)))
    assert found.keys() == VALUES.keys()
    for key, values in VALUES.items():
        assert found[key].values == dict(enumerate(values))
        assert found[key].mean == pytest.approx(np.mean(values))
        assert found[key].sd == pytest.approx(np.std(values, ddof=1))
    hardest = found["hardest by el2n", "10%"]
    for difference, key in (
        (hardest.against_random, ("random", "10%")),
        (hardest.against_stratified, ("stratified random", "10%")),
        (hardest.against_all, ("all", None)),
    ):
        assert difference == paired_difference(VALUES["hardest by el2n", "10%"], VALUES[key])
    assert hardest.verdict == "better" and hardest.called(hardest.against_all) == "worse"
    assert found["random", "10%"].against_random is None
    assert found["random", "10%"].against_stratified is not None
    alone = found["hardest by el2n", "50%"]
    assert alone.against_random is None and alone.verdict is None, "no baseline of that budget"
    assert found["all", None].against_random is found["all", None].against_all is None
    assert hardest.minus(replace(hardest, values={5: 0.1})) is None


def test_worlds_are_not_compared_with_each_other():
    clean, noisy = table_of(VALUES), table_of({("hardest by el2n", "10%"): [0.1, 0.2, 0.3]}, variant="noisy")
    found = [o for o in outcomes(pa.concat_tables([clean, noisy])) if o.variant == "noisy"]
    assert len(found) == 1 and found[0].against_random is None


def test_the_last_evaluation_counts():
    early = table_of({key: [0.0] * 3 for key in VALUES}, step=3)
    for tables in ([early, table_of(VALUES)], [table_of(VALUES), early]):
        assert by_cell(outcomes(pa.concat_tables(tables)))["random", "10%"].mean == pytest.approx(0.45)


def test_lower_losses_are_better_also_under_the_name_of_a_corpus():
    assert not higher_is_better("prose/loss") and not higher_is_better("loss_per_byte")
    assert higher_is_better("accuracy") and higher_is_better("macro_f1")
    assert by_cell(outcomes(table_of(VALUES, "loss"), "loss"))["hardest by el2n", "10%"].verdict == "worse"


def test_two_seeds_tell_nothing():
    two = {key: values[:2] for key, values in VALUES.items()}
    two["hardest by el2n", "10%"] = [0.9, 1.0]
    found = by_cell(outcomes(table_of(two)))["hardest by el2n", "10%"]
    assert found.against_random.verdict() == "better", "though the interval excludes zero"
    assert found.verdict == "cannot tell"


def test_mistakes_name_what_there_is():
    table = table_of(VALUES)
    for options, words in (
        ({"metric": "acuracy"}, "Did you mean 'accuracy'"),
        ({"split": "tst"}, "Did you mean 'test'"),
        ({"group": "class:a"}, "group must be one of"),
    ):
        with pytest.raises(InputError, match=words):
            outcomes(table, **options)
    with pytest.raises(InputError, match="name one split of test, other"):
        outcomes(pa.concat_tables([table, table_of(VALUES, split="other")]))


def test_under_the_null_one_in_twenty_is_called():
    rng, called = np.random.default_rng(0), 0
    for _ in range(300):
        values = {key: rng.normal(0.5, 0.02, 5) for key in VALUES if key[1] != "50%"}
        called += by_cell(outcomes(table_of(values)))["hardest by el2n", "10%"].verdict != "cannot tell"
    assert 4 <= called <= 28, "15 of 300 expected"


def test_paired_interval_is_scipys():
    a, b = np.random.default_rng(0).normal(size=(2, 7))
    found = paired_difference(a, b)
    expected = stats.ttest_rel(a, b).confidence_interval()
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


@pytest.mark.parametrize(
    ("values", "baseline", "verdict"),
    [
        ([0.9, 0.91, 0.92], [0.8, 0.81, 0.83], "better"),
        ([0.8, 0.81, 0.83], [0.9, 0.91, 0.92], "worse"),
        ([0.9, 0.7, 0.8], [0.8, 0.8, 0.79], "cannot tell"),
        ([0.9], [0.1], "cannot tell"),
        ([0.5, 0.5], [0.5, 0.5], "cannot tell"),
    ],
)
def test_verdict_needs_an_interval_without_zero(values, baseline, verdict):
    found = paired_difference(values, baseline)
    assert found.verdict() == verdict
    opposite = {"better": "worse", "worse": "better"}.get(verdict, verdict)
    assert found.verdict(higher_is_better=False) == opposite
