"""Task results predicted from smaller runs: the published targets of the OLMo ladder and of over-training, and what
error against loss is worth on the runs of loss-to-loss prediction."""

import numpy as np
import pyarrow.csv as csv
import pytest

from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.run_table import read_run_table
from training.laws.tasks.chain import bootstrap_chain, fit_chain
from training.laws.tasks.ladder import MMLU_WEIGHTS, final_value, ladder_runs, task_average
from training.laws.tasks.routes import predict_task
from training.laws.tasks.runs import make_task_runs

# OLMo ladder, Bhagia et al. 2024

TASKS = {
    "mmlu_avg_test_5shot": "mmlu",
    "hellaswag_val_5shot": "hellaswag_val",
    "arc_easy_test_5shot": "arc_easy_test",
    "piqa_val_5shot": "piqa_val",
}


def read(path):
    table = csv.read_csv(path)
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}


@pytest.fixture(scope="module")
def ladder(data_dir):
    folder = data_dir / "scaling" / "olmo_ladder"
    table = read(folder / "ladder_mmlu_hellaswag_arce_piqa.csv")
    for metric in ("bpb", "acc"):
        parts = {part: table[f"{metric}_mmlu_{part}_test"] for part in MMLU_WEIGHTS}
        table[f"{metric}_mmlu"] = task_average(parts, MMLU_WEIGHTS)
    table["C"] = table["flops_per_token"].astype(float) * table["tokens"]
    published = {step: read(folder / f"published_{step}_main.csv") for step in ("step1", "step2", "chained")}
    return table, published


def rungs(table, task):
    train = table["mode"] == "train"
    inputs = {"N": table["N"][train], "D": table["tokens"][train], "C": table["C"][train]}
    return ladder_runs(table["run"][train], inputs, table[f"bpb_{task}"][train], table[f"acc_{task}"][train])


@pytest.fixture(scope="module")
def chains(ladder):
    return {task: fit_chain(rungs(ladder[0], task)) for task in TASKS.values()}


def test_the_curves_are_those_of_the_ladder(ladder):
    runs = rungs(ladder[0], "mmlu")
    counts = np.unique(ladder[0]["run"][ladder[0]["mode"] == "train"], return_counts=True)[1]
    assert len(runs.loss_R) == 16 and len(runs.loss_P) == 1 + int((counts - np.ceil(counts / 10)).sum())
    assert sorted(set(runs.inputs["N"].tolist())) == [190354176, 371262464, 758220288, 1279395840]


@pytest.mark.parametrize("task", list(TASKS))
def test_the_13b_model_is_predicted_as_published(ladder, chains, task):
    """Loss, accuracy from its true loss, and accuracy from size and data, to six digits."""
    table, published = ladder
    big, chain = table["model"] == "13B-5T", chains[TASKS[task]]
    loss, accuracy = (final_value(table[f"{metric}_{TASKS[task]}"][big]) for metric in ("bpb", "acc"))
    size = {"N": table["N"][big][-1], "D": table["tokens"][big].max()}
    found = {
        "step1": (loss, chain.step1.predict(size)),
        "step2": (accuracy, chain.step2.predict({"L": loss})),
        "chained": (accuracy, chain.predict(size)),
    }
    for step, (actual, predicted) in found.items():
        target = {k: v[published[step]["Task"] == task][0] for k, v in published[step].items()}
        assert actual == pytest.approx(target["Actual"], rel=1e-9)
        assert predicted == pytest.approx(target["Pred"], rel=2e-6)
        error = (predicted - actual) / actual
        stated = abs(target["Rel Error"]) if step == "chained" else target["Rel Error"]
        assert (abs(error) if step == "chained" else error) == pytest.approx(stated, abs=5e-6)
    step1 = published["step1"]
    fit_error = np.abs(np.expm1(chain.step1.residuals_N)).mean()
    assert fit_error == pytest.approx(step1["Fit Error"][step1["Task"] == task][0], abs=2e-4)


@pytest.mark.slow
def test_ways_to_predict_the_ladders_targets(ladder):
    """Every way is far better than the largest run as it is; two steps are not the best for every task.

    The 95 % interval in two steps, which takes the laws for true, holds the 7B and the 13B model on three tasks and
    neither on ARC-Easy, where all ways are 6 to 12 % low.
    """
    table, _ = ladder
    models = ("7B-4T", "13B-5T")
    big = [table["model"] == model for model in models]
    columns = {"N": "N", "D": "tokens", "C": "C"}
    new = {name: np.array([table[column][b].max() for b in big]) for name, column in columns.items()}
    for task in ("hellaswag_val", "arc_easy_test"):
        truth = np.array([final_value(table[f"acc_{task}"][b]) for b in big])
        ways = predict_task(rungs(table, task), new, resamples=100)
        errors = {name: np.abs(way.errors(truth)).max() for name, way in ways.items()}
        assert all(
            2 * errors[name] < errors["largest_run"] + 0.05 for name in ("two_steps", "compute", "one_step")
        )
        held = (ways["two_steps"].low_T <= truth) & (truth <= ways["two_steps"].high_T)
        assert held.all() if task == "hellaswag_val" else not held.any()


def test_the_ladders_intervals_hold_hellaswag(ladder, chains):
    table, _ = ladder
    big = table["model"] == "13B-5T"
    drawn = bootstrap_chain(chains["hellaswag_val"], 40, starts=1)
    _, low, high = drawn.predict({"N": table["N"][big][-1], "D": table["tokens"][big].max()})
    assert low < final_value(table["acc_hellaswag_val"][big]) < high and high - low > 0.05


# Over-training, Gadre et al. 2024


@pytest.mark.parametrize(
    ("dataset", "errors"),
    [
        ("rpj", {"1.4B": (0.7103, 3.6365), "6.9B": (0.7320, 0.0464)}),
        ("c4_original", {"1.4B": (1.4979, 9.5818), "6.9B": (4.2952, 0.1370)}),
    ],
)
def test_over_trained_models_are_predicted_by_a_chain(data_dir, dataset, errors):
    """Loss from five small runs, error from these and one of 1.4B: the relative errors of loss and of error."""
    table = read(data_dir / "scaling" / "overtraining" / "overtraining_c4_rpj.csv")
    table = {name: column[table["dataset"] == dataset] for name, column in table.items()}
    model, multiple = table["model"], table["cc_mult"]
    small = np.array([name.startswith(("d=96", "d=512", "d=576", "d=1024")) for name in model])
    tiny = np.char.startswith(model, "d=96")
    five = (small & (multiple == 1)) | (tiny & (multiple == 16))
    six = five | (np.char.startswith(model, "open_lm_1b") & (multiple == 1))
    runs = make_task_runs(
        {"N": table["N"][six], "M": table["M"][six]},
        table["loss_c4_val"][six],
        table["err_avg17"][six],
        model[six],
        sized=five[six],
    )
    chain = fit_chain(runs, form_named("over_training"), form_named("error_decay"), objective1="square")
    assert {caution.code for caution in chain.cautions} >= {"few_runs"}
    for name, (of_loss, of_error) in errors.items():
        prefix, ratio = {"1.4B": ("open_lm_1b", 640 if dataset == "rpj" else 80), "6.9B": ("open_lm_7b", 20)}[
            name
        ]
        row = np.flatnonzero(np.char.startswith(model, prefix) & (table["M"] == ratio))
        assert len(row) == 1
        new = {"N": table["N"][row], "M": table["M"][row]}
        for predicted, actual, published in (
            (chain.step1.predict(new), table["loss_c4_val"][row], of_loss),
            (chain.predict(new), table["err_avg17"][row], of_error),
        ):
            assert 100 * abs(predicted / actual - 1)[0] == pytest.approx(published, abs=5e-4)


# Error against loss, Brandfonbrener et al. 2024: 20M to 1.7B parameters, and one run of 3.3B

FLOORS = {"fineweb-100b": 2.17, "fineweb-edu-100b": 1.9669, "slimpajama-chunk1": 1.9672, "starcoder": 0.84525}


def error_forms(scaling, corpus, metric):
    """Error of the large run as each form predicts it from its loss, what it was, and the fits."""
    table = read_run_table(
        scaling / "loss_to_loss" / "sweep.csv",
        {"corpus": "data", "run": "name", "N": "params", "D": "tokens"},
        {"loss": "val_loss", "accuracy": metric},
    ).where(corpus=corpus)
    loss, error = table.where(metric="loss")["value"], 1 - table.where(metric="accuracy")["value"]
    large = read(scaling / "loss_to_loss" / "extrapolation.csv")
    large = {name: column[large["data"] == corpus][0] for name, column in large.items()}
    at = {"L": large["val_loss"]}
    soft = fit(form_named("soft_min").frozen(E=FLOORS[corpus]), {"L": loss}, error, objective="square")
    decay = fit(form_named("error_decay"), {"L": loss}, error, objective="square")
    curve = fit(form_named("sigmoid"), {"L": loss}, 1 - error, objective="square")
    predicted = {
        "soft_min": soft.predict(at),
        "error_decay": decay.predict(at),
        "sigmoid": 1 - curve.predict(at),
    }
    fits = {"soft_min": soft, "error_decay": decay, "sigmoid": curve}
    return {name: float(p) for name, p in predicted.items()}, 1 - large[metric], fits


@pytest.mark.parametrize("corpus", list(FLOORS))
def test_mean_error_of_many_tasks_follows_the_loss(data_dir, corpus):
    """Averaged over the suite, all three forms are within 10 % of the error of a run of 20 times the compute."""
    predicted, actual, fits = error_forms(data_dir / "scaling", corpus, "olmo_suite_acc")
    for name, value in predicted.items():
        assert value == pytest.approx(actual, rel=0.10), name
        assert np.sqrt(2 * fits[name].objective / len(fits[name].y_N)) < 0.005


def test_forms_that_fit_alike_part_where_it_counts(data_dir):
    """HellaSwag bends late: the small runs cannot tell the forms apart, whose errors out there are 3, 11 and 34 %."""
    predicted, actual, fits = error_forms(
        data_dir / "scaling", "fineweb-100b", "eval/downstream/hellaswag_test_len_norm"
    )
    objectives = [found.objective for found in fits.values()]
    assert max(objectives) < 1.25 * min(objectives)
    relative = {name: abs(value / actual - 1) for name, value in predicted.items()}
    assert relative["sigmoid"] < 0.04 and relative["soft_min"] == pytest.approx(0.11, abs=0.01)
    assert relative["error_decay"] == pytest.approx(0.34, abs=0.01)
