"""Quality against quantity: curves pass by pass, the rival and the authors' code, merged pools, planted pools found."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs
from references.laws_slow import quality_quantity as curves

from scoring.errors import InputError
from training.laws.fit import fit
from training.laws.forms.quality_quantity import MOST_EPOCHS, merged_error, quality_quantity
from training.laws.uncertainty.bootstrap import bootstrap

P = PLANTED["quality_quantity"]
U = 12.8e6
POOLS = {
    "a": 2.5e-7,
    "d": 0.1,
    "b1": -0.16,
    "b2": -0.125,
    "b3": -0.1,
    "b4": -0.085,
    "tau1": 6.727,
    "tau2": 8.545,
    "tau3": 5.273,
    "tau4": 2.273,
}
"""What the authors found for four tenths of their data, best first (a times 1e5 in their units)."""


def predicted(form, p, inputs):
    return np.exp(form.ln_prediction(p, inputs))


def of_pool(i):
    return {"a": POOLS["a"], "d": POOLS["d"], "b": POOLS[f"b{i}"], "tau": POOLS[f"tau{i}"]}


def pool_runs(noise, seed, seeds=1, epochs=(1, 2, 4, 6, 8, 10)):
    """Curves of all pools, each in ``seeds`` runs."""
    passes = np.tile(np.asarray(epochs, dtype=float), 4 * seeds)
    pool = np.repeat([1.0, 2.0, 3.0, 4.0], len(epochs) * seeds)
    inputs = {"D": U * passes, "epochs": passes, "pool": pool}
    y = predicted(quality_quantity(4), POOLS, inputs)
    return inputs, y * np.exp(noise * np.random.default_rng([seed, 7]).normal(size=len(y)))


@pytest.mark.parametrize(
    "options", [{}, {"offset": "inside"}, {"repeats": "data"}], ids=["paper", "code", "data"]
)
def test_curves_are_those_counted_pass_by_pass(options):
    inputs = world_inputs("quality_quantity", 60)
    inputs["epochs"][:6] = [0.01, 1.0, 1.5, 2.0, 3.0, 300.7]
    form = quality_quantity(**options)
    np.testing.assert_allclose(predicted(form, P, inputs), curves(P, inputs, **options), rtol=1e-11)
    found = form.inverse("D", P, predicted(form, P, inputs), inputs)
    np.testing.assert_allclose(found, inputs["D"], rtol=1e-7)


def test_curves_are_continuous_from_pass_to_pass():
    form = quality_quantity()
    for k in (1, 2, 7):
        epochs = k + np.array([-1e-9, 0.0, 1e-9])
        y = predicted(form, P, {"D": U * epochs, "epochs": epochs})
        np.testing.assert_allclose(y, y[1], rtol=1e-8)


def test_without_half_life_repeats_are_as_good_as_new():
    inputs = {"D": U * np.arange(1.0, 40), "epochs": np.arange(1.0, 40)}
    expected = (P["a"] * inputs["D"]) ** P["b"] + P["d"]
    for repeats in ("utility", "data"):
        y = predicted(quality_quantity(repeats=repeats), {**P, "tau": 1e9}, inputs)
        np.testing.assert_allclose(y, expected, rtol=1e-6)


def test_pools_are_single_curves_side_by_side():
    inputs, y = pool_runs(0.0, 0)
    for i in range(1, 5):
        here = inputs["pool"] == i
        one = {name: inputs[name][here] for name in ("D", "epochs")}
        np.testing.assert_allclose(y[here], curves(of_pool(i), one), rtol=1e-12)


def merged_slowly(pools, sizes, D):
    """Of equal pools, as the paper counts: passes over all of them, half-lives p times as long."""
    assert len(set(sizes)) == 1
    size, p = sum(sizes), len(sizes)
    first = min(D, size)
    ln_y, k = np.mean([pool["b"] for pool in pools]) * np.log(pools[0]["a"] * first), 1
    while k * size < D:
        exponent = np.mean([pool["b"] * 0.5 ** (k / (p * pool["tau"])) for pool in pools])
        ln_y += exponent * np.log(min((k + 1) * size, D) / (k * size))
        k += 1
    return np.exp(ln_y) + pools[0]["d"]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_merged_pools(count):
    budgets = U * np.array([0.3, 1, 1.7, 4, 10.5, 100])
    expected = [merged_slowly([of_pool(i + 1) for i in range(count)], [U] * count, D) for D in budgets]
    np.testing.assert_allclose(merged_error(POOLS, [U] * count, budgets), expected, rtol=1e-11)
    samples = {name: np.full(3, value) for name, value in POOLS.items()}
    assert merged_error(samples, [U] * count, budgets).shape == (3, 6)


def test_one_pool_merged_is_its_curve():
    budgets = U * np.array([0.5, 1.0, 3.3, 20.0])
    for offset in ("after", "inside"):
        y = curves(P, {"D": budgets, "epochs": budgets / U}, offset=offset)
        np.testing.assert_allclose(merged_error(P, [U], budgets, offset), y, rtol=1e-11)


def test_unequal_pools_count_by_their_share():
    """A pool cut into parts, their half-lives shorter as they are smaller, is the whole pool when merged again."""
    p = {"a": P["a"], "d": P["d"], "b1": P["b"], "b2": P["b"], "tau1": 0.3 * P["tau"], "tau2": 0.7 * P["tau"]}
    budgets = U * np.array([0.5, 3.3, 20.0])
    cut = merged_error(p, [0.3 * U, 0.7 * U], budgets)
    np.testing.assert_allclose(cut, merged_error(P, [U], budgets), rtol=1e-12)


@pytest.mark.parametrize("repeats", ["utility", "data"])
def test_planted_pools_are_found_within_ten_percent(repeats):
    inputs, _ = pool_runs(0.0, 0)
    form = quality_quantity(4, repeats)
    noise = np.exp(0.001 * np.random.default_rng(1).normal(size=24))
    found = fit(form.frozen(d=0.1), inputs, predicted(form, POOLS, inputs) * noise, objective="log_square")
    assert found.parameters == pytest.approx(POOLS, rel=0.1)


def test_ten_passes_do_not_tell_the_rivals_apart():
    """Both fit to 0.1 % noise, and say different things at 60 passes; 100 passes would part them, by 0.1 %."""
    inputs, y = pool_runs(0.001, 2)
    utility, data = (
        fit(quality_quantity(4, repeats).frozen(d=0.1), inputs, y, objective="log_square")
        for repeats in ("utility", "data")
    )
    assert data.objective < 2 * utility.objective
    far = {"D": [60 * U], "epochs": [60.0], "pool": [1.0]}
    assert abs(data.predict(far) / utility.predict(far) - 1) > 0.002
    long, y_long = pool_runs(0.0, 0, epochs=(1, 2, 5, 10, 30, 100))
    missed = fit(quality_quantity(4, "data").frozen(d=0.1), long, y_long, objective="log_square")
    assert 5e-4 < np.abs(missed.residuals_N).max() < 2e-3


def test_one_pass_says_nothing_about_half_lives():
    inputs = {"D": np.geomspace(1e6, 1e9, 30), "epochs": np.ones(30)}
    y = curves(P, inputs) * np.exp(0.002 * np.random.default_rng(0).normal(size=30))
    found = fit(quality_quantity(), inputs, y)
    assert "tau" in {caution.parameter for caution in found.cautions if caution.code == "wide"}


def test_options_and_sizes_are_checked():
    with pytest.raises(InputError, match="pools must be at least 1"):
        quality_quantity(0)
    with pytest.raises(InputError, match="repeats must be utility or data"):
        quality_quantity(repeats="both")
    with pytest.raises(InputError, match="no product"):
        quality_quantity(repeats="data", offset="inside")
    too_many = {"D": [1e6], "epochs": [MOST_EPOCHS + 1.0]}
    with pytest.raises(InputError, match="at most 10,000 epochs"):
        quality_quantity().ln_prediction(P, too_many)
    for sizes in ([], [0.0], [[1.0]], [U] * 5):
        with pytest.raises(InputError, match="sizes must be"):
            merged_error(POOLS, sizes, [U])
    with pytest.raises(InputError, match="D must be above 0"):
        merged_error(POOLS, [U], [0.0])


def test_pools_and_epochs_that_there_are_not():
    p = {**P, "b1": -0.1, "tau1": 3.0, "b2": -0.2, "tau2": 3.0}
    for pool in (0.0, 3.0, 1.5):
        with pytest.raises(InputError, match="pool must be a whole number from 1 to 2"):
            quality_quantity(2).ln_prediction(p, {"D": [U, U], "epochs": [1.0, 1.0], "pool": [1.0, pool]})
    for epochs in (0.0, -1.0):
        with pytest.raises(InputError, match="epochs must be above 0"):
            quality_quantity().ln_prediction(P, {"D": U, "epochs": epochs})


@pytest.mark.slow
def test_intervals_cover_what_was_planted():
    """At least 90 % of 50 draws for the exponent and half-life of every pool, three runs of each."""
    hits = {name: 0 for name in POOLS if name != "d"}
    for seed in range(50):
        inputs, y = pool_runs(0.003, 100 + seed, seeds=3)
        found = fit(quality_quantity(4).frozen(d=0.1), inputs, y, starts=8)
        drawn = bootstrap(found, 200, starts=1)
        for name in hits:
            hits[name] += POOLS[name] in drawn.interval(name)
    assert min(hits.values()) >= 45, hits
