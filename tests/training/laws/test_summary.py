"""A law in words: every number is the law's, every caution a consequence, nothing confident where there is one."""

import re
from dataclasses import replace

import numpy as np
import pytest

from scoring.reports.text import escape
from training.laws.catalog import FORMS, form_named, form_of
from training.laws.cautions import Caution
from training.laws.evaluation import evaluate
from training.laws.fit import Outliers, fit
from training.laws.form import Form
from training.laws.forms.chinchilla import chinchilla
from training.laws.forms.custom import custom
from training.laws.forms.power import power, power_offset
from training.laws.measured_range import inside, reach
from training.laws.optimal import compute_optimal
from training.laws.uncertainty.bootstrap import bootstrap
from training.laws.uncertainty.interval import Interval
from training.laws.uncertainty.profile import Profile
from training.laws.words.consequences import consequences
from training.laws.words.formula_text import FORMULAS, formula_text
from training.laws.words.precision import law_precision, run_precision
from training.laws.words.quantities import digits, percent, size, with_interval
from training.laws.words.summary import headline, summary


def runs(seed=0, sizes=6, budgets=5, noise=0.004):
    rng = np.random.default_rng(seed)
    N, M = (
        column.ravel() for column in np.meshgrid(np.geomspace(3e7, 3e9, sizes), np.geomspace(5, 80, budgets))
    )
    D = N * M
    loss = (1.82 + 480 / N**0.348 + 2080 / D**0.366) * np.exp(noise * rng.normal(size=len(N)))
    return {"N": N, "D": D}, loss


@pytest.fixture(scope="module")
def law():
    return fit(chinchilla(), *runs(noise=0.001), outliers=Outliers(highest=1), starts=16)


@pytest.fixture(scope="module")
def resampled(law):
    return bootstrap(law, 100)


# words


def test_a_sound_law(law, resampled):
    assert law.sound and not resampled.cautions
    inputs, _ = runs(noise=0.001)
    said = summary(law, resampled, None, compute_optimal(resampled, 1e23))
    assert formula_text(law) in said and "29 runs (1 left out as outliers)" in said
    for p in law.form.free:
        assert f"{p.name} {with_interval(resampled.interval(p.name))}" in said
    half = np.median(np.abs(np.log(law.y_N / law.predict(law.inputs))))
    assert f"Half of the runs lie within {percent(half)} of it" in said
    largest = (6 * inputs["N"] * inputs["D"]).max()
    assert f"{digits(1e23 / largest, 2)} times the compute of its largest run" in said
    assert "N from 30M to 3B" in said and "what lies outside is extrapolation" in said
    assert said.endswith("Nothing was found that speaks against the law among its runs.")
    assert "\n" not in said and summary(law, resampled) == summary(law, resampled)


def test_an_optimum_among_the_runs_and_one_off_them(law):
    C = float(np.median(6 * law.inputs["N"] * law.inputs["D"]))
    assert "which lies among its runs" in summary(law, optimum=compute_optimal(law, C))
    off = replace(
        compute_optimal(law, C), N=Interval(3e6, 2e6, 4e6, 0.95), D=Interval(1e12, 1e12, 1e12, 0.95)
    )
    assert "where no run was made" in summary(law, optimum=off)


def test_held_out_runs():
    inputs, loss = runs(noise=0.001)
    found = evaluate(chinchilla(), inputs, loss, below=1e20, starts=16)
    boot = bootstrap(found.fitted, 60)
    said = summary(found.fitted, boot, found)
    C = 6 * inputs["N"] * inputs["D"]
    factor = digits(C.max() / C[C < 1e20].max(), 2)
    assert (
        f"It predicted {int((C >= 1e20).sum())} held-out runs, up to {factor} times the compute of those"
        in said
    )
    assert f"a mean error of {percent(found.mean_error)}, at worst {percent(found.worst_error)}" in said
    _, low, high = boot.predict(found.inputs)
    held = int(((found.actual_T >= low) & (found.actual_T <= high)).sum())
    assert f"{held} of {len(low)} lie" in said
    whole = fit(chinchilla(), inputs, loss, starts=16)
    assert f"Fitted to {len(found.fitted.y_N)} runs only, the same form predicted" in summary(
        whole, None, found
    )
    wrong = replace(found, actual_T=found.predicted_T * 0.9)
    assert "always too high" in summary(found.fitted, boot, wrong)
    assert "fewer than these promise" in summary(found.fitted, boot, wrong)


def test_few_runs_forbid_everything():
    law = fit(chinchilla(), *runs(sizes=3, budgets=2), starts=8)
    said = summary(law, optimum=compute_optimal(law, 1e22))
    assert "6 runs for 5 free parameters" in said and "neither its parameters nor its predictions" in said
    assert "this is nothing to act on" in said
    assert "still good" not in said and "Nothing was found" not in said and "typically known" not in said


def test_shuffled_losses_are_no_law():
    inputs, loss = runs()
    law = fit(chinchilla(), inputs, np.random.default_rng(3).permutation(loss), starts=8)
    said = summary(law)
    assert "there is no law here to use" in said and "still good" not in said


def test_wide_parameters_leave_predictions():
    inputs, loss = runs(noise=0.01)
    law = fit(chinchilla(), inputs, loss, starts=8)
    law = replace(law, cautions=(Caution("wide", "alpha ...", "alpha"), Caution("wide", "A ...", "A")))
    (said,) = consequences(law)
    good = percent(law_precision(law))
    assert said == (
        "alpha and A are hardly determined: do not quote them; predictions within the measured range are still good to "
        f"{good}."
    )
    noisy = fit(power(), {"x": np.arange(1.0, 13)}, np.exp(np.random.default_rng(0).normal(0, 0.5, 12)))
    noisy = replace(noisy, cautions=(Caution("wide", "...", "beta"),))
    assert "beta is hardly determined: do not quote it; " in consequences(noisy)[0]
    assert "uncertain by" in consequences(noisy)[0]


def test_every_caution_has_a_consequence(law):
    codes = ["few_runs", "at_bound", "wide", "starts_disagree", "unrelated"]
    cautions = tuple(Caution(code, code, "alpha") for code in codes)
    flat = Profile(
        "beta", np.array([0.1, 0.3]), np.ones(2), np.ones(2), 3.9, Interval(0.2, 0.0, np.inf, 0.95), True
    )
    found = consequences(replace(law, cautions=cautions, at_bounds=("E",)), None, [flat])
    assert len(found) == len(codes) + 1
    assert "no law" in found[0] and "29 runs for 5" in found[1] and "fit again from more starts" in found[2]
    assert found[3].startswith("E (1.8") and "at a bound" in found[3]
    assert found[4].startswith("beta: its profile is flat") and found[4].endswith("do not quote a value.")
    other = replace(law, cautions=(Caution("new", "Something new."),))  # type: ignore[arg-type]
    assert consequences(other) == ["Something new."] and "Something new." in summary(other)
    assert consequences(law) == []


def test_names_of_users_stay_on_one_line_and_out_of_markdown():
    x = np.geomspace(1, 100, 20)
    law = fit(custom("aa + b/x", ["x"], name="mine"), {"x": x}, 1 + 1 / x, starts=4)
    said = summary(law, outcome="my\n*law* [x](y) <b> $1$")
    assert "\n" not in said and "The law of my *law* [x](y) <b> $1$, y = 1.000 + 1.000/x," in said
    safe = escape(said)
    assert r"\*law\*" in safe and r"\[x\]" in safe and "&lt;b" in safe and r"\$1\$" in safe


def test_one_run_and_no_noise():
    one = fit(power(), {"x": [2.0]}, [3.0])
    said = summary(one)
    assert "fitted to 1 run." in said and "1 run for 2 free parameters" in said
    x = np.geomspace(1, 1e3, 20)
    exact = fit(power_offset(), {"x": x}, 2 + 3 / x)
    assert "within" in summary(exact)


def test_frozen_and_tied_parameters_are_named(law):
    inputs, loss = runs()
    found = fit(chinchilla().frozen(E=1.8).tied(beta="alpha"), inputs, loss, starts=8)
    assert "E held at 1.8" in summary(found) and "beta tied to alpha" in summary(found)


# formulas


@pytest.mark.parametrize("name", [name for name in FORMULAS if name in FORMS])
def test_formulas_are_those_of_the_forms(name):
    """Both sides of the written equation agree where y is the prediction of the form."""
    form = form_named(name)
    values = {parameter: 0.1 + 0.01 * k for k, parameter in enumerate(form.names)}
    values |= {"error_decay": {"epsilon": 5.0}, "m4": {"e0": 3.0}, "sigmoid": {"a": -0.1, "b": 0.9}}.get(
        name, {}
    )
    inputs = dict.fromkeys(form.inputs, 0.7)
    predicted = float(np.exp(form.ln_prediction(values, inputs)))
    written = FORMULAS[name].format(**{parameter: repr(value) for parameter, value in values.items()})
    written = re.sub(r"(?<=[\d)]) (?=[A-Za-z(])", " * ", written.replace("^", "**"))
    known = {
        "exp": np.exp,
        **inputs,
        **{symbol: predicted for symbol in ("y", "L", "Err", "acc") if symbol not in inputs},
    }
    left, right = (eval(side, known) for side in written.split(" = "))  # our own table, not a user's text
    assert left == pytest.approx(right, rel=1e-12)
    assert set(re.findall(r"\{(\w+)\}", FORMULAS[name])) == set(form.names)


def test_formulas_in_numbers(law):
    shown = replace(
        law, parameters={"A": 477.83, "B": 2143.4, "E": 1.81722, "alpha": 0.34731, "beta": 0.367172}
    )
    assert formula_text(shown) == "L = 1.817 + 477.8 / N^0.3473 + 2143 / D^0.3672"
    assert formula_text(replace(shown, parameters={**shown.parameters, "E": 0.0})).startswith("L = 477.8")
    own = replace(law, form=Form("own", ("N",), law.form.parameters, law.form.formula))
    assert formula_text(own).startswith("own(N) with A = ")
    users = replace(law, form=form_of("E + A / N^alpha * exp(-B) + beta", ["N"]), parameters=shown.parameters)
    assert formula_text(users) == "y = 1.817 + 477.8 / N^0.3473 * exp(-2143) + 0.3672"


# ranges


def test_the_measured_range_is_a_hull():
    law = fit(chinchilla(), *runs(sizes=5, budgets=4), starts=4)
    N, D = law.inputs["N"], law.inputs["D"]
    assert inside(law, {"N": N, "D": D}).all()
    middle = np.exp([np.log(N).mean()]), np.exp([np.log(D).mean()])
    assert inside(law, {"N": middle[0], "D": middle[1]}).all()
    # both within their own ranges, together never measured
    assert not inside(law, {"N": [N.max()], "D": [D.min()]}).any()
    assert not inside(law, {"N": [N.max() * 1.01], "D": [np.median(D)]}).any()
    rng = np.random.default_rng(0)
    from scipy.spatial import Delaunay

    points = np.stack([rng.uniform(np.log(v.min()), np.log(v.max()), 200) for v in (N, D)], 1)
    expected = Delaunay(np.stack([np.log(N), np.log(D)], 1)).find_simplex(points) >= 0
    assert (inside(law, {"N": np.exp(points[:, 0]), "D": np.exp(points[:, 1])}) == expected).all()


def test_runs_on_a_line_measure_that_line_alone():
    N = np.geomspace(1e7, 1e9, 9)
    law = fit(chinchilla(), {"N": N, "D": 20 * N}, 2 + 400 / N**0.3, starts=4)
    assert inside(law, {"N": [3e7, 3e7], "D": [6e8, 7e8]}).tolist() == [True, False]


def test_how_far_predictions_reach(law):
    C = 6 * law.inputs["N"] * law.inputs["D"]
    name, factor = reach(law, {"N": [1e9, 1e10], "D": [1e10, 1e12]})
    assert name == "C" and factor == pytest.approx(6e22 / C.max())
    x = np.geomspace(1, 50, 12)
    assert reach(fit(power(), {"x": x}, 1 / x), {"x": [100.0]}) == ("x", pytest.approx(2.0))
    two = fit(custom("a + b/u + c/v", ["u", "v"]), {"u": x, "v": x[::-1]}, 1 + 1 / x + 1 / x[::-1], starts=2)
    name, factor = reach(two, {"u": [1.0], "v": [1.0]})
    assert name == "" and np.isnan(factor)


def test_the_precision_of_the_delta_method_is_about_that_of_the_bootstrap(law, resampled):
    assert law_precision(law) == pytest.approx(law_precision(law, resampled), rel=0.4)
    assert run_precision(resampled) > law_precision(law, resampled) and np.isnan(run_precision(None))
    square = fit(chinchilla(), *runs(noise=0.001), objective="square", starts=8)
    assert law_precision(square) == pytest.approx(law_precision(law), rel=0.5)
    x, weights = np.geomspace(1, 1e3, 12), np.repeat([1.0, 0.0], 12)
    y = (1 + x**-0.5) * np.exp(0.01 * np.random.default_rng(0).normal(size=12))
    counted = fit(power_offset(), {"x": np.append(x, 10 * x)}, np.append(y, y), weights=weights)
    assert law_precision(counted) == pytest.approx(law_precision(fit(power_offset(), {"x": x}, y)), rel=1e-3)


# numbers


def test_numbers_as_people_write_them():
    assert [digits(v) for v in (477.83, 12846.0, 6.787e7, 0.34731, 0.0, 1e-5, float("inf"))] == [
        "477.8", "12,850", "6.787e7", "0.3473", "0", "1e-5", "inf",
    ]  # fmt: skip
    assert [size(v) for v in (73.2e9, 2e7, 999.9e6, 1.31e12, 12.0)] == ["73.2B", "20M", "1B", "1.31T", "12.0"]
    assert (
        size(5.76e23, "C") == "5.76e23"
        and percent(0.00363) == "0.36 %"
        and percent(float("nan")).startswith("an")
    )


@pytest.mark.parametrize(
    ("value", "low", "high", "name", "said"),
    [
        (0.34731, 0.317, 0.373, "", "0.347 (0.317 to 0.373)"),
        (477.8, 285, 744, "", "480 (280 to 740)"),
        (454.0, 10.8, 22_200, "", "454 (10.8 to 22,200)"),
        (73.2e9, 52.9e9, 115e9, "N", "73.2B (52.9B to 115B)"),
        (0.35, 0.05, float("inf"), "", "0.350 (0.0500 or more)"),
        (0.35, float("-inf"), 2.0, "", "0.350 (2.00 or less)"),
        (2.0, 0.0, float("inf"), "", "2.00 (of any size)"),
        (2.0, 1e-9, 1e9, "", "2.00 (of any size)"),
        (2.0, float("nan"), 3.0, "", "2.00 (no interval)"),
        (2.0, float("-inf"), float("inf"), "", "2.00 (no interval)"),
        (2.0, 2.0, 2.0, "", "2.00 (2.00 to 2.00)"),
        (-0.3, -0.35, -0.26, "", "-0.300 (-0.350 to -0.260)"),
    ],
)
def test_intervals_in_words(value, low, high, name, said):
    assert with_interval(Interval(value, low, high, 0.95), name) == said


def test_the_headline_is_the_verdict_in_one_sentence(law, resampled):
    said = headline(law, resampled, outcome="loss of web")
    known = percent(law_precision(law, resampled))
    assert said == f"Among its 29 runs the law of loss of web is known to within {known} (95 %)."
    doubtful = replace(
        law, at_bounds=("E",), cautions=(Caution("wide", "wide.", "A"), Caution("at_bound", "bound."))
    )
    assert headline(doubtful, resampled).endswith("; do not quote A or E.")
    few = fit(chinchilla(), *runs(sizes=3, budgets=2), starts=8)
    assert headline(few).startswith("No law of loss to use: 6 runs for 5 free parameters")
    unrelated = replace(law, cautions=(Caution("unrelated", "no better than chance."),))
    assert (
        headline(unrelated)
        == "No law of loss to use: the inputs explain the outcome hardly better than chance."
    )
    lone = replace(law, cautions=(Caution("starts_disagree", "alone."),))
    assert "start" in headline(lone) and headline(lone).startswith("No law of loss to use: only one of")


def test_intervals_that_did_not_hold_are_something_against_the_law():
    inputs, loss = runs(noise=0.001)
    found = evaluate(chinchilla(), inputs, loss, below=1e20, starts=16)
    boot = bootstrap(found.fitted, 60)
    wrong = replace(found, actual_T=found.predicted_T * 0.9)
    assert "Nothing was found" not in summary(found.fitted, boot, wrong)
    said = headline(found.fitted, boot, wrong)
    assert "with a mean error of 11 %, and its intervals are too narrow there" in said
    one = replace(
        found,
        predicted_T=found.predicted_T[:1],
        actual_T=found.actual_T[:1],
        inputs={k: v[:1] for k, v in found.inputs.items()},
    )
    assert "it predicted 1 held-out run with an error of" in headline(found.fitted, boot, one)


def test_an_interval_of_rounding_has_no_more_digits_than_others():
    assert with_interval(Interval(0.5 - 1e-16, 0.5 - 2e-16, 0.5, 0.95)) == "0.500 (0.500 to 0.500)"


def test_copies_are_told_and_nothing_speaks_for_the_law_beside_them(law, resampled):
    sound = "Nothing was found"
    assert sound in summary(law, resampled) and "equal another" not in summary(law, resampled)
    inputs, loss = runs(noise=0.001)
    rows = np.append(np.arange(len(loss)), 4)
    twice = fit(chinchilla(), {name: column[rows] for name, column in inputs.items()}, loss[rows], starts=16)
    assert "1 of 31 runs equals another in all that the law reads" in summary(twice)
    assert sound not in summary(twice)
    weightless = fit(
        chinchilla(), {name: column[rows] for name, column in inputs.items()}, loss[rows], starts=16,
        weights=np.append(np.ones(len(loss)), 0),
    )  # fmt: skip
    assert "another in all" not in summary(weightless), "a run of weight zero is no run"


@pytest.mark.parametrize("name", ["power_offset", "chinchilla"])
@pytest.mark.parametrize("rounding", [0.0, 1e-15])
def test_an_outcome_that_never_changes_is_no_law(name, rounding):
    D = np.geomspace(1e8, 1e11, 20)
    y = 2.5 * (1 + rounding * np.arange(20))
    found = fit(form_named(name), {"x": D, "D": D, "N": D[::-1] ** 0.5}, y)
    assert "unrelated" in {caution.code for caution in found.cautions}
    assert "The outcome is the same in all runs: there is no law here to use." in summary(found)
    assert "good to" not in summary(found)
