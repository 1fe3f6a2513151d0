"""Loss-to-loss prediction, Brandfonbrener et al. 2024: coefficients and errors refitted from four of their corpora."""

import numpy as np
import pytest

from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.loss_to_loss.loss_map import map_losses, relate
from training.laws.loss_to_loss.map_bootstrap import bootstrap_map
from training.laws.loss_to_loss.pairing import Series, pair, series_law
from training.laws.loss_to_loss.prediction import predict_held_out
from training.laws.loss_to_loss.translation import translate
from training.laws.run_table import RunTable, read_run_table


@pytest.fixture(scope="module")
def scaling(data_dir):
    return data_dir / "scaling"


WEB, EDU, SLIM, CODE = "fineweb-100b", "fineweb-edu-100b", "slimpajama-chunk1", "starcoder"
CORPORA = (WEB, EDU, SLIM, CODE)
HELLASWAG = "eval/downstream_ce_loss/hellaswag_test_ce_loss"
ARC_EASY = "eval/downstream_ce_loss/arc_easy_test_ce_loss"
HUMANITIES = "eval/downstream_ce_loss/mmlu_humanities_test_ce_loss"
STEM = "eval/downstream_ce_loss/mmlu_stem_test_ce_loss"


@pytest.fixture(scope="module")
def sweep(scaling):
    return tables_of(scaling / "loss_to_loss" / "sweep.csv")


@pytest.fixture(scope="module")
def large(scaling):
    return tables_of(scaling / "loss_to_loss" / "extrapolation.csv")


def tables_of(path):
    columns = {"run": "id", "corpus": "data", "N": "params", "D": "tokens", "layers": "n_layers"}
    metrics = ["val_loss", HELLASWAG, ARC_EASY, HUMANITIES, STEM]
    return read_run_table(path, columns, metrics)


@pytest.fixture(scope="module")
def floors(sweep):
    laws = {corpus: series_law(sweep, Series(corpus, "val_loss")) for corpus in CORPORA}
    return {corpus: law.parameters["E"] for corpus, law in laws.items()}


@pytest.mark.parametrize(
    ("corpus", "form", "published", "mean_huber"),
    [
        (WEB, "kaplan_offset", (6.787e7, 9.310e8, 2.1700, 0.41072, 0.45309), 7.216912e-6),
        (EDU, "kaplan_offset", (6.680e7, 8.900e8, 1.9669, 0.41290, 0.45558), 7.924501e-6),
        (SLIM, "kaplan_offset", (7.467e7, 1.0642e9, 1.9672, 0.40127, 0.43406), 7.801392e-6),
        (CODE, "kaplan_offset", (2.227e7, 3.775e8, 0.84525, 0.45127, 0.47157), 1.2354821e-5),
        (WEB, "chinchilla", (1636.6, 4198.6, 2.1472, 0.42672, 0.42121), 1.4105021e-6),
        (EDU, "chinchilla", (2517.5, 7160.6, 2.0022, 0.45402, 0.44947), 1.7403793e-6),
        (SLIM, "chinchilla", (2048.4, 6018.8, 2.0068, 0.44092, 0.43849), 1.5198911e-6),
        (CODE, "chinchilla", (7753.6, 4189.6, 0.86259, 0.54682, 0.43865), 3.2163958e-6),
    ],
)
def test_laws_of_single_corpora(sweep, corpus, form, published, mean_huber):
    rows = Series(corpus, "val_loss").of(sweep)
    found = fit(form_named(form), rows.inputs, rows["value"])
    assert found.parameters == pytest.approx(dict(zip(("A", "B", "E", "alpha", "beta"), published)), rel=1e-3)
    assert found.objective / len(rows) <= mean_huber * (1 + 1e-5)  # published in single precision


PUBLISHED_MAPS = {
    (WEB, EDU): (0.999367, 0.985766),
    (WEB, SLIM): (0.965840, 1.039530),
    (WEB, CODE): (1.090414, 0.623031),
    (EDU, WEB): (1.000469, 1.014431),
    (EDU, CODE): (1.100237, 0.633102),
    (CODE, WEB): (0.914256, 1.540683),
    (CODE, EDU): (0.906294, 1.512822),
    (CODE, SLIM): (0.880749, 1.575744),
}


def train_map(sweep, floors, source, target):
    joined = pair(sweep, Series(source, "val_loss"), Series(target, "val_loss"))
    return map_losses(joined.x_P, joined.y_P, floors[source], floors[target])


@pytest.mark.parametrize(("source", "target"), PUBLISHED_MAPS)
def test_train_to_train(sweep, floors, source, target):
    found = train_map(sweep, floors, source, target)
    assert (found.kappa, found.K) == pytest.approx(PUBLISHED_MAPS[source, target], abs=2e-5)
    assert found.r2 > 0.99


def test_a_run_of_twenty_times_the_compute_is_predicted(sweep, large, floors):
    """At 1e21 FLOPs the map errs by 0.1 to 2.1 %, the law of the set itself, fitted on 84 to 91 runs, by 3 to 5.5 %."""
    actual = {c: float(Series(c, "val_loss").of(large)["value"][0]) for c in floors}
    errors = []
    for source, target in PUBLISHED_MAPS:
        predicted = train_map(sweep, floors, source, target).predict(actual[source])
        errors.append(abs(predicted / actual[target] - 1))
    assert min(errors) > 0.0005 and max(errors) < 0.021 and np.mean(errors) < 0.0125
    own = {}
    for corpus in floors:
        rows, at = Series(corpus, "val_loss").of(sweep), Series(corpus, "val_loss").of(large)
        found = fit(form_named("kaplan_offset"), rows.inputs, rows["value"]).predict(at.inputs)[0]
        assert found == pytest.approx(OWN_LAW[corpus], rel=1e-3)
        own[corpus] = abs(found / actual[corpus] - 1)
    assert min(own.values()) > 0.03 and max(own.values()) < 0.055 and min(own.values()) > max(errors)


OWN_LAW = {WEB: 2.422604, EDU: 2.214671, SLIM: 2.242448, CODE: 0.986858}
"""The authors' own predictions for the 3.3B runs, from the law of each corpus."""


@pytest.mark.parametrize(
    ("target", "published"),
    [
        (HELLASWAG, (1.08, 0.93, 1.97, 2.12)),
        (HUMANITIES, (0.96, 1.14, 1.97, 2.79)),
        (STEM, (0.53, 2.35, 1.97, 1.41)),
    ],
)
def test_train_to_test(sweep, target, published):
    found = relate(sweep, Series(EDU, "val_loss"), Series(EDU, target))
    assert (found.kappa, found.K, found.E0, found.E1) == pytest.approx(published, abs=0.0051)


def test_the_published_floor_of_arc_easy_is_a_local_minimum(sweep, floors):
    """With E = .07 the printed map follows; the same objective is lower without a floor, and the fit says so."""
    joined = pair(sweep, Series(EDU, "val_loss"), Series(EDU, ARC_EASY))
    found = map_losses(joined.x_P, joined.y_P, floors[EDU], 0.0684417608942679)
    assert (found.kappa, found.K) == pytest.approx((0.36, 4.68), abs=0.0051)
    rows = Series(EDU, ARC_EASY).of(sweep)
    law = fit(form_named("kaplan_offset"), rows.inputs, rows["value"])
    assert law.parameters["E"] == 0 and law.at_bounds == ("E",) and not law.sound
    assert law.objective / len(rows) < 2.6016053e-5 * 0.99


@pytest.mark.parametrize(
    ("corpus", "published"),
    [(WEB, (1.05, 0.98, 2.12, 2.08)), (SLIM, (0.95, 1.11, 2.12, 2.08)), (CODE, (0.74, 1.64, 2.12, 2.48))],
)
def test_test_to_test(sweep, corpus, published):
    found = relate(sweep, Series(EDU, HELLASWAG), Series(corpus, HELLASWAG))
    assert (found.kappa, found.K, found.E0, found.E1) == pytest.approx(published, abs=0.0051)


@pytest.mark.parametrize(
    ("metric", "from_training", "from_test", "actual"),
    [(HELLASWAG, 2.172968, 2.190320, 2.209911), (ARC_EASY, 3.722011, 4.02307, 3.327625)],
)
def test_eight_runs_of_the_new_corpus(sweep, large, metric, from_training, from_test, actual):
    table = few_runs(sweep, EDU, WEB)
    for source_metric, published in (("val_loss", from_training), (metric, from_test)):
        source = Series(EDU, source_metric)
        found = relate(table, source, Series(WEB, metric), fit_floor=True)
        assert found.pairs == 7
        at = float(source.of(large)["value"][0])
        assert float(found.predict(at)) == pytest.approx(published, rel=1e-3)
    assert float(Series(WEB, metric).of(large)["value"][0]) == pytest.approx(actual, abs=1e-6)


def test_a_translated_law_keeps_its_optimum(sweep, floors):
    rows = Series(EDU, "val_loss").of(sweep)
    law = fit(form_named("kaplan_offset"), rows.inputs, rows["value"]).parameters
    mapped = train_map(sweep, floors, EDU, CODE)
    new = translate(law, mapped)
    form, inputs = (
        form_named("kaplan_offset"),
        {"N": np.geomspace(2e7, 3e9, 9), "D": np.geomspace(1e9, 5e10, 9)},
    )
    expected = mapped.predict(np.exp(form.ln_prediction(law, inputs)))
    np.testing.assert_allclose(np.exp(form.ln_prediction(new, inputs)), expected, rtol=1e-9)
    for C in (1e19, 1e23):
        assert form.optimal_size(new, C) == pytest.approx(form.optimal_size(law, C), rel=1e-9)


def together(first, second):
    return RunTable({name: np.concatenate([first[name], second[name]]) for name in first.columns})


def test_tokens_alone_pair_the_same_runs(sweep):
    """The notebook joins on ``tokens``: in these grids a number of tokens names one setting."""
    source, target = Series(EDU, "val_loss"), Series(CODE, "val_loss")
    both, tokens = pair(sweep, source, target), pair(sweep, source, target, ("D",))
    np.testing.assert_array_equal(np.sort(both.x_P), np.sort(tokens.x_P))
    assert len(both) == len(tokens) == 80


def test_best_runs_of_the_budgets_give_nearly_the_same_map(sweep):
    """Eight isoFLOP minima of each set: budgets computed as 6 N D agree up to rounding."""
    found = relate(
        sweep, Series(EDU, "val_loss"), Series(WEB, "val_loss"), ("C",), several="lowest", tolerance=1e-6
    )
    assert found.pairs == 8
    assert (found.kappa, found.K) == pytest.approx(PUBLISHED_MAPS[EDU, WEB], abs=0.02)


@pytest.mark.slow
def test_all_directions_beat_own_laws_and_hold_in_their_intervals(sweep, large):
    """All 12 directions: errors at 1e21 FLOPs up to 2.1 % (mean 1.1 %) and inside the 95 % interval every time."""
    table, errors, own = together(sweep, large), [], []
    for source in CORPORA:
        for target in CORPORA:
            if source != target:
                methods = ("loss_to_loss", "own_law", "identity", "flops_to_loss")[
                    : 2 if source != EDU else 4
                ]
                found = predict_held_out(
                    table,
                    Series(source, "val_loss"),
                    Series(target, "val_loss"),
                    below=1e20,
                    methods=methods,
                    resamples=200,
                )
                assert found.inside("loss_to_loss") == 1 and found.unpaired == 0
                assert found.methods == methods and not found.unavailable
                errors.append(found.mean_error("loss_to_loss"))
                own.append(found.mean_error("own_law"))
                if source == EDU:
                    assert found.mean_error("identity") > 0.02
                    assert found.mean_error("flops_to_loss") > found.mean_error("loss_to_loss")
    assert max(errors) < 0.0225 and np.mean(errors) < 0.0115
    assert min(own) > 0.03 and all(e < o for e, o in zip(errors, own))


FEW_RUNS_R2 = {
    (EDU, WEB): (0.992, 0.990, 0.961),
    (WEB, EDU): (0.992, 0.990, 0.953),
    (EDU, SLIM): (0.992, 0.991, 0.975),
    (EDU, CODE): (0.987, 0.986, 0.450),
}
"""Published R^2 of all runs of the target: its own law, the translated one, the law of its few runs alone."""


@pytest.mark.parametrize(("source", "target"), FEW_RUNS_R2)
def test_a_translated_law_beats_one_fitted_to_runs_at_twenty_tokens_per_parameter(sweep, source, target):
    """As printed for the two that have an optimum; that of the few runs depends on the optimiser, and is cautioned."""
    chosen = few_runs(sweep, source, target)
    whole = Series(target, "val_loss").of(sweep)
    mapped = relate(chosen, Series(source, "val_loss"), Series(target, "val_loss"), fit_floor=True)
    alone = series_law(chosen, Series(target, "val_loss"))
    found = [
        1 - ((whole["value"] - y) ** 2).sum() / ((whole["value"] - whole["value"].mean()) ** 2).sum()
        for y in (
            series_law(sweep, Series(target, "val_loss")).predict(whole.inputs),
            mapped.predict(mapped.source_law.predict(whole.inputs)),
            alone.predict(whole.inputs),
        )
    ]
    assert found[0] == pytest.approx(FEW_RUNS_R2[source, target][0], abs=6e-4)
    assert found[1] == pytest.approx(FEW_RUNS_R2[source, target][1], abs=0.0025)
    assert found[2] < found[1] - 0.015 and "few_runs" in {caution.code for caution in alone.cautions}


def few_runs(sweep, source, target):
    """All runs of the source and those of the target at 16 to 23 tokens per parameter."""
    ratio = sweep["D"] / sweep["N"]
    few = (ratio > 16) & (ratio < 23) & (sweep["layers"].astype(float) != 20)
    return sweep.rows((sweep["corpus"] == source) | ((sweep["corpus"] == target) & few))


@pytest.mark.parametrize(
    ("metric", "most"), [(HELLASWAG, 0.03), (HUMANITIES, 0.06), (STEM, 0.085), (ARC_EASY, 0.15)]
)
def test_transfer_to_tasks_is_as_weak_as_published(sweep, large, metric, most):
    """Mean errors from training loss 1.9, 3.4, 3.9 and 9.6 % (published over five targets: 1.6, 2.8, 6.4, 10.2 %)."""
    errors = []
    for target in (WEB, SLIM, CODE):
        table = together(few_runs(sweep, EDU, target), large)
        found = predict_held_out(
            table,
            Series(EDU, "val_loss"),
            Series(target, metric),
            below=1e20,
            methods=("loss_to_loss",),
            fit_floor=True,
            resamples=50,
        )
        errors.append(found.mean_error("loss_to_loss"))
        assert "extrapolation" in {caution.code for caution in found.rows[0].cautions}
    assert max(errors) < most


def test_an_interval_of_few_runs_holds_the_large_one(sweep, large):
    table = few_runs(sweep, EDU, WEB)
    for source in ("val_loss", HELLASWAG):
        found = bootstrap_map(relate(table, Series(EDU, source), Series(WEB, HELLASWAG), fit_floor=True), 200)
        _, low, high = found.predict(float(Series(EDU, source).of(large)["value"][0]))
        assert low < 2.209911 < high and high - low < 0.3
