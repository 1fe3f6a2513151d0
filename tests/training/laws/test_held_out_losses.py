"""Held-out runs predicted from another corpus, beside what needs none: on a planted world."""

import numpy as np
import pytest
from references.two_corpora import two_corpora

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.loss_to_loss.loss_map import relate
from training.laws.loss_to_loss.map_bootstrap import bootstrap_map
from training.laws.loss_to_loss.pairing import Series, best_of_budgets
from training.laws.loss_to_loss.prediction import NEEDS, predict_held_out
from training.laws.run_table import RunTable

WEB, CODE = Series("web", "loss"), Series("code", "loss")


@pytest.fixture(scope="module")
def table():
    return two_corpora(0.002, runs=40, large=1)


@pytest.fixture(scope="module")
def found(table):
    return predict_held_out(table, WEB, CODE, below=1.5e23, resamples=100)


def test_every_method_says_what_it_says_alone(table, found):
    small, large = table.rows(table["C"] < 1.5e23), table.rows(table["C"] >= 1.5e23)
    assert found.methods == tuple(NEEDS) and len(found.rows) == 4 and not found.unavailable
    actual, x = (float(series.of(large)["value"][0]) for series in (CODE, WEB))
    said = {row.method: row for row in found.rows}
    drawn = bootstrap_map(relate(small, WEB, CODE), 100)
    p = said["loss_to_loss"].predicted
    assert (p.value, p.low, p.high) == drawn.predict(x)
    assert [c.code for c in said["loss_to_loss"].cautions][-1] == "extrapolation"
    assert said["identity"].predicted.value == x and np.isnan(said["identity"].predicted.low)
    rows = CODE.of(small)
    own = fit(form_named("kaplan_offset"), rows.inputs, rows["value"])
    assert said["own_law"].predicted.value == pytest.approx(float(own.predict({"N": 3e10, "D": 1e12})))
    best = best_of_budgets(rows, CODE)
    flops = fit(form_named("power_offset"), {"x": best["C"]}, best["value"])
    assert said["flops_to_loss"].predicted.value == pytest.approx(float(flops.predict({"x": 6 * 3e22})))
    for method in found.methods:
        row = said[method]
        assert row.actual == actual and (row.N, row.D) == (3e10, 1e12) and row.C > 1.7e23
        assert row.error == pytest.approx(row.predicted.value / actual - 1)
        assert found.mean_error(method) == found.worst_error(method) == abs(row.error)
    assert said["loss_to_loss"].fitted_to == 40 and said["identity"].fitted_to == 0


def test_intervals_hold_the_run_and_identity_has_none(found):
    assert found.inside("loss_to_loss") == found.inside("own_law") == 1
    assert np.isnan(found.inside("identity")) and found.mean_error("identity") > 0.3
    assert found.mean_error("loss_to_loss") < 0.01


def test_the_text_tells_what_each_method_was_given(found):
    text = "\n".join(found.lines())
    assert all(needs in text for needs in NEEDS.values()) and "know more than those that are not" in text
    assert "no interval" in text and "loss of code predicted from loss of web" in text


def test_a_mask_chooses_and_partners_are_needed(table):
    train = table["C"] < 1.5e23
    lone = two_corpora(0.002, runs=40, large=2)
    keep = np.ones(len(lone), dtype=bool)
    lone.columns["N"][[41, 83]] *= 1.5  # one more large run each, of another size
    lone.columns["N"][41] *= 1.1
    one = predict_held_out(
        lone.rows(keep), WEB, CODE, train=lone["N"] < 2e10, methods=["identity"], resamples=1
    )
    assert len(one.rows) == 1 and one.unpaired == 1 and "have no partner" in "\n".join(one.lines())
    for wrong, sentence in (
        ({"below": 1.5e23, "train": train}, "give either below"),
        ({"train": train[:5]}, "yes or no for each"),
        ({"below": 1e10}, "no run of loss of web to fit on"),
        ({"below": 1e30}, "no run of loss of web to predict"),
        ({"below": 1.5e23, "methods": ["own"]}, "method must be one of"),
        ({"below": 1.5e23, "level": 95}, "level must be"),
    ):
        with pytest.raises(InputError, match=sentence):
            predict_held_out(table, WEB, CODE, **wrong)


def test_a_method_that_cannot_be_fitted_gives_its_reason(table):
    """One run of the target: no map, while the others say what little they know."""
    code = np.flatnonzero((table["corpus"] == "code") & (table["C"] < 1.5e23))
    few = table.rows(np.setdiff1d(np.arange(len(table)), code[1:]))
    found = predict_held_out(
        few, WEB, CODE, below=1.5e23, fit_floor=True, methods=["loss_to_loss", "identity"]
    )
    assert "at least 2 pairs" in found.unavailable["loss_to_loss"] and found.methods == ("identity",)
    assert "not possible" in "\n".join(found.lines())


def test_order_of_rows_changes_nothing(table, found):
    moved = table.rows(np.random.default_rng(0).permutation(len(table)))
    again = predict_held_out(moved, WEB, CODE, below=1.5e23, resamples=100)
    for one, other in zip(found.rows, again.rows):
        assert one.predicted.value == other.predicted.value or np.isnan(one.predicted.value)
        np.testing.assert_equal(
            (one.predicted.low, one.predicted.high), (other.predicted.low, other.predicted.high)
        )


def test_unknown_compute_is_refused(table):
    unknown = RunTable({**table.columns, "C": np.full(len(table), np.nan)})
    with pytest.raises(InputError, match="compute"):
        predict_held_out(unknown, WEB, CODE, below=1.5e23)
