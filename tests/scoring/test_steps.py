"""Step rules against numpy, and which checkpoints they read."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring.errors import InputError
from scoring.scorer import WELFORD_STATE, welford
from scoring.steps import FOLDS, PICKS, StepRule

NUMPY = {"mean": np.mean, "sum": np.sum, "min": np.min, "max": np.max, "var": np.var, "std": np.std}


@dataclass
class Moment:
    step: int
    epoch: float


def moments(*steps, per_epoch=10):
    return [Moment(step, step / per_epoch) for step in steps]


def apply(text, values_TN):
    """The rule over T values per example, as the sweep applies it."""
    rule = StepRule.parse(text)
    values_TN = torch.as_tensor(np.asarray(values_TN), dtype=torch.float64)
    row = {key: torch.full(values_TN.shape[1:], start).double() for key, start in rule.state.items()}
    for t in rule.choose(moments(*range(1, len(values_TN) + 1))):
        row = rule.update(row, values_TN[t])
    return rule.final(row).numpy()


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 12), st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1.0, 1e6]), st.sampled_from(FOLDS)
)
def test_folds_are_those_of_numpy(steps, seed, scale, fold):
    values = np.random.default_rng(seed).normal(scale=scale, size=(steps, 4))
    np.testing.assert_allclose(
        apply(fold, values), NUMPY[fold](values, axis=0), rtol=1e-10, atol=1e-12 * scale
    )


def test_spread_keeps_its_digits_far_from_zero():
    """Spread 1e-3 around 1e9: the mean of squares minus the square of the mean has no correct digit."""
    offsets = np.array([0.0, 1.0, 2.0, 3.0])[:, None] / 1024  # exact in binary, as is 1e9 plus them
    values = 1e9 + offsets
    np.testing.assert_allclose(apply("var", values), np.var(offsets), rtol=1e-9)
    naive = np.mean(values**2) - np.mean(values) ** 2
    assert abs(naive - np.var(offsets)) >= np.var(offsets)


def test_one_checkpoint():
    values = [[3.0, -1.0]]
    for rule in (*PICKS, "mean", "sum", "min", "max"):
        assert apply(rule, values).tolist() == [3, -1]
    for rule in ("var", "std"):
        assert apply(rule, values).tolist() == [0, 0]


def test_nan_stays_and_infinity_counts():
    values = np.array([[1.0, np.inf, 1.0], [np.nan, 2.0, -np.inf], [3.0, 3.0, 3.0]])
    for fold in FOLDS:
        assert np.isnan(apply(fold, values)[0]), fold
    for fold in ("mean", "sum", "max"):
        assert apply(fold, values)[1] == np.inf  # wherever it comes, also first
    assert apply("min", values)[1] == 2 and apply("min", values)[2] == -np.inf
    assert np.isnan(apply("var", values)[1:]).all() and np.isnan(apply("std", values)[1:]).all()
    assert apply("last", values).tolist() == [3, 3, 3]


def test_welford_does_not_modify_its_row():
    row = {key: torch.full((2,), start) for key, start in WELFORD_STATE.items()}
    welford(row, torch.ones(2))
    assert all((row[key] == start).all() for key, start in WELFORD_STATE.items())


class TestChoose:
    def test_first_and_last(self):
        times = moments(0, 10, 20)
        assert StepRule.parse("first").choose(times) == [0]
        assert StepRule.parse("last").choose(times) == [2]
        for fold in FOLDS:
            assert StepRule.parse(fold).choose(times) == [0, 1, 2]

    @pytest.mark.parametrize(
        ("steps", "chosen"),
        [
            ([200], 0),
            ([0], 0),
            ([0, 200], 1),  # not the start of training, which is nearer to step 20
            ([0, 10, 100, 200], 1),
            (range(0, 2001, 100), 2),  # epoch 20 of 200 in the paper
            (range(1, 5), 0),
            (range(1, 21), 1),
            ([15, 25, 200], 0),  # the earlier of two
            ([19, 22, 200], 0),
            ([17, 22, 200], 1),
        ],
    )
    def test_early_is_nearest_to_a_tenth_of_training(self, steps, chosen):
        assert StepRule.parse("early").choose(moments(*steps)) == [chosen]

    @pytest.mark.parametrize(("rule", "chosen"), [("epoch=1", 1), ("epoch=2.2", 2), ("epoch=0", 0)])
    def test_epoch_is_the_nearest_within_a_quarter(self, rule, chosen):
        assert StepRule.parse(rule).choose(moments(0, 10, 20)) == [chosen]

    def test_step_is_exact(self):
        assert StepRule.parse("step=10").choose(moments(0, 10, 20)) == [1]
        for rule, sentence in (
            ("step=11", r"score: no checkpoint at step=11; there are steps 0, 10, 2000000\."),
            ("epoch=3", r"score: no checkpoint at epoch=3; there are epochs 0, 1, 200000\."),
            ("epoch=1.3", r"no checkpoint at epoch=1\.3; there are epochs"),
            ("step=-1", "no checkpoint at step=-1"),
        ):
            with pytest.raises(InputError, match=sentence):
                StepRule.parse(rule).choose(moments(0, 10, 2_000_000))


class TestParse:
    @pytest.mark.parametrize(
        "text", [*PICKS, *FOLDS, "epoch=3", "epoch=0.25", "step=1234567", "step=1234568"]
    )
    def test_round_trip(self, text):
        assert str(StepRule.parse(text)) == text
        assert StepRule.parse(text).picks == (text not in FOLDS)

    def test_one_name_for_one_rule(self):
        assert (
            str(StepRule.parse("epoch=3.0")) == "epoch=3" and str(StepRule.parse("step=1e3")) == "step=1000"
        )

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("lsat", r"step rule must be one of .*got 'lsat'\. Did you mean 'last'\?"),
            ("last=3", r"step rule must be one of .*got 'last=3'"),
            ("epoch", r"step rule must be one of .*got 'epoch'\. Did you mean 'epoch=K'\?"),
            ("epoch=", r"step rule must be epoch=NUMBER, got 'epoch='\."),
            ("step=two", r"step rule must be step=NUMBER, got 'step=two'\."),
            ("epoch=nan", r"step rule must be epoch=NUMBER, got 'epoch=nan'\."),
            ("step=inf", r"step rule must be step=NUMBER, got 'step=inf'\."),
        ],
    )
    def test_refusals(self, text, sentence):
        with pytest.raises(InputError, match=sentence):
            StepRule.parse(text)
