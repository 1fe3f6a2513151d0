"""Data-constrained laws: the published fit, which its own data do not determine; what repeats are worth; allocation."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs
from references.laws_slow import data_constrained as printed

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.fitting.objective import Objective
from training.laws.forms.repetition import effective_data
from training.laws.inputs import complete
from training.laws.repetition.allocation import allocate
from training.laws.run_table import read_run_table
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.profile import profile

P = PLANTED["data_constrained"]
HELD = {
    "A": np.exp(6.255414),
    "B": np.exp(7.3049974),
    "E": np.exp(0.6254804),
    "alpha": 0.3526596,
    "beta": 0.3526596,
}
"""The authors' fit without repetition."""
PUBLISHED = {**HELD, "R_D": 15.387756, "R_N": 5.309743}


@pytest.fixture(scope="module")
def runs(data_dir):
    path = data_dir / "scaling" / "datablations" / "runs_182.csv"
    columns = {"N": "params", "D": "tokens", "U": "unique_tokens", "value": "val_loss"}
    table = read_run_table(path, columns)
    inputs = {name: table[name].astype(float) for name in ("N", "D", "U")}
    return inputs, table["value"]


@pytest.fixture(scope="module")
def published_fit(runs):
    inputs, y = runs
    return fit(form_named("data_constrained").frozen(**HELD), inputs, y)


def objective_and_r2(name, p, runs):
    inputs, y = runs
    form = form_named(name)
    predicted = form.ln_prediction({k: p[k] for k in form.names}, complete(inputs, form.inputs))
    r2 = 1 - ((y - np.exp(predicted)) ** 2).sum() / ((y - y.mean()) ** 2).sum()
    return Objective().total(predicted - np.log(y), np.ones(len(y))), r2


def test_the_published_point(runs):
    objective, r2 = objective_and_r2("data_constrained", PUBLISHED, runs)
    assert objective == pytest.approx(0.0158259352, rel=1e-7) and r2 == pytest.approx(0.7722046, abs=1e-7)
    assert objective_and_r2("chinchilla", PUBLISHED, runs)[1] == pytest.approx(0.4451684, abs=1e-7)


def test_the_published_point_is_a_local_minimum(runs, published_fit):
    ends = [np.exp(theta) for theta in published_fit.solutions_SP]
    near = min(ends, key=lambda end: abs(end[0] - 15.37))
    assert near == pytest.approx([15.3718, 5.3151], rel=1e-3)
    local = {**HELD, "R_D": near[0], "R_N": near[1]}
    assert objective_and_r2("data_constrained", local, runs)[0] == pytest.approx(0.0158259321, rel=1e-7)
    assert published_fit.objective <= 0.0158047 * (1 + 1e-4)
    assert published_fit.parameters["R_D"] == pytest.approx(95, rel=0.02)
    assert published_fit.parameters["R_N"] == pytest.approx(1.71, rel=0.02)


def test_users_are_told_that_the_constant_is_not_determined(published_fit):
    """By the fit, by its profile (flat to 0.3 % from 15 to 300) and by its bootstrap."""
    assert {caution.parameter for caution in published_fit.cautions if caution.code == "wide"} == {
        "R_D",
        "R_N",
    }
    seen = profile(published_fit, "R_D", np.geomspace(15, 300, 15))
    assert seen.objectives_K.max() < 1.003 * seen.objectives_K.min()
    assert seen.deviance_K.max() < 0.1 * seen.threshold
    assert seen.flat and "from 15 to 300 and beyond" in str(seen.cautions[0])
    drawn = bootstrap(published_fit, 200)
    assert drawn.interval("R_D").low < 15.39 and drawn.interval("R_D").factor > 100
    assert "R_D" in {caution.parameter for caution in drawn.cautions}


def test_the_profile_finds_its_own_lower_end(published_fit):
    seen = profile(published_fit, "R_D")
    assert seen.interval.low == pytest.approx(4.4, rel=0.1) and seen.interval.high == np.inf
    assert seen.flat and seen.values_K[-1] <= 1e6
    at_low = profile(published_fit, "R_D", [seen.interval.low]).deviance_K[0]
    assert at_low == pytest.approx(seen.threshold, rel=0.1)


def test_what_repeats_are_worth():
    """Published: 3.73 U at 4 epochs, 7.81 U at 10, 15.2 U at 40, at most 16.4 U."""
    found = effective_data(1.0, [0.0, 0.5, 1.0, 4.0, 10.0, 40.0, 1e9], 15.39)
    np.testing.assert_allclose(found[:3], [0.0, 0.5, 1.0])
    assert found[3:] == pytest.approx([3.73, 7.81, 15.2, 16.39], abs=0.05)
    np.testing.assert_allclose(effective_data(2e9, 3.0, [1e-3, 1e9]), [2e9 * 1.001, 6e9], rtol=1e-8)
    for wrong in ({"U": -1.0, "epochs": 1.0, "R_D": 1.0}, {"U": 1.0, "epochs": 1.0, "R_D": 0.0}):
        with pytest.raises(InputError):
            effective_data(**wrong)


def test_without_repetition_it_is_chinchilla():
    inputs = world_inputs("chinchilla", 40)
    both = {}
    for name in ("chinchilla", "data_constrained"):
        form = form_named(name)
        x = {**inputs, "N": inputs["N"] / 1e3, "epochs": np.linspace(0.1, 1, 40)}
        both[name] = form.ln_prediction({k: P[k] for k in form.names}, {k: x[k] for k in form.inputs})
    np.testing.assert_allclose(both["data_constrained"], both["chinchilla"], rtol=1e-12)


def test_epochs_are_above_zero():
    with pytest.raises(InputError, match="epochs must be above 0"):
        form_named("data_constrained").ln_prediction(P, {"N": 1e8, "D": 1e9, "epochs": [1.0, 0.0]})


def test_any_two_of_tokens_unique_tokens_and_epochs():
    given = {"D": 12.0, "U": 3.0, "epochs": 4.0}
    for left_out in given:
        some = {name: [value] for name, value in given.items() if name != left_out}
        assert complete(some, [left_out])[left_out] == given[left_out]


def test_parameters_beyond_what_the_data_can_use_count_less():
    form = form_named("data_constrained")
    inputs = {"D": 1e9, "epochs": 2.0}
    losses = np.exp(form.ln_prediction(P, {**inputs, "N": np.geomspace(1e6, 1e16, 60)}))
    assert (np.diff(losses) <= 1e-12).all() and losses[-1] == pytest.approx(losses[-10], rel=1e-6)
    assert np.isnan(form.inverse("N", P, losses[-1] * 0.999, inputs))


@pytest.mark.parametrize("seed", range(8))
def test_the_allocation_is_the_lowest_of_a_fine_grid(seed):
    rng = np.random.default_rng(seed)
    inputs = world_inputs("data_constrained", 60, seed)
    planted = {**P, "R_D": 10 ** rng.uniform(0, 2), "R_N": 10 ** rng.uniform(0, 1.5)}
    y = printed(planted, inputs) * np.exp(0.003 * rng.normal(size=60))
    found = fit(form_named("data_constrained").frozen(**{k: P[k] for k in HELD}), inputs, y)
    C, U = 10 ** rng.uniform(18, 23), 10 ** rng.uniform(8, 12)
    D = np.geomspace(1e4, C / 6 / 1e2, 400_001)
    losses = printed(found.parameters, {"N": C / 6 / D, "D": D, "epochs": np.maximum(D / U, 1.0)})
    best = allocate(found, C, U)
    assert best.loss.value <= losses.min() * (1 + 1e-9)
    as_good = (
        D[losses <= losses.min() * (1 + 1e-10)] / U
    )  # where repeats are worth nothing the minimum is flat
    assert as_good[0] * 0.999 <= best.epochs.value <= as_good[-1] * 1.001
    assert 6 * best.N.value * best.epochs.value * U == pytest.approx(C)


def test_with_data_enough_the_allocation_is_chinchillas(published_fit):
    best = allocate(published_fit, 1e20, 1e13)
    assert best.epochs.value < 1
    parameters = {k: HELD[k] for k in form_named("chinchilla").names}
    assert best.N.value == pytest.approx(form_named("chinchilla").optimal_size(parameters, 1e20), rel=1e-3)


def test_allocations_say_how_little_is_known(runs, published_fit):
    """The published constants and the best ones recommend other epochs; the interval holds both, the loss is sharp."""
    inputs, y = runs
    drawn = allocate(bootstrap(published_fit, 200), 1e21, 1e9)
    held = fit(form_named("data_constrained").frozen(**HELD, R_D=15.387756), inputs, y)
    published = allocate(held, 1e21, 1e9)
    assert published.epochs.value < 0.3 * drawn.epochs.value and published.epochs.value in drawn.epochs
    assert drawn.epochs.factor > 10 and drawn.loss.factor < 1.1


def test_what_cannot_be_allocated(published_fit):
    inputs = world_inputs("chinchilla", 30)
    y = np.exp(form_named("chinchilla").ln_prediction(PLANTED["chinchilla"], inputs))
    with pytest.raises(InputError, match="data_constrained"):
        allocate(fit(form_named("chinchilla"), inputs, y), 1e20, 1e9)
    with pytest.raises(InputError, match="U must be above 0"):
        allocate(published_fit, 1e20, 0.0)


@pytest.mark.slow
def test_intervals_cover_what_was_planted():
    """At least 90 % of 50 draws for both constants and the best number of epochs."""
    hits = {"R_D": 0, "R_N": 0, "epochs": 0}
    form = form_named("data_constrained").frozen(**{k: P[k] for k in HELD})
    D = np.geomspace(1e8, 1e13, 200_001)
    losses = printed(P, {"N": 1e21 / 6 / D, "D": D, "epochs": np.maximum(D / 5e9, 1.0)})
    truth = {"R_D": P["R_D"], "R_N": P["R_N"], "epochs": D[losses.argmin()] / 5e9}
    for seed in range(50):
        inputs = world_inputs("data_constrained", 80, 100 + seed)
        y = printed(P, inputs) * np.exp(0.005 * np.random.default_rng([seed, 7]).normal(size=80))
        drawn = bootstrap(fit(form, inputs, y, starts=16), 200, starts=1)
        intervals = {name: drawn.interval(name) for name in ("R_D", "R_N")}
        intervals["epochs"] = allocate(drawn, 1e21, 5e9).epochs
        for name, interval in intervals.items():
            hits[name] += truth[name] in interval
    assert min(hits.values()) >= 45, hits
