"""The fitter: the same optimum as slow SciPy, the same answer in any order and unit, and cautions where they belong."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references.law_worlds import PLANTED, world_inputs
from references.laws_slow import chinchilla_fit

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import Outliers, fit
from training.laws.fitting.minimise import minimise, polish
from training.laws.fitting.objective import Objective


def runs_of(name, count, noise=0.01, seed=0):
    inputs = world_inputs(name, count, seed)
    y = np.exp(form_named(name).ln_prediction(PLANTED[name], inputs))
    return inputs, y * np.exp(noise * np.random.default_rng([seed, 7]).normal(size=count))


def codes(found):
    return {caution.code for caution in found.cautions}


# The minimiser


def rosenbrock(points, rows):
    x, y = points.T
    value = (1 - x) ** 2 + 100 * (y - x * x) ** 2
    return value, np.stack([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)], 1)


def test_minimise_finds_minima_inside_and_at_bounds():
    starts = np.random.default_rng(0).uniform(-3, 3, (50, 2))
    free = minimise(rosenbrock, starts, np.array([-5.0, -5.0]), np.array([5.0, 5.0]))
    np.testing.assert_allclose(free.points_RP, 1.0, atol=1e-6)
    assert free.finished_R.all()
    bounded = minimise(rosenbrock, starts, np.array([-5.0, -5.0]), np.array([0.5, 5.0]))
    np.testing.assert_allclose(bounded.points_RP, np.tile([0.5, 0.25], (50, 1)), atol=1e-6)


def test_minimise_survives_what_is_not_finite():
    def logarithm(points, rows):
        with np.errstate(invalid="ignore", divide="ignore"):
            return (points - np.log(points)).sum(1), 1 - 1 / points

    starts = np.array([[0.01, 50.0], [3.0, 0.5], [-1.0, 1.0]])
    found = minimise(logarithm, starts, np.full(2, -10.0), np.full(2, 100.0))
    np.testing.assert_allclose(found.points_RP[:2], 1.0, atol=1e-6)
    assert np.isinf(found.values_R[2]) and not found.finished_R[2]


def test_polish_never_makes_it_worse():
    starts = np.random.default_rng(1).uniform(-2, 2, (20, 2))
    rough = minimise(rosenbrock, starts, np.full(2, -5.0), np.full(2, 5.0), tolerance=1e-2)
    fine = polish(rosenbrock, rough, np.full(2, -5.0), np.full(2, 5.0))
    assert (fine.values_R <= rough.values_R).all()


# The fit


@pytest.mark.parametrize("seed", range(3))
def test_same_optimum_as_slow_scipy(seed):
    inputs, y = runs_of("chinchilla", 40, seed=seed)
    found = fit(form_named("chinchilla"), inputs, y)
    starts = [[a, a, e, s, s] for a in (3.0, 6.0, 9.0) for e in (0.0, 0.5) for s in (0.3, 0.5)]
    slow, objective = chinchilla_fit(inputs["N"], inputs["D"], y, starts)
    assert found.objective <= objective * (1 + 1e-6)
    assert objective <= found.objective * (1 + 1e-4)  # or the twin proves nothing
    assert found.parameters["alpha"] == pytest.approx(slow["alpha"], rel=0.02)


@pytest.mark.parametrize("objective", ["huber", "lad", "log_square", "square"])
def test_no_point_nearby_is_better(objective):
    inputs, y = runs_of("chinchilla", 50)
    found = fit(form_named("chinchilla"), inputs, y, objective=objective)

    def total(theta):
        return Objective(objective).total(found.problem.residuals(theta[None])[0], found.weights_N)

    best = total(found.theta_P)
    rng = np.random.default_rng(0)
    for size in (1e-1, 1e-2, 1e-3, 1e-4):
        for _ in range(50):
            assert total(found.theta_P + size * rng.normal(size=5)) >= best * (1 - 1e-6)


def test_objectives_are_sums_in_natural_units():
    inputs, y = runs_of("chinchilla", 30)
    for name in ("huber", "lad", "log_square", "square"):
        found = fit(form_named("chinchilla"), inputs, y, objective=name)
        predicted = found.predict({k: np.asarray(v)[found.rows_N] for k, v in inputs.items()})
        logs, plain = np.log(predicted / found.y_N), predicted - found.y_N
        small = np.abs(logs) <= 1e-3
        expected = {
            "huber": np.where(small, logs**2 / 2, 1e-3 * (np.abs(logs) - 5e-4)).sum(),
            "lad": np.abs(logs).sum(),
            "log_square": (logs**2).sum() / 2,
            "square": (plain**2).sum() / 2,
        }[name]
        assert found.objective == pytest.approx(expected, rel=1e-10)
        np.testing.assert_allclose(found.residuals_N, plain if name == "square" else logs, atol=1e-10)


@settings(max_examples=6, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    powers=st.tuples(st.integers(-12, 12), st.integers(-12, 12), st.integers(-3, 3)),
    name=st.sampled_from(["chinchilla", "kaplan_offset", "over_training"]),
)
def test_order_and_units_change_nothing(seed, powers, name):
    inputs, y = runs_of(name, 25, seed=seed)
    first = fit(form_named(name), inputs, y, starts=16)
    order = np.random.default_rng(seed).permutation(25)
    moved = fit(form_named(name), {k: v[order] for k, v in inputs.items()}, y[order], starts=16)
    assert moved.parameters == first.parameters and moved.objective == first.objective
    np.testing.assert_array_equal(order[moved.rows_N], first.rows_N)
    sizes = dict(zip(form_named(name).inputs, powers[:2]))
    scaled = fit(
        form_named(name),
        {k: v * 10.0 ** sizes[k] for k, v in inputs.items()},
        y * 10.0 ** powers[2],
        starts=16,
    )
    assert scaled.objective == pytest.approx(first.objective, rel=1e-6)
    at = {k: v * 10.0 ** sizes[k] for k, v in inputs.items()}
    np.testing.assert_allclose(scaled.predict(at), first.predict(inputs) * 10.0 ** powers[2], rtol=1e-4)
    assert codes(scaled) == codes(first)


def test_weights_are_copies():
    inputs, y = runs_of("chinchilla", 30)
    copies = np.random.default_rng(0).integers(0, 3, 30)
    weighted = fit(form_named("chinchilla"), inputs, y, weights=copies)
    repeated = fit(
        form_named("chinchilla"), {k: np.repeat(v, copies) for k, v in inputs.items()}, np.repeat(y, copies)
    )
    assert weighted.objective == pytest.approx(repeated.objective, rel=1e-8)


def test_outliers_are_left_out_as_asked_and_recorded():
    inputs, y = runs_of("chinchilla", 40)
    y = y.copy()
    y[[3, 17]] *= 3
    found = fit(form_named("chinchilla"), inputs, y, outliers=Outliers(highest=2))
    assert found.left_out == 2 and found.outliers == Outliers(highest=2)
    assert not {3, 17} & set(found.rows_N.tolist())
    ratio = inputs["D"] / inputs["N"]
    cut = fit(form_named("chinchilla"), inputs, y, outliers=Outliers(ratio=(5.0, 100.0)))
    assert sorted(cut.rows_N.tolist()) == np.flatnonzero((ratio >= 5) & (ratio <= 100)).tolist()


def test_inputs_follow_from_each_other():
    inputs, y = runs_of("chinchilla", 30)
    N, D = inputs["N"], inputs["D"]
    by_ND = fit(form_named("over_training"), {"N": N, "D": D}, y)
    by_CM = fit(form_named("over_training"), {"C": 6 * N * D, "M": D / N}, y)
    by_NC = fit(form_named("over_training"), {"N": N, "C": 6 * N * D}, y)
    assert by_ND.objective == pytest.approx(by_CM.objective, rel=1e-9)
    assert by_ND.objective == pytest.approx(by_NC.objective, rel=1e-9)
    assert by_ND.predict({"N": 1e9, "D": 2e10}) == pytest.approx(
        float(by_ND.predict({"C": 1.2e20, "M": 20.0}))
    )


# Cautions


def test_a_good_fit_has_no_cautions():
    inputs, y = runs_of("chinchilla", 100, noise=0.003)
    found = fit(form_named("chinchilla"), inputs, y)
    assert found.sound and found.agreeing > 1 and found.condition > 1


@pytest.mark.parametrize("runs", [6, 8, 9])
def test_eight_runs_for_five_parameters_are_too_few(runs):
    inputs, y = runs_of("chinchilla", runs)
    found = fit(form_named("chinchilla"), inputs, y)
    assert ("few_runs" in codes(found)) == (runs <= 8)
    if runs == 8:
        assert "8 runs for 5" in str(found.cautions[0]) and not found.sound


@pytest.mark.parametrize("name", ["chinchilla", "kaplan_offset", "power_offset"])
@pytest.mark.parametrize("objective", ["huber", "log_square"])
def test_shuffled_losses_never_make_a_sound_law(name, objective):
    for seed in range(4):
        inputs, y = runs_of(name, 60, seed=seed)
        shuffled = np.random.default_rng(seed).permutation(y)
        found = fit(form_named(name), inputs, shuffled, objective=objective, starts=16)
        assert not found.sound
        assert "unrelated" in codes(found)


def test_a_law_without_a_floor_is_at_a_bound():
    inputs = world_inputs("chinchilla", 60)
    y = np.exp(form_named("chinchilla").ln_prediction({**PLANTED["chinchilla"], "E": 1e-9}, inputs))
    y *= np.exp(0.01 * np.random.default_rng(1).normal(size=60)) - 0.0
    found = fit(form_named("chinchilla"), inputs, y - 0.05)
    assert found.at_bounds == ("E",) and found.parameters["E"] == 0
    assert "at_bound" in codes(found)


def test_what_the_runs_do_not_show_is_called_wide():
    inputs, y = runs_of("chinchilla", 40, noise=0.02)
    inputs["D"] = np.full(40, 1e10) * np.linspace(1, 1.05, 40)  # all of one size
    found = fit(form_named("chinchilla"), inputs, y)
    assert {"wide", "at_bound"} & codes(found)


@pytest.mark.parametrize("name", ["chinchilla", "power_offset"])
@pytest.mark.parametrize("objective", ["huber", "lad", "log_square", "square"])
@pytest.mark.parametrize("runs", [1, 2, 12])
def test_too_few_or_equal_runs_fit_but_are_never_sound(name, objective, runs):
    inputs = world_inputs(name, runs)
    same = {key: np.full(runs, column[0]) for key, column in inputs.items()}
    for columns, y in ((inputs, np.full(runs, 3.0)), (same, np.linspace(3, 3.5, runs))):
        found = fit(form_named(name), columns, y, objective=objective, starts=8)
        assert not found.sound
        assert np.isfinite(found.objective) and np.isfinite(found.predict(columns)).all()


def test_starts_are_the_grid_and_random_ones():
    form = form_named("chinchilla")
    few, many = form.start_points(10, 0), form.start_points(50, 0)
    assert few.shape == (10, 5) and many.shape == (50, 5)
    assert len(np.unique(many, axis=0)) == 50
    grid = {tuple(row) for row in many[:32]}
    assert {tuple(row) for row in few} <= grid and (many.min(0) == many[:32].min(0)).all()
    np.testing.assert_array_equal(many, form.start_points(50, 0))
    assert not np.array_equal(many, form.start_points(50, 1))


def test_different_minima_are_kept_best_first():
    inputs, y = runs_of("broken_power", 30, noise=0.03)
    found = fit(form_named("broken_power"), inputs, y)
    values = [
        Objective().total(found.problem.residuals(x[None])[0], found.weights_N) for x in found.solutions_SP
    ]
    assert 1 < len(values) <= 8
    assert values[0] == pytest.approx(found.objective) and (np.diff(values) > 0).all()
    np.testing.assert_array_equal(found.solutions_SP[0], found.theta_P)


def test_a_fit_is_turned_around():
    inputs, y = runs_of("chinchilla", 60)
    found = fit(form_named("chinchilla"), inputs, y)
    loss = found.predict({"N": 1e9, "D": 3e10})
    assert found.inverse("D", loss, {"N": 1e9}) == pytest.approx(3e10, rel=1e-6)
    with pytest.raises(InputError, match="input must be one of"):
        found.inverse("C", loss)


# What is refused


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda x, y: ({"N": x["N"]}, y, {}), "'D' is missing"),
        (lambda x, y: (x, y[:-1], {}), "one number per run"),
        (lambda x, y: (x, np.where(np.arange(len(y)) == 2, np.nan, y), {}), "not finite for 1 runs"),
        (lambda x, y: (x, -y, {}), "above 0"),
        (lambda x, y: ({**x, "N": x["N"] * 0}, y, {}), "above 0"),
        (lambda x, y: (x, y, {"objective": "hubr"}), "Did you mean 'huber'"),
        (lambda x, y: (x, y, {"delta": 0.0}), "delta must be above 0"),
        (lambda x, y: (x, y, {"weights": -np.ones(len(y))}), "weights must be"),
        (lambda x, y: (x, y, {"starts": 0}), "starts must be"),
        (lambda x, y: (x, y, {"outliers": Outliers(highest=99)}), "highest must be"),
        (lambda x, y: (x, y, {"outliers": Outliers(ratio=(1e9, 1e10))}), "leaves no run"),
    ],
)
def test_mistakes_are_one_sentence(change, sentence):
    inputs, y, options = change(*runs_of("chinchilla", 20))
    with pytest.raises(InputError, match=sentence):
        fit(form_named("chinchilla"), inputs, y, **options)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (lambda x: -2 - x, "have the mean"),
        (lambda x: np.where(x > x.min(), 1.0, -50.0), "have the mean"),
        (lambda x: 1e200 * (1 + x), "have no squares"),
        (lambda x: 1e-200 * (1 + x), "have no squares"),
        (lambda x: 1e307 * (10 + x), "have the mean"),
    ],
)
def test_outcomes_without_a_scale_for_squares_are_one_sentence(values, sentence):
    x = np.geomspace(0.1, 0.9, 20)
    with pytest.raises(InputError, match=sentence):
        fit(form_named("power_offset"), {"x": x}, values(x), objective="square", starts=2)
