"""Learning-rate schedules as data: rates by name and from records, and the sums that laws of loss curves read."""

import numpy as np
import pytest
from references import annealing_slow as slow

from scoring.errors import InputError
from training.laws.annealing.schedules import (
    Schedule,
    constant,
    cosine,
    recorded,
    schedule_named,
    two_stage,
    wsd,
)
from training.optim import schedule_factor

LUO = {"warmup": 2160, "start": 0.0}


def of_file(name):
    """The schedule of a recorded curve by our names."""
    kind, *numbers = name.split("_")
    if kind == "wsdcon":
        return two_stage(16_000, 3e-4, int(numbers[0]) * 1e-5, 8000, **LUO)
    if kind in ("wsd", "wsdld"):
        fall = "exponential" if kind == "wsd" else "linear"
        return wsd(24_000, 3e-4, 3e-5, 20_000, decay=fall, **LUO)
    ends = {"end": 3e-5} if kind == "cosine" else {}
    return schedule_named(kind, total=int(numbers[0]), peak=3e-4, **ends, **LUO)


@pytest.mark.parametrize("name", [*slow.TRAIN, *slow.TEST])
def test_schedules_by_name_are_the_formulas_and_the_recorded_rates(name, data_dir):
    schedule = of_file(name)
    np.testing.assert_allclose(schedule.lr_T, slow.formula(name), rtol=1e-12)
    steps, lr, _ = slow.recorded_rows(data_dir / "scaling" / "multi_power_law", 25, name)
    np.testing.assert_allclose(schedule.lr_T[schedule.at(steps)], lr, rtol=1e-9)


@pytest.mark.parametrize("name", ["constant", "cosine", "linear"])
def test_schedules_are_those_of_training(name):
    trained = [0.1 * schedule_factor(name, step, 50, 7) for step in range(50)]
    ours = {
        "constant": constant(50, 0.1, warmup=7),
        "cosine": cosine(50, 0.1, warmup=7),
        "linear": wsd(50, 0.1, 0.0, 7, decay="linear", warmup=7),
    }[name]
    np.testing.assert_allclose(ours.lr_T, trained, rtol=1e-12)


def test_s1_counts_the_warm_up_and_s2_does_not():
    rng = np.random.default_rng(0)
    lr = np.concatenate([np.linspace(0, 1, 10), rng.uniform(0.1, 1, 15)])
    schedule = Schedule(lr, warmup=10)
    np.testing.assert_allclose(schedule.S1_T, [lr[: t + 1].sum() for t in range(25)])
    for decay in (0.0, 0.9, 0.999):
        expected = [slow.S2(lr, decay, 10, t) for t in range(25)]
        np.testing.assert_allclose(schedule.S2(decay), expected, atol=1e-13)
    assert (constant(100, 1e-3, warmup=10).S2(0.999) == 0).all()


def test_rates_between_records():
    line = recorded([0, 10, 20], [1.0, 1.0, 0.5])
    np.testing.assert_allclose(line.lr_T[[5, 15, 20]], [1.0, 0.75, 0.5])
    stairs = recorded([20, 0, 10], [0.5, 1.0, 1.0], hold=True)
    np.testing.assert_allclose(stairs.lr_T[[5, 19, 20]], [1.0, 1.0, 0.5])
    late = recorded([12, 20], [1.0, 0.5], warmup=10, start=0.0)
    np.testing.assert_allclose(late.lr_T[:13], [*np.linspace(0, 1, 10), 1.0, 1.0, 1.0])
    assert len(late) == 21 and late.warmup == 10


def test_a_recorded_schedule_is_near_its_formula(data_dir):
    steps, lr, _ = slow.recorded_rows(data_dir / "scaling" / "multi_power_law", 25, "cosine_24000")
    found, exact = recorded(steps, lr, **LUO), of_file("cosine_24000")
    np.testing.assert_allclose(found.S1_T[-1], exact.S1_T[len(found) - 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Schedule(np.zeros(3)), "not all 0"),
        (lambda: Schedule(np.array([1.0, np.nan])), "finite"),
        (lambda: Schedule(np.array([1.0, -1.0])), "at least 0"),
        (lambda: Schedule(np.zeros((2, 2))), "one rate per step"),
        (lambda: Schedule(np.ones(3), warmup=3), "warmup"),
        (lambda: constant(0, 1.0), "total"),
        (lambda: cosine(10, 1.0, warmup=10), "warmup"),
        (lambda: wsd(10, 1.0, 0.0, 5), "above 0"),
        (lambda: wsd(10, 1.0, 0.1, 10), "decay_start"),
        (lambda: wsd(10, 1.0, 0.1, 5, decay="linaer"), "Did you mean 'linear'"),
        (lambda: two_stage(10, 1.0, 0.1, 12), "drop_at"),
        (lambda: schedule_named("cosin", total=3), "Did you mean 'cosine'"),
        (lambda: recorded([5, 6], [1.0, 1.0]), "how many steps of warm-up"),
        (lambda: recorded([0, 0], [1.0, 1.0]), "each once"),
        (lambda: recorded([0, 1.5], [1.0, 1.0]), "whole numbers"),
        (lambda: recorded([3, 6], [1.0, 1.0], warmup=9), "first record"),
        (lambda: recorded([0, 1], [1.0]), "one rate per recorded step"),
        (lambda: constant(5, 1.0).S2(1.0), "decay"),
        (lambda: constant(5, 1.0).at([5]), "0 to 5|5 to 5"),
        (lambda: constant(5, 1.0, warmup=2, start=0.0).at([0]), "first positive rate"),
        (lambda: constant(5, 1.0).at([1.5]), "whole numbers"),
    ],
)
def test_what_is_no_schedule_is_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_a_schedule_does_not_share_its_rates():
    lr = np.ones(5)
    schedule = Schedule(lr)
    lr[:] = 7.0
    assert schedule.lr_T[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        schedule.lr_T[0] = 2.0
