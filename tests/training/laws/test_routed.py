"""Routed language models: the bilinear law, and the dense size that a routed model is worth."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs
from references.laws_slow import routed as printed
from scipy.optimize import brentq

from scoring.errors import InputError
from training.laws.fit import fit
from training.laws.forms.routed import coefficients, effective_parameters, from_coefficients, routed
from training.laws.uncertainty.bootstrap import bootstrap

P = PLANTED["routed"]


def test_coefficients_there_and_back():
    stated = coefficients(P)
    assert from_coefficients(stated) == pytest.approx(P)
    moved = from_coefficients(stated, N0=1e10)
    inputs = world_inputs("routed", 20)
    np.testing.assert_allclose(
        np.exp(routed(1e10).ln_prediction(moved, inputs)), printed(P, inputs), rtol=1e-12
    )


def test_the_number_of_experts_saturates():
    def experts(E):
        """Ehat, by the law of a model of N0 parameters."""
        return (np.exp(routed().ln_prediction(P, {"N": 1e8, "E": E})) / P["L0"]) ** (1 / P["b0"])

    assert experts(1.0) == pytest.approx(P["E_start"]) and experts(1e12) == pytest.approx(P["E_max"])
    middle = experts(16.0)
    assert 12 < middle < 18  # between both ends Ehat is about E


@pytest.mark.parametrize("N", [2e7, 1e8, 1e9])
@pytest.mark.parametrize("E", [1.0, 4.0, 64.0, 512.0])
def test_a_routed_model_is_worth_the_dense_one_of_equal_loss(N, E):
    target = printed(P, {"N": N, "E": E})
    dense = brentq(lambda ln: printed(P, {"N": np.exp(ln), "E": 1.0}) - target, np.log(N) - 5, np.log(N) + 15)
    found = effective_parameters(P, N, E)
    assert found == pytest.approx(np.exp(dense), rel=1e-9) and found >= N * (1 - 1e-12)
    assert routed().inverse("N", P, target, {"E": 1.0}) == pytest.approx(found, rel=1e-9)


def test_experts_help_less_at_larger_sizes():
    gain = effective_parameters(P, [1e7, 1e8, 1e9, 1e10], 64.0) / np.array([1e7, 1e8, 1e9, 1e10])
    assert (np.diff(gain) < 0).all()


def test_no_number_of_experts_gives_a_loss_beyond_saturation():
    best = float(printed(P, {"N": 1e8, "E": 1e9}))
    dense = float(printed(P, {"N": 1e8, "E": 1.0}))
    found = routed().inverse("E", P, [best * 0.99, dense * 1.01, dense], {"N": 1e8})
    assert np.isnan(found[:2]).all() and found[2] == pytest.approx(1.0)
    assert np.isnan(effective_parameters({**P, "a": 0.1}, 1e8, 4.0))
    assert np.isnan(routed().ln_prediction({**P, "E_max": 1.0}, {"N": 1e8, "E": 4.0}))


def test_an_interval_of_what_a_model_is_worth():
    inputs = world_inputs("routed", 60, 2)
    y = printed(P, inputs) * np.exp(0.003 * np.random.default_rng(2).normal(size=60))
    found = fit(routed(), inputs, y)
    interval = bootstrap(found, 200, starts=1).derived(lambda p: effective_parameters(p, 1e8, 64.0))
    assert float(effective_parameters(P, 1e8, 64.0)) in interval and interval.factor < 1.2


def test_one_number_of_experts_says_nothing_about_routing():
    inputs = {"N": np.geomspace(1e7, 1e9, 30), "E": np.full(30, 8.0)}
    y = printed(P, inputs) * np.exp(0.003 * np.random.default_rng(2).normal(size=30))
    assert "wide" in {caution.code for caution in fit(routed(), inputs, y).cautions}


def test_reference_is_positive():
    with pytest.raises(InputError, match="N0 must be above 0"):
        routed(-1.0)


@pytest.mark.slow
def test_intervals_cover_what_was_planted():
    """At least 90 % of 50 draws for the three exponents and what 64 experts are worth."""
    hits = dict.fromkeys(("a", "b0", "c", "worth"), 0)
    truth = {**P, "worth": float(effective_parameters(P, 1e8, 64.0))}
    for seed in range(50):
        inputs = world_inputs("routed", 80, 100 + seed)
        y = printed(P, inputs) * np.exp(0.003 * np.random.default_rng([seed, 7]).normal(size=80))
        drawn = bootstrap(fit(routed(), inputs, y, starts=8), 200, starts=1)
        for name in hits:
            interval = (
                drawn.derived(lambda p: effective_parameters(p, 1e8, 64.0))
                if name == "worth"
                else drawn.interval(name)
            )
            hits[name] += truth[name] in interval
    assert min(hits.values()) >= 45, hits


def test_fewer_experts_than_one_are_refused():
    N = np.geomspace(1e7, 1e9, 12)
    with pytest.raises(InputError, match="E must be a number of experts"):
        fit(routed(), {"N": N, "E": np.resize([0.5, 2.0, 8.0], 12)}, N**-0.1, starts=2)
