"""Tables of extrapolation errors: what is fitted on what, and the numbers of each row."""

import numpy as np
import pytest
from references.law_worlds import PLANTED, world_inputs

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.evaluation import evaluate
from training.laws.extrapolation import extrapolation_table
from training.laws.run_table import RunTable, make_run_table, read_run_table

FORMS = {
    "chinchilla": form_named("chinchilla"),
    "one exponent": form_named("chinchilla").tied(beta="alpha"),
    "compute": form_named("power_offset"),
}


@pytest.fixture(scope="module")
def table():
    inputs = world_inputs("chinchilla", 80)
    y = np.exp(form_named("chinchilla").ln_prediction(PLANTED["chinchilla"], inputs))
    return make_run_table(inputs, {"loss": y * np.exp(0.005 * np.random.default_rng(0).normal(size=80))})


def test_rows_say_what_evaluations_say(table):
    budgets = (3e20, 3e21)
    rows = extrapolation_table(table, FORMS, budgets, resamples=100, starts=16)
    assert [(row.form, row.below) for row in rows] == [(name, C) for C in budgets for name in FORMS]
    for row in rows:
        inputs = {**table.inputs, "x": table["C"]}
        alone = evaluate(FORMS[row.form], inputs, table["value"], below=row.below, starts=16)
        assert (row.trained, row.tested) == ((table["C"] < row.below).sum(), (table["C"] >= row.below).sum())
        assert (row.mean_error, row.worst_error, row.ln_rmse) == (
            alone.mean_error,
            alone.worst_error,
            alone.ln_rmse,
        )
        assert row.furthest == table["C"].max() / table["C"][table["C"] < row.below].max() > 1
    for true, wrong in ((rows[0], rows[2]), (rows[3], rows[5])):
        assert true.mean_error < 0.02 and true.mean_error < wrong.mean_error
        assert true.inside > 0.8
    order = np.random.default_rng(1).permutation(len(table))
    assert extrapolation_table(table.rows(order), FORMS, budgets[:1], resamples=0, starts=16)[
        0
    ].mean_error == pytest.approx(rows[0].mean_error, rel=1e-12)


def test_few_runs_are_cautioned_and_intervals_can_be_left_out(table):
    few = np.sort(table["C"])[7]
    (row,) = extrapolation_table(table, {"chinchilla": FORMS["chinchilla"]}, [few], resamples=0)
    assert row.trained == 7 and np.isnan(row.inside)
    assert "few_runs" in {caution.code for caution in row.cautions}


def test_a_published_sweep_errs_more_the_further_it_looks(data_dir):
    """FineWeb-Edu of loss-to-loss prediction: 91 runs below 5e19 FLOPs, judged on runs from 1e18 and from 2e19 on."""
    columns = {"run": "id", "corpus": "data", "N": "params", "D": "tokens"}
    sweep = read_run_table(data_dir / "scaling" / "loss_to_loss" / "sweep.csv", columns, {"loss": "val_loss"})
    rows = extrapolation_table(
        sweep.where(corpus="fineweb-edu-100b"),
        {"kaplan_offset": form_named("kaplan_offset")},
        (2e18, 2e19),
        resamples=100,
    )
    assert rows[0].trained < rows[1].trained and rows[0].furthest > 4 * rows[1].furthest
    assert (
        rows[1].inside < 0.8 and not rows[1].cautions
    )  # a law that bends: its runs err together, and no fit sees it
    assert 0.015 < rows[1].mean_error < rows[0].mean_error < 0.03


def test_mistakes_are_one_sentence(table):
    forms = {"chinchilla": FORMS["chinchilla"]}
    twice = RunTable({**table.columns, "corpus": np.array(["a"] * 40 + ["b"] * 40, dtype=object)})
    for wrong, sentence in (
        ((twice, forms, [1e21]), "several of corpus"),
        ((table, forms, [1.0]), "some runs to fit on"),
        ((make_run_table({"value": [1.0, 2.0]}), forms, [1e21]), "compute of some runs is not known"),
    ):
        with pytest.raises(InputError, match=sentence):
            extrapolation_table(*wrong)
    with pytest.raises(InputError, match="resamples must be"):
        extrapolation_table(table, forms, [1e21], resamples=-1)
    with pytest.raises(InputError, match="level must be"):
        extrapolation_table(table, forms, [1e21], level=95)
