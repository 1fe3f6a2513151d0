"""The multi-power law: its sum by quadrature against every term, its units, gradient, and its own data."""

import numpy as np
import pytest
import torch
from references import annealing_slow as slow

from scoring.errors import InputError
from training.laws.annealing.schedules import Schedule, constant, cosine, two_stage, wsd
from training.laws.fit import fit
from training.laws.fitting.objective import Objective
from training.laws.fitting.problem import Problem, Scales
from training.laws.forms.annealing import multi_power, point_inputs

P = dict(zip(slow.NAMES, slow.PUBLISHED[25]))
WARM = {"warmup": 300, "start": 0.0}


def predicted(parameters, points):
    return np.exp(np.ravel(multi_power(points).ln_prediction(parameters, point_inputs(points))))


def rough(seed):
    rng = np.random.default_rng(seed)
    return Schedule(np.concatenate([np.linspace(0, 3e-4, 200), rng.uniform(1e-5, 3e-4, 500)]), warmup=200)


@pytest.mark.parametrize(
    "schedule",
    [
        constant(3000, 3e-4, **WARM),
        cosine(4000, 3e-4, 3e-5, **WARM),
        cosine(4000, 3e-4, warmup=300),
        wsd(4000, 3e-4, 3e-5, 3000, **WARM),
        wsd(4000, 3e-4, 0.0, 300, decay="linear", **WARM),
        two_stage(3000, 3e-4, 9e-5, 2000, **WARM),
        Schedule(np.concatenate([np.full(500, 1e-3), np.full(500, 1e-4), np.full(500, 5e-4)])),
        rough(0),
    ],
    ids=lambda schedule: schedule.name or "array",
)
def test_the_sum_by_quadrature_is_the_whole_sum(schedule):
    rng = np.random.default_rng(1)
    steps = np.unique(np.concatenate([rng.integers(300, len(schedule), 12), [len(schedule) - 1]]))
    for _ in range(5):
        drawn = {
            "C": 10 ** rng.uniform(-2, 2),
            "beta": rng.uniform(0.05, 1.5),
            "gamma": rng.uniform(0.0, 1.2),
        }
        own = {**P, **drawn, "B": 0.1 / 3e-4}
        expected = slow.multi_power(own, schedule.lr_T, steps)
        np.testing.assert_allclose(predicted(own, [(schedule, steps)]), expected, rtol=1e-8)


def test_a_rate_of_zero_has_its_limit():
    falling = wsd(2000, 3e-4, 0.0, 1000, decay="linear", warmup=100).lr_T
    ended = Schedule(np.append(falling, 0.0), warmup=100)
    last = predicted(P, [(ended, [1999, 2000])])
    assert np.isfinite(last).all() and 0 <= last[0] - last[1] < 1e-3


def test_a_constant_rate_leaves_a_power_law():
    steps = np.arange(5, 100, 10)
    expected = P["L0"] + P["A"] * ((steps + 1) * 1e-3) ** -P["alpha"]
    np.testing.assert_allclose(predicted(P, [(constant(100, 1e-3), steps)]), expected, rtol=1e-12)


def planted():
    schedules = [
        constant(4000, 3e-4, **WARM),
        cosine(4000, 3e-4, 3e-5, **WARM),
        two_stage(4000, 3e-4, 9e-5, 2000, **WARM),
    ]
    return [(schedule, np.arange(320, 4000, 80)) for schedule in schedules]


def test_units_agree_with_the_formula():
    points = planted()
    form, inputs = multi_power(points), point_inputs(points)
    scales = Scales({"S1": 1.3, "y": -0.4})
    frozen = form.frozen(**{name: value for name, value in P.items() if name != "L0"})
    theta = torch.zeros(1, 1, dtype=torch.float64)
    reduced = form.formula(frozen.reduced(theta, scales.ln), scales.inputs(form, inputs)) + scales.outcome
    natural = frozen.natural(theta, scales.ln)
    given = {name: natural[name].numpy() for name in form.names}
    np.testing.assert_allclose(reduced.numpy()[0], np.ravel(form.ln_prediction(given, inputs)), atol=1e-12)


def test_gradient_agrees_with_differences():
    points = planted()
    form, inputs = multi_power(points), point_inputs(points)
    y = predicted(P, points)
    problem = Problem(form, inputs, y, Objective("log_square"), Scales.of(form, inputs, y))
    starts = form.start_points(4, seed=0) + 0.01 * np.random.default_rng(0).normal(size=(4, 7))
    ones, which = np.ones((1, len(y))), np.zeros(4, dtype=np.int64)
    _, gradient = problem.evaluate(starts, ones, which, 1e-3)
    for i in range(7):
        move = np.zeros(7)
        move[i] = 1e-6
        up, down = (problem.evaluate(starts + sign * move, ones, which, 1e-3)[0] for sign in (1, -1))
        both = np.isfinite(up) & np.isfinite(gradient[:, i])
        assert both.any()
        np.testing.assert_allclose(gradient[both, i], ((up - down) / 2e-6)[both], rtol=1e-5, atol=1e-7)


def test_noiseless_data_give_the_law_back():
    points = planted()
    y, inputs = predicted(P, points), point_inputs(points)
    found = fit(multi_power(points).frozen(gamma=P["gamma"]), inputs, y, objective="log_square", starts=8)
    assert found.objective < 1e-12
    assert found.parameters == pytest.approx(P, rel=1e-2)
    new = [(wsd(4000, 3e-4, 3e-5, 3000, **WARM), [3500, 3999])]
    np.testing.assert_allclose(predicted(found.parameters, new), predicted(P, new), rtol=1e-5)


def test_no_points_are_refused():
    with pytest.raises(InputError, match="at least one schedule"):
        multi_power([])
    with pytest.raises(InputError, match="at least one schedule"):
        multi_power([(constant(10, 1.0), [])])
