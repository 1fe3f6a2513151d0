"""What laws are for: isoFLOP optima and held-out compute; and a second method for the same fit."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs
from scipy.optimize import nnls

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.evaluation import evaluate
from training.laws.fit import Outliers, fit
from training.laws.isoflop import isoflop_optima, power_exponent
from training.laws.variable_projection import variable_projection


def losses(name, inputs, noise=0.0, seed=0):
    y = np.exp(form_named(name).ln_prediction(PLANTED[name], inputs))
    return y * np.exp(noise * np.random.default_rng(seed).normal(size=len(y)))


# Variable projection


@pytest.mark.parametrize("seed", range(3))
def test_variable_projection_agrees_with_the_fit(seed):
    inputs = world_inputs("chinchilla", 50, seed)
    y = losses("chinchilla", inputs, 0.01, seed)
    projected = variable_projection(inputs, y)
    found = fit(form_named("chinchilla"), inputs, y, objective="square")
    assert projected.objective == pytest.approx(found.objective, rel=1e-6)
    assert projected.parameters == pytest.approx(found.parameters, rel=1e-2)


def test_its_linear_part_is_non_negative_least_squares():
    from training.laws.variable_projection import _nonnegative

    rng = np.random.default_rng(0)
    ln_N, ln_D, weight = rng.normal(size=20), rng.normal(size=20), rng.integers(1, 4, 20).astype(float)
    alpha, beta = rng.uniform(0.1, 1, 30), rng.uniform(0.1, 1, 30)
    y = rng.normal(size=20) + 0.5
    amplitudes, values = _nonnegative(alpha, beta, ln_N, ln_D, y, weight)
    for g in range(30):
        terms = np.stack([np.ones(20), np.exp(-alpha[g] * ln_N), np.exp(-beta[g] * ln_D)], 1)
        expected, norm = nnls(terms * np.sqrt(weight)[:, None], y * np.sqrt(weight))
        np.testing.assert_allclose(amplitudes[g], expected, atol=1e-8)
        assert values[g] == pytest.approx(norm**2 / 2, rel=1e-9)


# IsoFLOP curves


def test_both_methods_find_the_optima_of_a_law():
    C = np.repeat(np.geomspace(1e18, 1e21, 7), 15)
    N = form_named("chinchilla").optimal_size(PLANTED["chinchilla"], C) * np.tile(np.geomspace(0.5, 2, 15), 7)
    y = losses("chinchilla", {"N": N, "D": C / (6 * N)})
    truth = form_named("chinchilla").optimal_size(PLANTED["chinchilla"], np.unique(C))
    for method in ("parabola", "akima"):
        found = isoflop_optima(C, N, y, method)
        assert found.inside_K.all()
        np.testing.assert_allclose(found.N_K, truth, rtol=0.02)
        exponent = power_exponent(found.C_K, found.N_K)
        planted = PLANTED["chinchilla"]["beta"] / (
            PLANTED["chinchilla"]["alpha"] + PLANTED["chinchilla"]["beta"]
        )
        assert exponent.exponent.value == pytest.approx(planted, abs=0.003)
        assert exponent.predict(1e20) == pytest.approx(truth[np.argmin(abs(np.unique(C) - 1e20))], rel=0.02)
    order = np.random.default_rng(0).permutation(len(C))
    np.testing.assert_array_equal(isoflop_optima(C[order], N[order], y[order]).N_K, found.N_K)


def test_a_curve_that_still_falls_at_its_end_says_so():
    N = np.geomspace(1e8, 1e9, 6)
    for method in ("parabola", "akima"):
        for y, end in ((3 - 0.1 * np.log(N / 1e8), 1e9), (3 + 0.1 * np.log(N / 1e8), 1e8)):
            found = isoflop_optima(np.full(6, 1e20), N, y, method)
            assert not found.inside_K[0] and found.N_K[0] == pytest.approx(end)
    with pytest.raises(InputError, match="at least 3 model sizes"):
        isoflop_optima([1e20] * 2, [1e8, 1e9], [3.0, 2.0])
    with pytest.raises(InputError, match="method must be one of"):
        isoflop_optima([1e20] * 3, [1e8, 1e9, 1e10], [3.0, 2.0, 3.0], "spline")


def test_weighted_exponents_are_those_of_weighted_regression():
    from scipy.stats import linregress

    rng = np.random.default_rng(0)
    C = np.geomspace(1e18, 1e22, 9)
    N = 0.1 * C**0.5 * np.exp(0.05 * rng.normal(size=9))
    plain, line = power_exponent(C, N), linregress(np.log(C), np.log(N))
    assert plain.exponent.value == pytest.approx(line.slope)
    assert plain.r2 == pytest.approx(line.rvalue**2)
    copies = rng.integers(1, 4, 9)
    weighted = power_exponent(C, N, 1 / np.sqrt(copies))
    repeated = linregress(np.log(np.repeat(C, copies)), np.log(np.repeat(N, copies)))
    assert weighted.exponent.value == pytest.approx(repeated.slope)
    assert weighted.coefficient == pytest.approx(np.exp(repeated.intercept))
    assert plain.exponent.low < 0.5 < plain.exponent.high
    with pytest.raises(InputError, match="2 different budgets"):
        power_exponent([1e20, 1e20], [1e8, 2e8])


# Held-out compute


def test_evaluation_fits_below_and_judges_above():
    inputs = world_inputs("chinchilla", 80)
    y = losses("chinchilla", inputs, 0.003)
    C = 6 * inputs["N"] * inputs["D"]
    found = evaluate(form_named("chinchilla"), inputs, y, below=1e21)
    assert sorted(found.rows_T.tolist()) == np.flatnonzero(C >= 1e21).tolist()
    assert (6 * found.fitted.inputs["N"] * found.fitted.inputs["D"] < 1e21).all()
    np.testing.assert_array_equal(found.actual_T, y[found.rows_T])
    errors = np.abs(found.predicted_T / found.actual_T - 1)
    assert found.mean_error == pytest.approx(errors.mean()) and found.worst_error == pytest.approx(
        errors.max()
    )
    assert found.ln_rmse == pytest.approx(np.sqrt(np.mean(np.log(found.predicted_T / found.actual_T) ** 2)))
    assert found.r2 > 0.9 and found.mean_error < 0.01
    same = evaluate(form_named("chinchilla"), inputs, y, train=C < 1e21, outliers=Outliers(highest=1))
    assert len(same.predicted_T) == len(found.predicted_T) and same.fitted.left_out == 1
    with pytest.raises(InputError, match="some runs to fit on"):
        evaluate(form_named("chinchilla"), inputs, y, below=1.0)
    with pytest.raises(InputError, match="either below"):
        evaluate(form_named("chinchilla"), inputs, y)
