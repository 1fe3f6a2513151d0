"""Every form: its formula, units, gradient, inverse and optimum, and that its own data give it back."""

import numpy as np
import pytest
import torch
from references.law_worlds import PLANTED, world_inputs
from references.laws_slow import FORMULAS

from scoring.errors import InputError
from training.laws.catalog import FORMS, form_named
from training.laws.fit import fit
from training.laws.fitting.objective import Objective
from training.laws.fitting.problem import Problem, Scales
from training.laws.form import OUTCOME, Parameter
from training.laws.forms.custom import custom
from training.laws.forms.over_training import from_chinchilla, to_chinchilla

NAMES = sorted(FORMS)


def predicted(name, inputs):
    return np.exp(form_named(name).ln_prediction(PLANTED[name], inputs))


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_the_formula_is_the_printed_one(name):
    inputs = world_inputs(name, 50)
    np.testing.assert_allclose(predicted(name, inputs), FORMULAS[name](PLANTED[name], inputs), rtol=1e-12)


def test_m4_solves_its_equation():
    x, p = world_inputs("m4", 50)["x"], PLANTED["m4"]
    y = predicted("m4", {"x": x})
    np.testing.assert_allclose((y - p["e"]) / (p["e0"] - y) ** p["alpha"], p["beta"] * x ** p["c"], rtol=1e-9)


def test_m4_without_alpha_is_m2():
    x = world_inputs("m4", 50)["x"] * 1e3
    p = {**PLANTED["m4"], "alpha": 0.0}
    expected = p["e"] + p["beta"] * x ** p["c"]
    np.testing.assert_allclose(np.exp(form_named("m4").ln_prediction(p, {"x": x})), expected, rtol=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_units_agree_with_the_formula(name):
    """Reduced parameters at reduced inputs give the reduced outcome, whatever inputs and outcome are divided by."""
    form, rng = form_named(name), np.random.default_rng(1)
    inputs = world_inputs(name, 20)
    y = predicted(name, inputs)
    scales = Scales({unit: float(rng.normal()) for unit in form.scaled})
    problem = Problem(form, inputs, y, Objective(), scales)
    frozen = form.frozen(**{k: v for k, v in PLANTED[name].items() if k != form.names[0]})
    theta = torch.zeros(1, 1, dtype=torch.float64)
    p, natural = frozen.reduced(theta, scales.ln), frozen.natural(theta, scales.ln)
    reduced_inputs = scales.inputs(form, inputs)
    reduced = form.formula(p, reduced_inputs) + scales.ln.get(OUTCOME, 0.0)
    given = {k: natural[k].numpy() for k in form.names}
    np.testing.assert_allclose(reduced.numpy()[0], np.ravel(form.ln_prediction(given, inputs)), atol=1e-9)
    assert problem.y.shape == (20,)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_agrees_with_differences(name):
    form, inputs = form_named(name), world_inputs(name, 40)
    y = predicted(name, inputs)
    problem = Problem(form, inputs, y, Objective("log_square"), Scales.of(form, inputs, y))
    starts = form.start_points(6, seed=0)
    low, high = form.limits()
    starts = starts + 0.01 * np.random.default_rng(0).normal(size=starts.shape)
    starts = np.clip(starts, low + 0.01, high - 0.01)
    ones, which = np.ones((1, 40)), np.zeros(6, dtype=np.int64)
    _, gradient = problem.evaluate(starts, ones, which, 1e-3)
    for i in range(starts.shape[1]):
        move = np.zeros(starts.shape[1])
        move[i] = 1e-6
        up, down = (problem.evaluate(starts + sign * move, ones, which, 1e-3)[0] for sign in (1, -1))
        both = np.isfinite(up) & np.isfinite(gradient[:, i])
        assert both.any()
        np.testing.assert_allclose(gradient[both, i], ((up - down) / 2e-6)[both], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_inverses_invert(name):
    form, inputs = form_named(name), world_inputs(name, 30)
    y = predicted(name, inputs)
    for wanted in form.inverses:
        found = form.inverse(wanted, PLANTED[name], y, inputs)
        np.testing.assert_allclose(found, inputs[wanted], rtol=1e-6)


def test_an_outcome_below_the_floor_has_no_inverse():
    found = form_named("chinchilla").inverse("D", PLANTED["chinchilla"], 1.5, {"N": 1e9})
    assert np.isnan(found)


@pytest.mark.parametrize(
    ("name", "exponents", "wanted", "y", "given"),
    [
        (
            "chinchilla",
            {"alpha": 0.5, "beta": 0.5},
            "D",
            1.705,
            {"N": 1e8},
        ),  # the square of a negative number
        ("kaplan_offset", {"alpha": 0.3, "beta": 0.3}, "D", 1.75, {"N": 1e7}),
        ("kaplan_offset", {"alpha": 0.3, "beta": 0.3}, "N", 1.75, {"D": 1e7}),
        ("over_training", {"eta": 0.5}, "C", 1.0, {"M": 20.0}),
        ("m3", {"beta": 1.0, "gamma": 0.1, "c": 0.5}, "x", 0.2, {}),
    ],
)
def test_what_a_law_never_reaches_has_no_inverse_for_any_exponent(name, exponents, wanted, y, given):
    parameters = {**PLANTED[name], **({"E": 1.7} if "E" in PLANTED[name] else {}), **exponents}
    assert np.isnan(form_named(name).inverse(wanted, parameters, y, given))


def test_a_parameter_is_frozen_or_tied_and_not_tied_to_itself():
    form = form_named("chinchilla")
    with pytest.raises(InputError, match=r"beta is tied .alpha. and cannot be frozen"):
        form.tied(beta="alpha").frozen(beta=0.3)
    with pytest.raises(InputError, match=r"beta cannot be tied .beta = alpha., it is frozen"):
        form.frozen(beta=0.3).tied(beta="alpha")
    with pytest.raises(InputError, match=r"alpha cannot be tied .alpha = 2 . alpha."):
        form.tied(alpha="2 * alpha")
    with pytest.raises(InputError, match=r"E must be a finite number"):
        form.frozen(E=float("nan"))
    assert [p.name for p in form.frozen(alpha=0.3).tied(beta="alpha").free] == ["A", "B", "E"]


@pytest.mark.parametrize("name", ["chinchilla", "kaplan", "kaplan_offset", "over_training"])
def test_the_optimum_is_the_minimum_on_an_isoflop_curve(name):
    form, C = form_named(name), 1e21
    N = np.geomspace(1e7, 1e11, 40_001)
    inputs = (
        {"C": np.full_like(N, C), "M": C / (6 * N**2)}
        if name == "over_training"
        else {"N": N, "D": C / (6 * N)}
    )
    best = form.optimal_size(PLANTED[name], C)
    assert best == pytest.approx(N[form.ln_prediction(PLANTED[name], inputs).argmin()], rel=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_noiseless_data_give_the_law_back(name):
    inputs = world_inputs(name, 60)
    y = predicted(name, inputs)
    found = fit(form_named(name), inputs, y, objective="log_square")
    assert found.objective < 1e-12
    np.testing.assert_allclose(found.predict(inputs), y, rtol=1e-6)


def test_over_training_is_chinchilla_with_one_exponent():
    p = PLANTED["over_training"]
    inputs = world_inputs("over_training", 20)
    N = np.sqrt(inputs["C"] / (6 * inputs["M"]))
    chinchilla = np.exp(
        form_named("chinchilla").ln_prediction(to_chinchilla(p), {"N": N, "D": N * inputs["M"]})
    )
    np.testing.assert_allclose(chinchilla, predicted("over_training", inputs), rtol=1e-12)
    assert from_chinchilla(to_chinchilla(p)) == pytest.approx(p)
    with pytest.raises(InputError, match="alpha"):
        from_chinchilla(PLANTED["chinchilla"])


def test_broken_powers_have_one_to_three_breaks():
    x = world_inputs("broken_power", 30)["x"]
    one = PLANTED["broken_power"]
    more = {**one, "c2": 0.0, "d2": 1e6, "f2": 1.0, "c3": 0.0, "d3": 1e7, "f3": 1.0}
    expected = form_named("broken_power").ln_prediction(one, {"x": x})
    for breaks in (2, 3):
        np.testing.assert_allclose(
            form_named("broken_power", breaks=breaks).ln_prediction(more, {"x": x}), expected, rtol=1e-12
        )
    with pytest.raises(InputError, match="1, 2 or 3"):
        form_named("broken_power", breaks=4)


def test_frozen_and_tied_parameters():
    inputs = world_inputs("chinchilla", 60)
    tied = {**PLANTED["chinchilla"], "beta": 0.348}
    y = np.exp(form_named("chinchilla").ln_prediction(tied, inputs))
    found = fit(form_named("chinchilla").tied(beta="alpha").frozen(E=1.82), inputs, y)
    assert found.parameters == pytest.approx(tied, rel=1e-5)
    assert [p.name for p in found.form.free] == ["A", "B", "alpha"]
    held = fit(form_named("chinchilla").frozen(A=480.0, alpha=0.348), inputs, y)
    assert held.parameters == pytest.approx(tied, rel=1e-5)


def test_bounds_hold_a_parameter():
    inputs = world_inputs("chinchilla", 40)
    y = predicted("chinchilla", inputs)
    found = fit(form_named("chinchilla").bounded(alpha=(0.0, 0.3)), inputs, y)
    assert found.parameters["alpha"] == 0.3 and found.at_bounds == ("alpha",)


def test_what_cannot_be_frozen_or_tied_is_refused():
    form = form_named("chinchilla")
    with pytest.raises(InputError, match="Did you mean 'alpha'"):
        form.frozen(alfa=0.3)
    with pytest.raises(InputError, match="above 0"):
        form.frozen(A=-1.0)
    with pytest.raises(InputError, match="ascending"):
        form.bounded(alpha=(1.0, 0.5))
    with pytest.raises(InputError, match="above 0 for a log scale"):
        form.bounded(A=(0.0, 1.0))
    with pytest.raises(InputError, match="which is tied itself"):
        form.tied(alpha="beta", beta="2 * alpha")
    with pytest.raises(InputError, match="has units"):
        form.tied(B="A")
    with pytest.raises(InputError, match="nothing to fit"):
        fit(form.frozen(**PLANTED["chinchilla"]), world_inputs("chinchilla", 10), np.ones(10))
    with pytest.raises(InputError, match="form must be one of"):
        form_named("chinchila")


def test_a_law_of_ones_own():
    inputs = world_inputs("chinchilla", 60)
    y = predicted("chinchilla", inputs)
    own = custom(
        "E + A / N^alpha + B / D^beta",
        ["N", "D"],
        [
            Parameter("A", starts=(0.1, 0.3), units={"N": "alpha", "y": 1}),
            Parameter("B", starts=(0.1, 0.3), units={"D": "beta", "y": 1}),
            Parameter("E", units={"y": 1}),
            Parameter("alpha", scale="linear", low=0.0, high=5.0),
            Parameter("beta", scale="linear", low=0.0, high=5.0),
        ],
    )
    found = fit(own, inputs, y)
    assert found.parameters == pytest.approx(PLANTED["chinchilla"], rel=1e-4)
    plain = fit(
        custom("a * x / (b + x)", ["x"]),
        {"x": np.arange(1.0, 30)},
        2 * np.arange(1.0, 30) / (5 + np.arange(1.0, 30)),
    )
    assert plain.parameters == pytest.approx({"a": 2.0, "b": 5.0}, rel=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('x')",
        "a.b",
        "x[0]",
        "a if x else b",
        "lambda: 1",
        "x < 1",
        "open(x)",
        "'x'",
        "a +",
        "exp(x, y)",
        "True",
        "x" * 3000,
    ],
)
def test_expressions_that_are_not_arithmetic_are_refused(text):
    with pytest.raises(InputError):
        custom(text, ["x"])


def test_names_in_an_expression_are_checked():
    with pytest.raises(InputError, match="'D' is an input"):
        custom("a * N", ["N", "D"])
    with pytest.raises(InputError, match="'b' is a parameter"):
        custom("a * N", ["N"], [Parameter("b")])
    with pytest.raises(InputError, match="'exp'"):
        custom("a * expp(N)", ["N"])
