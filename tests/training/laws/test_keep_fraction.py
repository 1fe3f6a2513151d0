"""Keep fractions for a budget: monotone in compute where quality falls, sure where it can be, and never otherwise."""

from dataclasses import replace

import numpy as np
import pytest
from references.law_worlds import PLANTED
from references.laws_slow import data_constrained
from references.laws_slow import quality_quantity as curves
from scipy.optimize import brentq

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.forms.quality_quantity import merged_error, quality_quantity
from training.laws.repetition.keep_fraction import Selection, best_keep_fraction, best_selection
from training.laws.uncertainty.bootstrap import bootstrap

U = 12.8e6
BUDGETS = U * np.array([1.0, 2, 4, 10, 30, 100])
FALLING = {"a": 2.5e-7, "d": 0.1} | {
    f"{name}{i}": value
    for name, values in (("b", (-0.2, -0.185, -0.172, -0.16)), ("tau", (3.0, 3.0, 3.0, 3.0)))
    for i, value in enumerate(values, 1)
}
"""Four tenths of the data, of falling quality."""


def pools(noise=0.002, seed=0, seeds=2, resamples=200, form=None):
    form = form or quality_quantity(4).frozen(d=0.1)
    epochs = np.tile([1.0, 2, 4, 6, 8, 10], 4 * seeds)
    inputs = {"D": U * epochs, "epochs": epochs, "pool": np.repeat([1.0, 2, 3, 4], 6 * seeds)}
    y = np.exp(form.ln_prediction(FALLING, inputs))
    y = y * np.exp(noise * np.random.default_rng([seed, 7]).normal(size=len(y)))
    return bootstrap(fit(form, inputs, y, starts=8), resamples, starts=1)


def truth(budgets):
    errors = np.stack([merged_error(FALLING, [U] * count, budgets) for count in (1, 2, 3, 4)], -1)
    return 0.1 * (errors.argmin(-1) + 1)


def test_more_compute_keeps_more():
    """The best tenth at one pass, then two, three and all four tenths at 100 times as much compute."""
    assert truth(BUDGETS)[[0, -1]] == pytest.approx([0.1, 0.4])
    drawn = pools()
    found = best_keep_fraction(drawn, [U] * 4, BUDGETS, total=10 * U)
    np.testing.assert_allclose(found.best_K, truth(BUDGETS))
    assert set(np.round(found.best_K, 9)) == {0.1, 0.2, 0.3, 0.4} and (np.diff(found.best_K) >= 0).all()
    np.testing.assert_allclose(found.share_KF.sum(1), 1.0)
    assert (found.low_KF <= found.predicted_KF).all() and (found.predicted_KF <= found.high_KF).all()
    assert found.verdict(0) == "for 1.28e+07 samples: keep 0.1, best in 100 % of the refits."
    np.testing.assert_array_equal(found.beyond_K, BUDGETS > 10 * U)
    assert "beyond the runs" in found.verdict(5) and "beyond the runs" not in found.verdict(3)
    assert found.cautions[-1].code == "extrapolation" and "2 of 6 budgets" in str(found.cautions[-1])


def test_recommendations_grow_with_compute_in_any_world_of_falling_quality():
    """Of one half-life; a poor pool that wears out sooner than the others need not."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        b, tau = np.sort(-rng.uniform(0.05, 0.4, 4)), rng.uniform(1, 10)
        world = {"a": 1e-6, "d": 0.1} | {f"b{i + 1}": b[i] for i in range(4)}
        world |= {f"tau{i + 1}": tau for i in range(4)}
        budgets = U * np.geomspace(1, 300, 40)
        errors = np.stack([merged_error(world, [U] * count, budgets) for count in (1, 2, 3, 4)], -1)
        assert (np.diff(errors.argmin(-1)) >= 0).all()


def test_near_a_crossing_the_runs_cannot_tell():
    def gap(D):
        one, two = (merged_error(FALLING, [U] * count, [D])[0] for count in (1, 2))
        return one - two

    crossing = brentq(gap, U, 5 * U)
    found = best_keep_fraction(pools(noise=0.005), [U] * 4, [crossing, 3 * crossing])
    assert {0.25, 0.5} <= set(found.plausible(0))
    assert "cannot tell which of 0.25, 0.5" in found.verdict(0)
    assert (found.share_KF[0] < 0.95).all()


def test_curves_of_the_authors_code_are_merged_as_that_code_does():
    form = quality_quantity(4, offset="inside").frozen(d=0.1)
    found = best_keep_fraction(pools(form=form, noise=0.0, resamples=5), [U] * 4, BUDGETS)
    errors = [merged_error(FALLING, [U] * count, BUDGETS, "inside") for count in (1, 2, 3, 4)]
    np.testing.assert_allclose(found.predicted_KF, np.stack(errors, -1), rtol=1e-4)


def selection_runs(fraction, p, law="quality_quantity", noise=0.002, count=40):
    """Runs on one selection, and the bootstrap of their law."""
    unique, rng = 10 * U * fraction, np.random.default_rng([int(100 * fraction), 3])
    D = unique * 10 ** rng.uniform(-0.5, 1.2, count)
    inputs = {"D": D, "U": np.full(count, unique)}
    if law == "data_constrained":
        inputs["N"] = 10 ** rng.uniform(5.5, 7, count)
        y = data_constrained(p, {**inputs, "epochs": np.maximum(D / unique, 1.0)})
        form = form_named(law).frozen(**{k: v for k, v in p.items() if k not in ("R_D", "R_N")})
    else:
        y, form = curves(p, {"D": D, "epochs": D / unique}), form_named(law).frozen(d=p["d"])
    found = fit(form, inputs, y * np.exp(noise * rng.normal(size=count)), starts=12)
    return Selection(fraction, unique, bootstrap(found, 200, starts=1))


def test_selections_with_laws_of_their_own():
    planted = {0.1: {"b": -0.2, "tau": 3.0}, 0.3: {"b": -0.186, "tau": 9.0}, 1.0: {"b": -0.165, "tau": 30.0}}
    planted = {fraction: {"a": 2.5e-7, "d": 0.1, **p} for fraction, p in planted.items()}
    kept = [selection_runs(fraction, p) for fraction, p in planted.items()]
    budgets = U * np.array([1.0, 10, 200])
    found = best_selection(kept[::-1], budgets)
    expected = np.stack(
        [curves(p, {"D": budgets, "epochs": budgets / (10 * U * f)}) for f, p in planted.items()], -1
    )
    np.testing.assert_allclose(found.best_K, np.array([0.1, 0.3, 1.0])[expected.argmin(-1)])
    assert list(found.fractions_F) == [0.1, 0.3, 1.0]
    np.testing.assert_allclose(found.predicted_KF, expected, rtol=0.02)
    np.testing.assert_array_equal(found.share_KF, best_selection(kept, budgets).share_KF)
    assert len(found.plausible(0)) == 1 and found.beyond_K[-1]


def test_selections_with_data_constrained_laws_at_a_model_size():
    base = {k: v for k, v in PLANTED["data_constrained"].items() if k != "B"}
    planted = {0.1: {**base, "B": 1100.0}, 1.0: {**base, "B": 1488.0}}
    kept = [selection_runs(fraction, p, "data_constrained") for fraction, p in planted.items()]
    found = best_selection(kept, U * np.array([1.0, 300]), N=3e6)
    np.testing.assert_array_equal(found.best_K, [0.1, 1.0])
    with pytest.raises(InputError, match="'N' is missing"):
        best_selection(kept, [U])


def test_identical_selections_cannot_be_told_apart():
    """Their refits are paired at random: neither is the best in most of them by the seed of the bootstrap alone."""
    one = selection_runs(0.1, {"a": 2.5e-7, "d": 0.1, "b": -0.2, "tau": 3.0}, noise=0.01)
    found = best_selection([one, Selection(0.2, one.unique, one.law)], [5 * U])
    assert len(found.plausible(0)) == 2 and 0.3 < found.share_KF[0, 0] < 0.7


def test_what_no_refit_can_predict_is_never_the_best():
    drawn = pools(resamples=20)
    broken = drawn.theta_BP.copy()
    broken[:5] = np.nan
    found = best_keep_fraction(replace(drawn, theta_BP=broken), [U] * 4, [U])
    assert found.share_KF[0].sum() == pytest.approx(0.75) and len(found.plausible(0)) == 4


def test_what_cannot_be_compared():
    drawn = pools(resamples=5)
    with pytest.raises(InputError, match="3 sizes need a fit"):
        best_keep_fraction(drawn, [U] * 3, [U])
    with pytest.raises(InputError, match="total must be at least"):
        best_keep_fraction(drawn, [U] * 4, [U], total=U)
    with pytest.raises(InputError, match="budgets must be"):
        best_keep_fraction(drawn, [U] * 4, [0.0])
    with pytest.raises(InputError, match="between 0 and 1"):
        best_keep_fraction(drawn, [U] * 4, [U], level=95)
    with pytest.raises(InputError, match="repeats='utility' alone"):
        best_keep_fraction(pools(resamples=5, form=quality_quantity(4, "data").frozen(d=0.1)), [U] * 4, [U])
    with pytest.raises(InputError, match="at least 2 selections"):
        best_selection([Selection(0.1, U, drawn)], [U])


@pytest.mark.slow
def test_the_best_fraction_is_among_the_plausible_ones():
    """In at least 90 % of 50 draws, at every budget, also near the crossings."""
    budgets, hits = U * np.geomspace(1, 100, 8), np.zeros(8)
    best = truth(budgets)
    for seed in range(50):
        found = best_keep_fraction(pools(0.005, 100 + seed, seeds=3), [U] * 4, budgets, total=10 * U)
        hits += [np.isclose(found.plausible(k), best[k]).any() for k in range(8)]
    assert hits.min() >= 45, hits
