"""From size to task in two steps: planted chains come back, with intervals that hold new runs; the ladder's recipe."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.run_table import make_run_table
from training.laws.tasks.chain import bootstrap_chain, fit_chain
from training.laws.tasks.ladder import MMLU_WEIGHTS, final_value, ladder_runs, smoothed, task_average
from training.laws.tasks.routes import ROUTES, predict_task
from training.laws.tasks.runs import ANCHOR, TaskRuns, make_task_runs, task_runs
from training.laws.uncertainty.bootstrap import bootstrap

LOSS = {"A": 40.0, "B": 100.0, "E": 0.45, "alpha": 0.226, "beta": 0.236}


def planted(runs, noise=(0.0, 0.0), seed=0):
    """Runs whose loss follows Chinchilla and whose accuracy follows a sigmoid of their own noisy loss."""
    inputs = world_inputs("chinchilla", runs, seed)
    rng = np.random.default_rng([seed, 5])
    loss = np.exp(form_named("chinchilla").ln_prediction(LOSS, inputs) + noise[0] * rng.normal(size=runs))
    task = np.exp(form_named("sigmoid").ln_prediction(PLANTED["sigmoid"], {"L": loss}))
    return inputs, loss, task + noise[1] * rng.normal(size=runs)


# The chain


def test_a_planted_chain_is_found():
    inputs, loss, task = planted(60)
    chain = fit_chain(make_task_runs(inputs, loss, task), objective1="log_square")
    assert chain.step1.parameters == pytest.approx(LOSS, rel=1e-3)
    assert chain.step2.parameters == pytest.approx(PLANTED["sigmoid"], rel=1e-3)
    new, _, truth = planted(5, seed=9)
    np.testing.assert_allclose(chain.predict(new), truth, rtol=1e-4)
    centre, low, high = bootstrap_chain(chain, 20).predict(new)
    np.testing.assert_allclose(low, truth, rtol=1e-3)
    np.testing.assert_allclose(high, truth, rtol=1e-3)
    assert chain.predict({"N": new["N"][0], "C": 6 * new["N"][0] * new["D"][0]}) == pytest.approx(
        truth[0], rel=1e-4
    )
    assert centre.shape == (5,)


def test_both_steps_see_the_same_resample():
    """With one point per run and no anchor the steps' bootstraps are those of the same draw of runs."""
    inputs, loss, task = planted(40, (0.01, 0.005))
    chain = fit_chain(make_task_runs(inputs, loss, task))
    drawn = bootstrap_chain(chain, 8, starts=4, seed=3)
    names = sorted(str(i) for i in range(40))
    copies = np.random.default_rng(3).multinomial(40, np.full(40, 1 / 40), size=8)
    for b in range(8):
        rows = np.repeat([int(name) for name in names], copies[b])
        alone = fit(form_named("sigmoid"), {"L": loss[rows]}, task[rows], objective="square")
        assert drawn.step2.objectives_B[b] == pytest.approx(alone.objective, rel=1e-6)
        first = fit(form_named("chinchilla"), {k: v[rows] for k, v in inputs.items()}, loss[rows])
        # a resample starts from the fit, not from everywhere, and may miss a slightly better minimum of the Huber loss
        assert drawn.step1.objectives_B[b] == pytest.approx(first.objective, rel=0.02)


def test_the_order_of_runs_changes_nothing():
    inputs, loss, task = planted(30, (0.01, 0.005))
    names = np.array([f"run{i:02d}" for i in range(30)])
    order = np.random.default_rng(0).permutation(30)
    first = fit_chain(make_task_runs(inputs, loss, task, names))
    moved = fit_chain(
        make_task_runs({k: v[order] for k, v in inputs.items()}, loss[order], task[order], names[order])
    )
    np.testing.assert_array_equal(first.predict(inputs), moved.predict(inputs))
    intervals = [bootstrap_chain(chain, 20).predict(inputs) for chain in (first, moved)]
    np.testing.assert_array_equal(intervals[0], intervals[1])


def test_the_interval_carries_both_steps():
    inputs, loss, task = planted(40, (0.02, 0.01))
    chain = fit_chain(make_task_runs(inputs, loss, task))
    new = {"N": np.array([1e9]), "D": np.array([1e11])}
    _, low, high = bootstrap_chain(chain, 300).predict(new, noise=False)
    at = {"L": chain.step1.predict(new)}
    _, low2, high2 = bootstrap(chain.step2, 300).predict(at, noise=False)
    assert (high - low)[0] > 1.1 * (high2 - low2)[0]
    _, lower, higher = bootstrap_chain(chain, 300).predict(new)
    assert (higher - lower)[0] > 1.3 * (high - low)[0]


@pytest.mark.slow
def test_intervals_hold_new_runs():
    """95 % intervals hold about 95 % of the results of new runs, from the range of the runs fitted."""
    inside, total = 0, 0
    for seed in range(12):
        inputs, loss, task = planted(60, (0.02, 0.01), seed)
        chain = fit_chain(make_task_runs(inputs, loss, task))
        new, _, results = planted(40, (0.02, 0.01), 100 + seed)
        _, low, high = bootstrap_chain(chain, 200).predict(new)
        inside += int(((low <= results) & (results <= high)).sum())
        total += 40
    assert 0.91 <= inside / total <= 0.985, inside / total


def test_few_runs_with_long_curves_are_few_runs():
    inputs, loss, task = planted(5, (0.01, 0.005))
    run = np.repeat([f"r{i}" for i in range(5)], 40)
    curve = np.tile(np.linspace(1.3, 1.0, 40), 5) * np.repeat(loss, 40)
    points = np.exp(form_named("sigmoid").ln_prediction(PLANTED["sigmoid"], {"L": curve}))
    runs = TaskRuns(inputs, loss, task, np.array([f"r{i}" for i in range(5)]), curve, points, run)
    chain = fit_chain(runs)
    assert not {"few_runs"} & {caution.code for caution in chain.step2.cautions}
    said = [caution.text for caution in chain.cautions if caution.code == "few_runs"]
    assert len(said) == 2 and said[0].startswith("loss:") and "points of 5 runs" in said[1]


def test_chains_that_cannot_be():
    inputs, loss, task = planted(10)
    runs = make_task_runs(inputs, loss, task)
    with pytest.raises(InputError, match="one input, the loss"):
        fit_chain(runs, step2=form_named("chinchilla"))
    with pytest.raises(InputError, match="at least 2 different runs"):
        bootstrap_chain(fit_chain(make_task_runs(inputs, loss, task, np.full(10, "one"))), 10)
    with pytest.raises(InputError, match="resamples"):
        bootstrap_chain(fit_chain(runs), 0)
    with pytest.raises(InputError, match="one result per run"):
        make_task_runs(inputs, loss, task[:5])
    with pytest.raises(InputError, match="a run has no name"):
        make_task_runs(inputs, loss, task, np.full(10, ""))
    with pytest.raises(InputError, match="N must be one per run"):
        make_task_runs({"N": np.ones(3)}, loss, task, sized=None)
    with pytest.raises(InputError, match="finite"):
        fit_chain(make_task_runs(inputs, np.where(loss > loss.min(), loss, np.nan), task))


def test_a_run_without_a_task_result_serves_the_first_step():
    inputs, loss, task = planted(20)
    runs = make_task_runs(inputs, loss, np.where(np.arange(20) < 8, task, np.nan), sized=np.arange(20) != 3)
    assert len(runs.loss_R) == 19 and len(runs.loss_P) == 8 and "3" in runs.run_P and "3" not in runs.run_R


def test_runs_from_a_table():
    inputs, loss, task = planted(12)
    table = make_run_table({"run": [f"r{i}" for i in range(12)], **inputs}, {"loss": loss, "accuracy": task})
    runs = task_runs(table, "loss", "accuracy")
    np.testing.assert_array_equal(runs.loss_R, loss)
    np.testing.assert_array_equal(runs.task_P, task)
    assert set(runs.inputs) == {"N", "D", "C"} and runs.run_R[3] == "r3"
    with pytest.raises(InputError, match="metric must be one of"):
        task_runs(table, "loss", "f1")
    split = make_run_table(
        {
            "run": ["a", "a"],
            "N": [1e8, 1e8],
            "D": [1e9, 1e9],
            "split": ["x", "y"],
            "metric": ["loss"] * 2,
            "value": [3, 4],
        }
    )
    with pytest.raises(InputError, match="several values of loss"):
        task_runs(split, "loss", "loss")


# Other ways


def test_ways_to_predict_a_task_stand_side_by_side():
    inputs, loss, task = planted(30, (0.005, 0.003))
    new = {"N": np.array([1.5e10]), "D": np.array([1e12])}
    truth = np.exp(form_named("chinchilla").ln_prediction(LOSS, new))
    truth = np.exp(form_named("sigmoid").ln_prediction(PLANTED["sigmoid"], {"L": truth}))
    ways = predict_task(make_task_runs(inputs, loss, task), new, resamples=100)
    assert list(ways) == list(ROUTES)
    errors = {name: abs(way.errors(truth)[0]) for name, way in ways.items()}
    assert errors["two_steps"] < 0.02 and errors["two_steps"] < errors["largest_run"]
    largest = np.argmax(inputs["N"] * inputs["D"])
    assert ways["largest_run"].predicted_T[0] == task[largest] and np.isnan(ways["largest_run"].low_T[0])
    for name in ROUTES[:3]:
        assert ways[name].low_T[0] < ways[name].predicted_T[0] < ways[name].high_T[0]
    assert ways["two_steps"].low_T[0] <= truth[0] <= ways["two_steps"].high_T[0]
    with pytest.raises(InputError, match="route must be one of"):
        predict_task(make_task_runs(inputs, loss, task), new, ["guess"])
    with pytest.raises(InputError, match="one per predicted run"):
        ways["compute"].errors([0.5, 0.6])
    with pytest.raises(InputError, match="does not follow"):
        predict_task(make_task_runs(inputs, loss, task), {"N": [1e9]})
    unknown = make_task_runs(inputs, loss, np.full(30, np.nan))
    with pytest.raises(InputError, match="no run has a final task result"):
        predict_task(unknown, new, ["largest_run"])


# The ladder's recipe


def test_smoothing_is_a_loop():
    values = np.random.default_rng(0).normal(size=23)
    kept = values[3:]  # ceil(10 % of 23)
    expected = [kept[max(0, i - 4) : i + 1].mean() for i in range(20)]
    np.testing.assert_allclose(smoothed(values), expected, atol=1e-14)
    np.testing.assert_allclose(smoothed(values, 0.0, 1), values, atol=1e-14)
    assert smoothed([2.0], 0.1).size == 0 and smoothed([2.0], 0.0) == [2.0]
    assert final_value(values) == pytest.approx(values[-5:].mean()) and final_value([1.0, 3.0]) == 2.0
    for skipped, window in ((1.0, 5), (-0.1, 5), (0.1, 0)):
        with pytest.raises(InputError, match="share in"):
            smoothed(values, skipped, window)


def test_ladder_runs_from_unsorted_evaluations():
    D = np.tile(np.arange(1.0, 21), 2)
    run = np.repeat(["b", "a"], 20)
    loss, task = 5 - 0.1 * D + (run == "b"), 0.02 * D
    inputs = {"N": np.where(run == "a", 1e8, 2e8), "D": D, "C": 6 * D}
    runs = ladder_runs(run, inputs, loss, task)
    assert runs.run_R.tolist() == ["a", "b"] and runs.inputs["N"].tolist() == [1e8, 2e8]
    assert runs.inputs["D"].tolist() == [20, 20] and runs.inputs["C"].tolist() == [120, 120]
    assert runs.loss_R == pytest.approx([3.2, 4.2]) and runs.task_R == pytest.approx([0.36, 0.36])
    assert len(runs.loss_P) == 18 * 2 + 1
    assert (runs.loss_P[-1], runs.task_P[-1], runs.run_P[-1]) == (0.0, 1.0, ANCHOR)
    order = np.random.default_rng(0).permutation(40)
    moved = ladder_runs(run[order], {k: v[order] for k, v in inputs.items()}, loss[order], task[order])
    for name in ("loss_R", "task_R", "loss_P", "task_P", "run_P"):
        np.testing.assert_array_equal(getattr(moved, name), getattr(runs, name))
    assert len(ladder_runs(run, inputs, loss, task, anchor=None).loss_P) == 36
    with pytest.raises(InputError, match="D, the tokens seen"):
        ladder_runs(run, {"N": inputs["N"]}, loss, task)
    with pytest.raises(InputError, match="finite, one per evaluation"):
        ladder_runs(run, inputs, loss, np.where(task > 0.1, task, np.nan))


def test_averages_over_parts_of_a_task():
    assert sum(MMLU_WEIGHTS.values()) == pytest.approx(1.0)
    parts = {"stem": [1.0, 0.0], "humanities": [0.0, 1.0], "social_sciences": [0.0, 0.0], "other": [1.0, 1.0]}
    np.testing.assert_allclose(task_average(parts, MMLU_WEIGHTS), [0.446, 0.566])
    with pytest.raises(InputError, match="'other' is missing"):
        task_average({k: v for k, v in parts.items() if k != "other"}, MMLU_WEIGHTS)
