"""Laws of whole loss curves: the published metrics from the published curves, uncertainty, and schedules compared."""

from dataclasses import replace

import numpy as np
import pytest
from references import annealing_slow as slow

from scoring.errors import InputError
from training.laws.annealing.compare_schedules import compare_schedules
from training.laws.annealing.curve_bootstrap import block_length, misfit, resample_curves
from training.laws.annealing.loss_curves import CurveErrors, CurveLaw, LossCurve, fit_curves
from training.laws.annealing.schedules import Schedule, constant, cosine, two_stage, wsd

PLANTED = {"L0": 3.158, "A": 0.514, "alpha": 0.513, "C": 0.402}


@pytest.fixture(scope="module")
def curves(data_dir):
    """The nine curves of a model size, by name."""

    def of(size):
        found = {}
        for name in (*slow.TRAIN, *slow.TEST):
            steps, _, losses = slow.recorded_rows(data_dir / "scaling" / "multi_power_law", size, name)
            schedule = Schedule(slow.formula(name), 2160, name)
            found[name] = LossCurve(schedule, steps, losses, name)
        return found

    return {25: of(25), 100: of(100)}


def on_held_out(law, own):
    return CurveErrors.mean([law.errors(own[name]) for name in slow.TEST])


def objective(law, own):
    """The Huber objective of a law on the curves trained on."""
    off = [np.log(law.predict(own[n].schedule, own[n].steps) / own[n].losses) for n in slow.TRAIN]
    off = np.abs(np.concatenate(off))
    return np.where(off < 1e-3, off**2 / 2, 1e-3 * (off - 5e-4)).sum()


@pytest.mark.parametrize(
    ("size", "published", "total"),
    [
        (25, (0.9988, 0.00376, 0.00465, 0.00110, 0.00409), 2.91e-4),
        (100, (0.9983, 0.00435, 0.00592, 0.00142, 0.00583), 2.81e-4),
    ],
)
def test_published_parameters_give_the_published_errors(curves, size, published, total):
    law = CurveLaw("multi_power", dict(zip(slow.NAMES, slow.PUBLISHED[size])))
    found = on_held_out(law, curves[size])
    assert found.r2 == pytest.approx(published[0], abs=5e-5)
    rest = (found.mae, found.rmse, found.mean_relative, found.worst_relative)
    assert rest == pytest.approx(published[1:], abs=5e-6)
    assert objective(law, curves[size]) == pytest.approx(total, abs=5e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "known", "r2", "mae"), [(25, 1.55e-4, 0.9975, 0.0047), (100, 2.81e-4, 0.9970, 0.0051)]
)
def test_the_multi_power_law_fitted(curves, size, known, r2, mae):
    """The best objective is far below the published one; held-out errors are near, and somewhat larger."""
    law = fit_curves([curves[size][name] for name in slow.TRAIN])
    assert law.fitted.objective < known
    assert law.fitted.objective == pytest.approx(objective(law, curves[size]), rel=1e-4)
    found = on_held_out(law, curves[size])
    assert found.r2 > r2 and found.mae < mae
    assert {c.parameter for c in law.cautions if c.code == "wide"} >= {"C"}


@pytest.mark.parametrize(
    ("size", "parameters", "r2", "mae"),
    [
        (25, (3.158, 0.514, 0.513, 0.402), 0.9979, 0.00477),
        (100, (2.789, 0.593, 0.455, 0.481), 0.9978, 0.00467),
    ],
)
def test_the_momentum_law_fitted(curves, size, parameters, r2, mae):
    law = fit_curves([curves[size][name] for name in slow.TRAIN], "momentum", decay=0.999)
    assert [law.parameters[name] for name in ("L0", "A", "alpha", "C")] == pytest.approx(parameters, abs=6e-4)
    found = on_held_out(law, curves[size])
    assert found.r2 == pytest.approx(r2, abs=6e-5) and found.mae == pytest.approx(mae, abs=6e-6)
    chosen = fit_curves([curves[size][name] for name in slow.TRAIN], "momentum")
    assert chosen.decay == 0.998 and len(chosen.objectives) == 6
    assert chosen.fitted.objective < law.fitted.objective and on_held_out(chosen, curves[size]).mae < mae


@pytest.mark.slow
@pytest.mark.parametrize("size", [25, 100])
def test_held_out_curves_lie_in_their_intervals(curves, size):
    """Intervals of resampled noise alone hold far fewer: the misfit between shapes is what counts."""
    own = curves[size]
    drawn = resample_curves(fit_curves([own[name] for name in slow.TRAIN], "momentum"), 100)
    shares = {True: [], False: []}
    for name in slow.TEST:
        for new in shares:
            _, low, high = drawn.predict(own[name].schedule, own[name].steps, new=new)
            shares[new].append(((own[name].losses >= low) & (own[name].losses <= high)).mean())
    assert np.mean(shares[True]) > 0.9 > 0.7 > np.mean(shares[False])
    assert drawn.block > 8 and "3 curves" in str(drawn.cautions[-1])
    names = ("cosine_24000", "wsd_20000_24000", "wsdld_20000_24000", "constant_24000")
    verdict = compare_schedules(drawn, {name: own[name].schedule for name in names})
    assert verdict.best == "wsd_20000_24000" == min(names, key=lambda name: own[name].losses[-1])
    assert verdict.undecided == ("wsdld_20000_24000",)
    actual = own["cosine_24000"].losses[-1] - own["wsd_20000_24000"].losses[-1]
    # at 100M the law puts the end of the decay 0.7 % too low, which no curve it was fitted on could tell
    assert (actual in verdict.behind["cosine_24000"]) == (size == 25)


def planted(count=3, noise=1e-3, seed=0, **parameters):
    """Curves of a momentum law with white noise."""
    rng, warm = np.random.default_rng(seed), {"warmup": 200, "start": 0.0}
    schedules = [
        constant(6000, 1e-3, **warm),
        cosine(6000, 1e-3, 1e-4, **warm),
        two_stage(5000, 1e-3, 3e-4, 3000, **warm),
        wsd(6000, 1e-3, 1e-4, 4000, **warm),
        wsd(5000, 1e-3, 1e-4, 4000, decay="linear", **warm),
        cosine(4000, 1e-3, **warm),
    ][:count]
    law = CurveLaw("momentum", {**PLANTED, **parameters}, decay=0.998)
    steps = [np.arange(240, len(schedule), 40) for schedule in schedules]
    return law, [
        LossCurve(s, t, law.predict(s, t) * np.exp(noise * rng.normal(size=len(t))), f"run {k}")
        for k, (s, t) in enumerate(zip(schedules, steps))
    ]


@pytest.mark.slow
def test_a_planted_momentum_law_is_found_with_its_decay():
    truth, runs = planted(6)
    law = fit_curves(runs, "momentum")
    assert law.decay == 0.998 and law.parameters == pytest.approx(PLANTED, rel=0.05)
    assert fit_curves(runs, "momentum", stride=4).parameters == pytest.approx(PLANTED, rel=0.1)
    drawn = resample_curves(law, 100)
    assert drawn.block is None and PLANTED["L0"] in drawn.interval("L0")
    assert drawn.misfit == pytest.approx(1e-3, rel=0.2)
    assert not [c for c in drawn.cautions if "curves" in str(c)]
    verdict = compare_schedules(drawn, {"steady": runs[0].schedule, "cosine": runs[1].schedule})
    assert verdict.best == "cosine" and verdict.undecided == ()
    exact = truth.predict(runs[0].schedule) - truth.predict(runs[1].schedule)
    assert exact[0] in verdict.behind["steady"]


def test_order_and_units_change_nothing():
    _, runs = planted()
    law = fit_curves(runs, "momentum", decay=0.998)
    shuffled = [
        replace(run, steps_n=run.steps[::-1], losses_n=run.losses[::-1])
        for run in (runs[2], runs[0], runs[1])
    ]
    assert fit_curves(shuffled, "momentum", decay=0.998).parameters == law.parameters
    for factor in (1e-3, 1e4):
        other = [
            replace(run, schedule=Schedule(factor * run.schedule.lr_T, run.schedule.warmup)) for run in runs
        ]
        found = fit_curves(other, "momentum", decay=0.998)
        assert found.parameters["L0"] == pytest.approx(law.parameters["L0"], rel=1e-5)
        assert found.parameters["C"] * factor == pytest.approx(law.parameters["C"], rel=1e-4)


def test_multi_power_answers_alike_in_other_units():
    _, runs = planted()
    runs = [run.thinned(4) for run in runs]
    law = fit_curves(runs, starts=4)
    scaled = [replace(run, schedule=Schedule(1e3 * run.schedule.lr_T, run.schedule.warmup)) for run in runs]
    found = fit_curves(scaled, starts=4)
    assert found.fitted.objective == pytest.approx(law.fitted.objective, rel=1e-3)
    shuffled = fit_curves([runs[1], runs[2], runs[0]], starts=4)
    assert shuffled.parameters == law.parameters


def test_several_sizes_share_a_law():
    runs = []
    for N in (1e7, 3e7, 1e8, 3e8):
        _, own = planted(3, noise=1e-4, seed=int(N))
        runs += [replace(run, losses_n=run.losses + 120.0 * N**-0.28 - 1.0, N=N) for run in own]
    law = fit_curves(runs, "momentum_size", decay=0.998)
    assert law.parameters == pytest.approx({**PLANTED, "L0": 2.158, "B": 120.0, "beta": 0.28}, rel=0.1)
    new = law.predict(runs[0].schedule, [3000], N=1e9)
    assert new < law.predict(runs[0].schedule, [3000], N=3e8)
    with pytest.raises(InputError, match="needs N"):
        law.predict(runs[0].schedule, [3000])


def test_curves_of_one_size_say_nothing_of_other_sizes():
    runs = [replace(run, losses_n=run.losses + 1.0, N=1e8) for run in planted(3)[1]]
    drawn = resample_curves(fit_curves(runs, "momentum_size", decay=0.998, stride=4), 20)
    own, low, high = drawn.predict(runs[0].schedule, [3000, 5000], N=1e8)
    assert (low < own).all() and (own < high).all() and (high < 1.1 * low).all()
    _, low, high = drawn.predict(runs[0].schedule, [3000, 5000], N=1e9)
    assert low.tolist() == [0, 0] and high.tolist() == [np.inf, np.inf]


def test_one_curve_says_what_is_not_known():
    _, runs = planted(1)
    law = fit_curves(runs, "momentum", decay=0.998)
    assert [
        c.parameter or c.text for c in law.cautions if c.code == "at_bound"
    ]  # a constant rate says nothing about C
    assert law.fitted.at_bounds == ("C",)
    assert np.isnan(misfit(law))
    drawn = resample_curves(law, 20)
    assert "none can be left out" in str(drawn.cautions[-1])
    low, high = drawn.predict(runs[0].schedule)[1:]
    assert low[0] < runs[0].losses[-1] < high[0]
    low, high = drawn.predict(cosine(6000, 1e-3, 1e-4, warmup=200))[1:]  # what annealing does was never seen
    assert (low[0], high[0]) == (0, np.inf)


def test_schedules_beyond_the_curves_are_named():
    _, runs = planted()
    law = fit_curves(runs, "momentum", decay=0.998)
    said = " ".join(str(c) for c in law.reaches_beyond(constant(60_000, 2e-3)))
    assert "20.47 times" in said and "highest rate, 0.002" in said
    assert "lowest rate" in str(law.reaches_beyond(cosine(5000, 1e-3, warmup=200))[0])
    assert (
        law.reaches_beyond(runs[1].schedule)
        == ()
        == CurveLaw("multi_power", {}).reaches_beyond(constant(9, 1.0))
    )


def test_blocks_are_as_long_as_the_noise():
    rng = np.random.default_rng(0)
    white = [rng.normal(size=400) for _ in range(3)]
    slow_noise = [np.convolve(part, np.ones(20), "valid") for part in white]
    assert block_length(white) <= 4
    assert 25 <= block_length(slow_noise) <= 70
    assert block_length([np.ones(40), np.ones(40)]) == 10  # above the law throughout: a quarter of a curve
    assert block_length([np.zeros(9)]) == 2 and block_length([np.ones(1)]) == 1


def test_errors_of_a_constant_curve():
    found = CurveErrors.of([2.0, 2.2], [2.0, 2.0])
    assert np.isnan(found.r2)
    assert (found.mae, found.mean_relative, found.worst_relative) == pytest.approx((0.1, 0.05, 0.1))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda c: replace(c, losses_n=np.full(len(c.steps), np.nan)), "finite and above 0"),
        (lambda c: replace(c, losses_n=0 * c.losses), "finite and above 0"),
        (lambda c: replace(c, losses_n=c.losses[1:]), "one per step"),
        (lambda c: replace(c, steps_n=np.full(len(c.steps), 300)), "once only"),
        (lambda c: replace(c, steps_n=c.steps + 10_000), "steps must lie"),
        (lambda c: c.thinned(0), "stride"),
        (lambda c: fit_curves([c], "momentun"), "Did you mean 'momentum'"),
        (lambda c: fit_curves([]), "at least one"),
        (lambda c: CurveLaw("momentum", PLANTED), "decay"),
        (lambda c: CurveLaw("power", PLANTED), "must be one of"),
        (lambda c: resample_curves(CurveLaw("momentum", PLANTED, decay=0.99)), "not fitted here"),
        (
            lambda c: compare_schedules(
                resample_curves(fit_curves([c], "momentum", decay=0.99), 2), {"a": c.schedule}
            ),
            "at least 2",
        ),
    ],
)
def test_what_cannot_be_is_refused(build, message):
    with pytest.raises(InputError, match=message):
        build(planted(1)[1][0])


def test_rates_too_small_for_the_momentum_law_are_refused():
    """At rates near 3e-10 the search ended far above the minimum."""
    curves = [LossCurve(Schedule(np.linspace(3e-10, 1e-10, 50)), np.arange(10, 50), np.linspace(3, 2, 40))]
    with pytest.raises(InputError, match="in a larger unit"):
        fit_curves(curves, "momentum", decay=0.99, starts=2)
