"""What a saved law says of runs that were not made: what it takes to reach an outcome, and when nothing is known."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.law_file import SavedLaw
from training.laws.predicting import solve_for
from training.laws.uncertainty import bootstrap


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
