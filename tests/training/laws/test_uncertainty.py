"""Intervals: they cover what was planted, agree with each other where they should, and are wide where they must."""

from dataclasses import replace

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs
from references.laws_slow import chinchilla_fit

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.optimal import compute_optimal
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.delta_method import delta_interval, standard_errors
from training.laws.uncertainty.interval import percentile_interval
from training.laws.uncertainty.profile import profile

EXPONENT = PLANTED["chinchilla"]["beta"] / (PLANTED["chinchilla"]["alpha"] + PLANTED["chinchilla"]["beta"])


def runs_of(name, count, noise, seed):
    inputs = world_inputs(name, count, seed)
    y = np.exp(form_named(name).ln_prediction(PLANTED[name], inputs))
    return inputs, y * np.exp(noise * np.random.default_rng([seed, 7]).normal(size=count))


def fitted(name="chinchilla", count=60, noise=0.005, seed=0, **options):
    inputs, y = runs_of(name, count, noise, seed)
    return fit(form_named(name), inputs, y, **options)


def test_linear_case_has_the_textbook_errors():
    """M1 by least squares on logarithms is a straight line: standard errors and t interval of ordinary regression."""
    inputs, y = runs_of("power", 30, 0.05, 0)
    found = fit(form_named("power"), inputs, y, objective="log_square")
    x, ln_y = np.log(inputs["x"]), np.log(y)
    slope, intercept = np.polyfit(x, ln_y, 1)
    residual = ln_y - slope * x - intercept
    error = np.sqrt((residual**2).sum() / 28 / ((x - x.mean()) ** 2).sum())
    assert found.parameters["c"] == pytest.approx(slope, rel=1e-8)
    assert standard_errors(found)["c"] == pytest.approx(error, rel=1e-6)
    from scipy.stats import t

    interval = delta_interval(found, lambda p: p["c"])
    assert (interval.high - interval.low) / 2 == pytest.approx(t.ppf(0.975, 28) * error, rel=1e-6)
    seen = profile(found, "c")
    assert (seen.interval.low, seen.interval.high) == pytest.approx((interval.low, interval.high), rel=2e-3)
    assert not seen.flat and not seen.cautions


@pytest.mark.parametrize("objective", ["huber", "lad", "square"])
def test_objectives_of_resamples_and_profiles_are_in_natural_units(objective):
    found = fitted(objective=objective)
    drawn = bootstrap(found, 3)
    predicted = found.form.ln_prediction({k: v[:1] for k, v in drawn.samples.items()}, found.inputs)
    weights = np.random.default_rng(0).multinomial(60, np.full(60, 1 / 60), size=3)[0].astype(float)
    residuals = predicted - np.log(found.y_N) if objective != "square" else np.exp(predicted) - found.y_N
    assert drawn.objectives_B[0] == pytest.approx(found.minimised.total(residuals, weights), rel=1e-3)
    seen = profile(found, "alpha", [found.parameters["alpha"]])
    assert seen.objectives_K[0] == pytest.approx(found.objective, rel=1e-3)
    assert found.starts_S.min() == pytest.approx(found.objective, rel=1e-3)


def test_few_runs_have_wide_bootstraps():
    found = fitted(count=8, noise=0.02)
    assert "wide" in {caution.code for caution in bootstrap(found, 100).cautions}
    assert not bootstrap(fitted(count=100, noise=0.002), 100).cautions


def test_resamples_are_fitted_as_a_loop_would():
    inputs, y = runs_of("chinchilla", 40, 0.01, 3)
    found = fit(form_named("chinchilla"), inputs, y)
    drawn = bootstrap(found, 6, seed=5)
    weights = np.random.default_rng(5).multinomial(40, np.full(40, 1 / 40), size=6)
    p = found.parameters
    start = [[np.log(p["A"]), np.log(p["B"]), np.log(p["E"]), p["alpha"], p["beta"]]]
    for b in range(6):
        rows = np.repeat(np.arange(40), weights[b])
        N, D = (found.inputs[name][rows] for name in ("N", "D"))
        _, objective = chinchilla_fit(N, D, found.y_N[rows], start)
        assert drawn.objectives_B[b] <= objective * (1 + 1e-6)
        repeated = fit(form_named("chinchilla"), {"N": N, "D": D}, found.y_N[rows])
        assert drawn.objectives_B[b] == pytest.approx(repeated.objective, rel=1e-6)


def test_same_seed_same_bootstrap_in_any_order():
    inputs, y = runs_of("chinchilla", 30, 0.01, 0)
    order = np.random.default_rng(0).permutation(30)
    first = bootstrap(fit(form_named("chinchilla"), inputs, y), 20, seed=3)
    moved = fit(form_named("chinchilla"), {k: v[order] for k, v in inputs.items()}, y[order])
    second = bootstrap(moved, 20, seed=3)
    np.testing.assert_array_equal(first.theta_BP, second.theta_BP)
    other = bootstrap(moved, 20, seed=4)
    assert not np.array_equal(first.theta_BP, other.theta_BP)


def test_groups_share_their_noise():
    """Twelve sizes with noise of their own: resampled by run the interval is too narrow, by size it is not."""
    rng = np.random.default_rng(0)
    N = np.repeat(np.geomspace(1e8, 1e10, 12), 8)
    D = np.tile(np.geomspace(1e9, 1e11, 8), 12)
    y = np.exp(form_named("chinchilla").ln_prediction(PLANTED["chinchilla"], {"N": N, "D": D}))
    y = y * np.exp(np.repeat(0.02 * rng.normal(size=12), 8) + 0.001 * rng.normal(size=96))
    found = fit(form_named("chinchilla"), {"N": N, "D": D}, y)
    alone, grouped = bootstrap(found, 200), bootstrap(found, 200, groups=N)
    width = {
        name: b.interval("alpha").high - b.interval("alpha").low
        for name, b in (("run", alone), ("size", grouped))
    }
    assert width["size"] > 1.3 * width["run"]
    with pytest.raises(InputError, match="at least 2 different groups"):
        bootstrap(found, 10, groups=np.zeros(96))
    with pytest.raises(InputError, match="one per run"):
        bootstrap(found, 10, groups=np.zeros(5))


def test_prediction_intervals_hold_new_runs():
    """95 % intervals for new runs hold about 95 % of them, those for the law itself far fewer."""
    inside, of_law, total = 0, 0, 0
    for seed in range(4):
        inputs, y = runs_of("chinchilla", 160, 0.01, 20 + seed)
        train, new = ({k: v[part] for k, v in inputs.items()} for part in (slice(0, 80), slice(80, None)))
        drawn = bootstrap(fit(form_named("chinchilla"), train, y[:80]), 200, starts=1)
        centre, low, high = drawn.predict(new)
        assert (low < centre).all() and (centre < high).all()
        inside += int(((low <= y[80:]) & (y[80:] <= high)).sum())
        _, low, high = drawn.predict(new, noise=False)
        of_law += int(((low <= y[80:]) & (y[80:] <= high)).sum())
        total += 80
    assert 0.91 <= inside / total <= 0.99
    assert of_law < 0.6 * total


def test_profiles_of_what_cannot_be_seen_are_flat():
    """All runs have nearly one D, so B, beta and E can take each other's place."""
    inputs, y = runs_of("chinchilla", 40, 0.01, 0)
    inputs["D"] = 1e10 * np.linspace(1, 1.02, 40)
    y = np.exp(form_named("chinchilla").ln_prediction(PLANTED["chinchilla"], inputs))
    y = y * np.exp(0.01 * np.random.default_rng(3).normal(size=40))
    found = fit(form_named("chinchilla"), inputs, y, objective="log_square")
    seen = profile(found, "beta")
    assert seen.interval.high > 10 * PLANTED["chinchilla"]["beta"]
    assert seen.flat and "flat" in str(seen.cautions[0])


def test_profile_at_given_values_and_of_what_is_frozen():
    found = fitted()
    seen = profile(found, "E", [1.7, 1.8, 1.9])
    free = fit(found.form.frozen(E=1.7), found.inputs, found.y_N)
    assert seen.objectives_K[0] == pytest.approx(free.objective, rel=1e-6)
    assert (seen.objectives_K >= found.objective * (1 - 1e-9)).all()
    with pytest.raises(InputError, match="frozen or tied"):
        profile(free, "E")


def test_optima_of_fit_and_bootstrap():
    found = fitted()
    best, drawn = compute_optimal(found, 1e22), compute_optimal(bootstrap(found, 200), 1e22)
    p = found.parameters
    a = p["beta"] / (p["alpha"] + p["beta"])
    G = (p["alpha"] * p["A"] / (p["beta"] * p["B"])) ** (1 / (p["alpha"] + p["beta"]))
    assert best.a.value == pytest.approx(a) and drawn.a.value == pytest.approx(a)
    assert best.N.value == pytest.approx(G * (1e22 / 6) ** a)
    assert best.N.value * best.D.value * 6 == pytest.approx(1e22)
    assert best.loss.value == pytest.approx(float(found.predict({"N": best.N.value, "D": best.D.value})))
    for one in (best, drawn):
        for interval in (one.N, one.D, one.loss, one.a):
            assert interval.low < interval.value < interval.high
    ratio = np.log(best.N.factor) / np.log(drawn.N.factor)
    assert 0.5 < ratio < 2
    with pytest.raises(InputError, match="no compute-optimal"):
        compute_optimal(fitted("power"), 1e20)
    with pytest.raises(InputError, match="C must be above 0"):
        compute_optimal(found, 0.0)


def test_percentiles_count_what_is_not_finite_on_both_sides():
    sample = np.concatenate([np.linspace(0, 1, 90), np.full(10, np.nan)])
    interval = percentile_interval(0.5, sample, 0.95)
    assert interval.low == -np.inf and interval.high == np.inf
    with pytest.raises(InputError, match="between 0 and 1"):
        percentile_interval(0.5, sample, 95)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bootstrap", "delta", "profile"])
@pytest.mark.parametrize("objective", ["huber", "log_square"])
def test_intervals_cover_what_was_planted(method, objective):
    """At least 90 % of 50 draws for every parameter and the exponent a = beta / (alpha + beta)."""
    planted = {**PLANTED["chinchilla"], "a": EXPONENT}
    hits = dict.fromkeys(planted, 0)
    for seed in range(50):
        inputs, y = runs_of("chinchilla", 80, 0.005, 100 + seed)
        found = fit(form_named("chinchilla"), inputs, y, objective=objective, starts=16)
        intervals = {}
        drawn = bootstrap(found, 200, starts=1) if method == "bootstrap" else None
        for name in planted:
            quantity = (
                (lambda p: p["beta"] / (p["alpha"] + p["beta"])) if name == "a" else (lambda p, n=name: p[n])
            )
            if method == "profile":
                if name in ("alpha", "E"):  # the others take as long and say the same
                    intervals[name] = profile(found, name, starts=1).interval
            else:
                intervals[name] = drawn.derived(quantity) if drawn else delta_interval(found, quantity)
        for name, interval in intervals.items():
            hits[name] += planted[name] in interval
    for name in intervals:
        assert hits[name] >= 45, hits


def test_an_interval_does_not_depend_on_what_else_is_asked():
    drawn = bootstrap(fitted(count=40), 40)
    together = drawn.predict({"N": [1e8, 1e9], "D": [1e10, 2e10]})
    alone = drawn.predict({"N": 1e9, "D": 2e10})
    assert [float(each[1]) for each in together] == pytest.approx([float(each) for each in alone], rel=1e-12)


def test_statistics_do_not_depend_on_the_unit_of_weights_nor_on_runs_without_weight():
    inputs = world_inputs("power_offset", 40)
    rng = np.random.default_rng(3)
    y = np.exp(form_named("power_offset").ln_prediction(PLANTED["power_offset"], inputs))
    y = y * np.exp(rng.normal(0, 0.01, 40))
    weight = rng.uniform(0.5, 2, 40)
    laws = [
        fit(form_named("power_offset"), inputs, y, weights=weight * unit, starts=8, objective="log_square")
        for unit in (1.0, 70.0)
    ]
    more = {"x": np.append(inputs["x"], [1e5, 2e5])}
    laws.append(
        fit(
            form_named("power_offset"),
            more,
            np.append(y, [9.0, 0.1]),
            weights=np.append(weight, [0, 0]),
            starts=8,
            objective="log_square",
        )
    )
    first, *others = laws
    for law in others:
        for found in (delta_interval(law, lambda p: p["c"]), profile(law, "c").interval):
            assert found.value == pytest.approx(first.parameters["c"], rel=1e-6)
        for ends in (
            lambda law: delta_interval(law, lambda p: p["e"]),
            lambda law: profile(law, "c").interval,
        ):
            assert ends(law).low == pytest.approx(ends(first).low, rel=1e-3)
        assert [caution.code for caution in law.cautions] == [caution.code for caution in first.cautions]


def test_a_profile_that_finds_a_better_fit_says_so():
    x = np.geomspace(1, 1e4, 20)
    y = (2 + 3 * x**-0.4) * np.exp(0.01 * np.random.default_rng(0).normal(size=20))
    found = fit(form_named("power_offset"), {"x": x}, y)
    values = found.parameters["c"] * np.linspace(0.9, 1.3, 9)
    assert not profile(found, "c", values).better and not profile(found, "c").better
    worse = found.parameters["c"] * 1.5
    at = [p.name for p in found.form.free].index("c")
    moved = found.theta_P + np.where(np.arange(3) == at, worse - found.parameters["c"], 0.0)
    off = replace(found, theta_P=moved, parameters={**found.parameters, "c": worse})
    seen = profile(off, "c", values)
    assert "starts_disagree" in [caution.code for caution in seen.cautions]
    assert "found a better fit near" in str(seen.cautions[0])
