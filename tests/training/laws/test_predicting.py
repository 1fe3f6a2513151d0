"""What a saved law says of runs that were not made: what it takes to reach an outcome, and when nothing is known."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.law_file import SavedLaw
from training.laws.optimal import compute_optimal
from training.laws.predicting import predict, solve_for
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.delta_method import delta_interval


def saved(name, inputs, y, **options):
    fitted = fit(form_named(name), inputs, y, **options)
    return SavedLaw(fitted, bootstrap(fitted, 200), {})


@pytest.fixture(scope="module")
def accuracy():
    """Accuracy falls from about 0.94 to about 0.19 as the loss grows; noise of 0.02."""
    rng = np.random.default_rng(0)
    L = np.linspace(2.2, 3.6, 14)
    return saved("sigmoid", {"L": L}, -0.7 / (1 + np.exp(-4 * (L - 2.6))) + 0.92 + 0.02 * rng.normal(size=14))


def test_a_resample_that_never_reaches_an_outcome_is_beyond_the_end_towards_it(accuracy):
    best = solve_for(accuracy, "L", 0.93)  # of some resamples no loss is low enough
    assert (best.low, best.high < 2.2) == (-np.inf, True)
    worst = solve_for(accuracy, "L", 0.2)  # and none is high enough
    assert (worst.low > 3.4, worst.high) == (True, np.inf)
    inside = solve_for(accuracy, "L", 0.5)
    assert 2.4 < inside.low < inside.value < inside.high < 2.8


def test_a_loss_below_the_floor_takes_more_than_any_data():
    inputs = world_inputs("chinchilla", 30)
    y = np.exp(form_named("chinchilla").ln_prediction(PLANTED["chinchilla"], inputs))
    law = saved("chinchilla", inputs, y * np.exp(0.01 * np.random.default_rng(0).normal(size=30)))
    found = solve_for(law, "D", 0.1, {"N": 1e9})
    assert np.isnan(found.value) and (found.low, found.high) == (np.inf, np.inf)
    found = solve_for(law, "D", -1.0, {"N": 1e9})
    assert np.isnan(found.value) and (found.low, found.high) == (-np.inf, np.inf)


def test_a_level_is_checked(accuracy):
    with pytest.raises(InputError, match="level must be between 0 and 1"):
        solve_for(accuracy, "L", 0.5, level=95)


def chinchilla_losses(N, D, seed=0):
    y = np.exp(form_named("chinchilla").ln_prediction(PLANTED["chinchilla"], {"N": N, "D": D}))
    return y * np.exp(0.003 * np.random.default_rng(seed).normal(size=len(N)))


def test_runs_of_one_size_say_nothing_of_other_sizes():
    N, D = np.full(20, 1e8), np.geomspace(1e8, 1e10, 20)
    law = saved("chinchilla", {"N": N, "D": D}, chinchilla_losses(N, D))
    found = predict(law, {"N": [1e8, 1e10], "D": 1e10})
    assert 0 < found.low_K[0] < found.high_K[0] < 1.1 * found.low_K[0]
    assert (found.low_K[1], found.high_K[1]) == (0, np.inf)
    for name in ("alpha", "A", "E"):
        assert (law.resampled.interval(name).low, law.resampled.interval(name).high) == (-np.inf, np.inf)
    assert PLANTED["chinchilla"]["beta"] in law.resampled.interval("beta")
    best = compute_optimal(law.resampled, 1e21)
    assert (best.N.low, best.N.high, best.loss.low, best.loss.high) == (-np.inf, np.inf) * 2
    far = float(law.fitted.predict({"N": 1e10, "D": 1e10}))
    needed = solve_for(law, "D", far, {"N": 1e10})
    assert needed.value == pytest.approx(1e10, rel=1e-6) and (needed.low, needed.high) == (-np.inf, np.inf)


@pytest.mark.parametrize("runs", [2, 5])
def test_no_more_runs_than_parameters_say_nothing(runs):
    N, D = np.geomspace(1e7, 1e9, runs), np.geomspace(1e10, 1e9, runs)
    law = saved("chinchilla", {"N": N, "D": D}, chinchilla_losses(N, D))
    found = predict(law, {"N": 1e8, "D": 1e9}, noise=False)
    assert (found.low_K[0], found.high_K[0]) == (0, np.inf)
    for quantity in (lambda p: p["alpha"], lambda p: p["E"] - 100):
        interval = delta_interval(law.fitted, quantity)
        assert interval.low in (0, -np.inf) and interval.high == np.inf
    assert law.resampled.interval("alpha").high == np.inf


def test_inputs_that_disagree_are_refused():
    inputs = world_inputs("chinchilla", 30)
    y = np.exp(form_named("chinchilla").ln_prediction(PLANTED["chinchilla"], inputs))
    law = saved("chinchilla", inputs, y)
    with pytest.raises(InputError, match=r"N = 1e\+09 was given, but 8.33333e\+08 follows"):
        predict(law, {"N": 1e9, "D": 2e10, "C": 1e20})
    agreeing = predict(law, {"N": 1e9, "D": 2e10, "C": 1.2e20, "M": 20.0})
    assert agreeing.value_K == predict(law, {"C": 1.2e20, "M": 20.0}).value_K


def test_unique_tokens_stand_for_epochs():
    inputs = world_inputs("data_constrained", 60)
    y = np.exp(form_named("data_constrained").ln_prediction(PLANTED["data_constrained"], inputs))
    law = saved("data_constrained", inputs, y, starts=8)
    by_U = predict(law, {"N": 1e8, "D": 4e9, "U": 1e9})
    assert by_U.value_K == predict(law, {"N": 1e8, "D": 4e9, "epochs": 4.0}).value_K
