"""Farseer: the published law and value, its parameters at a reference point, its optimum."""

import numpy as np
import pytest
from references.law_worlds import world_inputs

from scoring.errors import InputError
from training.laws.fit import fit
from training.laws.forms.farseer import coefficients, farseer, from_coefficients
from training.laws.optimal import compute_optimal
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.delta_method import delta_interval

PUBLISHED = {
    "a1": -0.0209,
    "b1": -0.1826,
    "alpha": 0.1943,
    "a2": 62.8936,
    "b2": -14.0414,
    "beta": -0.0614,
    "a3": -0.0047,
    "b3": -0.8188,
    "gamma": 0.239,
}
"""For code, arXiv 2510.08702."""


def printed(N, D):
    p = PUBLISHED
    exponent = np.exp(p["a1"] * N ** p["alpha"] + p["b1"])
    return (
        np.exp(p["a3"] * N ** p["gamma"] + p["b3"])
        + np.exp(p["a2"] * N ** p["beta"] + p["b2"]) * D**-exponent
    )


@pytest.mark.parametrize("reference", [(1e9, 2e10), (1e8, 1e9), (3e6, 1e12)])
def test_the_published_law_at_any_reference(reference):
    p, inputs = from_coefficients(PUBLISHED, *reference), world_inputs("farseer", 50)
    found = np.exp(farseer(*reference).ln_prediction(p, inputs))
    np.testing.assert_allclose(found, printed(**inputs), rtol=1e-11)
    assert coefficients(p, *reference) == pytest.approx(PUBLISHED, rel=1e-9)
    assert np.exp(farseer(*reference).ln_prediction(p, {"N": 1e9, "D": 2e10})) == pytest.approx(
        0.305, abs=5e-4
    )


def test_a_power_of_zero_is_a_power_law():
    p = {**from_coefficients(PUBLISHED), "gamma": 0.0, "alpha": 0.0, "beta": 0.0, "k_slope": 0.0}
    N, D = 3e8, 5e9
    expected = p["E"] * (N / 1e9) ** p["E_slope"] + p["T"] * (N / 1e9) ** p["T_slope"] * (D / 2e10) ** -p["k"]
    assert np.exp(farseer().ln_prediction(p, {"N": N, "D": D})) == pytest.approx(expected, rel=1e-12)
    near = {**p, "gamma": 1e-8, "alpha": 1e-8, "beta": 1e-8}
    assert np.exp(farseer().ln_prediction(near, {"N": N, "D": D})) == pytest.approx(expected, rel=1e-7)
    with pytest.raises(InputError, match="other than 0"):
        coefficients(p)


def test_one_law_whatever_the_reference():
    inputs = world_inputs("farseer", 60, 3)
    y = printed(**inputs) * np.exp(0.003 * np.random.default_rng(0).normal(size=60))
    here, there = fit(farseer(), inputs, y), fit(farseer(3e8, 1e10), inputs, y)
    assert here.objective == pytest.approx(there.objective, rel=1e-6)
    np.testing.assert_allclose(here.predict(inputs), there.predict(inputs), rtol=1e-5)


@pytest.mark.parametrize("C", [1e18, 1e20, 1e22])
def test_the_optimum_is_the_first_minimum(C):
    p, N = from_coefficients(PUBLISHED), np.geomspace(np.sqrt(C / 6) * 1e-4, np.sqrt(C / 6), 400_001)
    y = printed(N, C / 6 / N)
    first = np.flatnonzero(np.diff(y) > 0)[0]
    assert farseer().optimal_size(p, C) == pytest.approx(N[first], rel=1e-4)
    both = farseer().optimal_size(p, [C, 10 * C])
    assert both[0] == pytest.approx(N[first], rel=1e-4) and both[1] > both[0]


def test_no_optimum_where_the_loss_only_falls():
    falling = {**from_coefficients(PUBLISHED), "T_slope": -2.0}
    assert np.isnan(farseer().optimal_size(falling, 1e21))


def test_the_optimum_has_intervals():
    inputs = world_inputs("farseer", 80, 2)
    y = printed(**inputs) * np.exp(0.002 * np.random.default_rng(2).normal(size=80))
    found = fit(farseer(), inputs, y)
    truth = farseer().optimal_size(from_coefficients(PUBLISHED), 1e21)
    for law in (found, bootstrap(found, 100, starts=1)):
        best = compute_optimal(law, 1e21)
        assert best.N.low < truth < best.N.high and best.N.factor < 1.5


def test_references_are_positive():
    with pytest.raises(InputError, match="N0 must be above 0"):
        farseer(N0=0)
    with pytest.raises(InputError, match="D0 must be above 0"):
        farseer(D0=float("inf"))


@pytest.mark.slow
def test_intervals_cover_what_was_planted():
    """At least 90 % of 50 draws: the two terms, the exponent and their slopes amid the runs, and the optimum."""
    reference = (3e8, 1e10)
    form, planted = farseer(*reference), from_coefficients(PUBLISHED, *reference)
    hits = dict.fromkeys(("E", "T", "k", "E_slope", "T_slope", "k_slope", "optimum"), 0)
    truth = {**planted, "optimum": float(form.optimal_size(planted, 1e20))}
    for seed in range(50):
        inputs = world_inputs("farseer", 80, 100 + seed)
        y = printed(**inputs) * np.exp(0.002 * np.random.default_rng([seed, 7]).normal(size=80))
        found = fit(form, inputs, y, objective="log_square", starts=16)
        for name in hits:
            interval = (
                compute_optimal(found, 1e20).N
                if name == "optimum"
                else delta_interval(found, lambda p, n=name: p[n])
            )
            hits[name] += truth[name] in interval
    assert min(hits.values()) >= 45, hits
