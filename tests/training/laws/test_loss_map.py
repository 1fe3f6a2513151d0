"""Loss to loss on planted worlds: pairing, the map, its bootstrap, and the law it carries over."""

import numpy as np
import pytest
from references.law_worlds import PLANTED
from references.two_corpora import MAP, TASK, image, two_corpora, web_loss

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.loss_to_loss.loss_map import map_losses, relate
from training.laws.loss_to_loss.map_bootstrap import bootstrap_map
from training.laws.loss_to_loss.pairing import Series, best_of_budgets, pair, series_law
from training.laws.loss_to_loss.translation import translate, translated_law
from training.laws.run_table import RunTable, make_run_table

WEB, CODE, TASK_OF_WEB = Series("web", "loss"), Series("code", "loss"), Series("web", "task")


def codes(cautions):
    return {caution.code for caution in cautions}


def few_of_code(table, count):
    """All runs of web, and ``count`` of code at 10 to 60 tokens per parameter."""
    ratio = table["D"] / table["N"]
    few = np.flatnonzero((table["corpus"] == "code") & (ratio > 10) & (ratio < 60))[:count]
    return table.rows(np.concatenate([np.flatnonzero(table["corpus"] == "web"), few]))


def small_table(**columns):
    rows = len(columns["loss"])
    return make_run_table(
        {"run": [str(i) for i in range(rows)], "D": np.full(rows, 2e9)}
        | {key: column for key, column in columns.items() if key != "loss"},
        {"loss": columns["loss"]},
    )


# Pairing


def test_pairs_by_settings_ignore_order_and_what_has_no_partner():
    table = two_corpora(runs=20)
    moved = table.rows(np.random.default_rng(0).permutation(len(table)))
    for by in (("N", "D"), ("D",), ("C",)):
        first, second = (pair(t.rows(t["run"] != "code3"), WEB, CODE, by) for t in (table, moved))
        assert len(first) == 19 and first.keys == second.keys
        np.testing.assert_array_equal(first.x_P, second.x_P)
        np.testing.assert_array_equal(first.y_P, second.y_P)
        rows = CODE.of(table.rows(table["run"] != "code3"))
        np.testing.assert_array_equal(rows["value"][np.concatenate(first.target_rows)], first.y_P)
        np.testing.assert_array_equal(
            rows[by[0]][np.concatenate(first.target_rows)], [k[0] for k in first.keys]
        )


def test_losses_of_one_model_pair_by_run_also_with_seeds():
    table = two_corpora(runs=5)
    twice = RunTable({k: np.tile(table[k], 2) for k in table.columns})
    twice.columns["run"][len(table) :] += " again"
    assert len(pair(twice, WEB, TASK_OF_WEB, ("run",))) == 10
    with pytest.raises(InputError, match="has several runs at N = "):
        pair(twice, WEB, TASK_OF_WEB)
    assert len(pair(twice, WEB, TASK_OF_WEB, several="mean")) == 5


def test_several_runs_at_one_key():
    table = small_table(
        corpus=["a", "a", "a", "b", "b"], N=[1e8, 1e8, 2e8, 2e8, 1e8], loss=[3.0, 2.0, 1.5, 1.0, 2.5]
    )
    a, b = Series("a", "loss"), Series("b", "loss")
    mean, lowest = (pair(table, a, b, several=several) for several in ("mean", "lowest"))
    assert mean.x_P.tolist() == [2.5, 1.5] and lowest.x_P.tolist() == [2.0, 1.5]
    assert mean.y_P.tolist() == [2.5, 1.0]
    assert mean.source_rows[0].tolist() == [0, 1] and lowest.source_rows[0].tolist() == [1]
    with pytest.raises(InputError, match="say what becomes of several"):
        pair(table, a, b)
    with pytest.raises(InputError, match="several must be one of"):
        pair(table, a, b, several="first")


def test_best_runs_of_shared_budgets_when_grids_differ():
    """Models of web and code have no size in common; their isoFLOP minima lie on the planted map all the same."""
    p, form = PLANTED["kaplan_offset"], form_named("kaplan_offset")
    budgets = np.geomspace(1e18, 1e21, 9)
    columns = {"corpus": [], "N": [], "D": [], "loss": []}
    for corpus, shifts in (("web", np.geomspace(0.25, 4, 9)), ("code", np.geomspace(0.26, 4.1, 8))):
        for C in budgets:
            N = form.optimal_size(p, C) * shifts
            x = web_loss({"N": N, "D": C / (6 * N)})
            loss = x if corpus == "web" else image(x, MAP)
            for name, values in (("N", N), ("D", C / (6 * N)), ("loss", loss)):
                columns[name] += values.tolist()
            columns["corpus"] += [corpus] * len(N)
    table = small_table(**columns)
    with pytest.raises(InputError, match="has the same N, D"):
        pair(table, WEB, CODE)
    joined = pair(table, WEB, CODE, ("C",), several="lowest", tolerance=1e-9)
    np.testing.assert_allclose([key[0] for key in joined.keys], budgets)
    for side, series in (("x_P", WEB), ("y_P", CODE)):
        rows = series.of(table)
        lowest = [rows["value"][np.isclose(rows["C"], C)].min() for C in budgets]
        np.testing.assert_array_equal(getattr(joined, side), lowest)
        np.testing.assert_array_equal(best_of_budgets(rows, series)["value"], lowest)
    fewer = table.rows((table["corpus"] == "web") | (table["C"] < 5e20))
    lacking = pair(fewer, WEB, CODE, ("C",), several="lowest", tolerance=1e-9)
    rows = WEB.of(fewer)
    lowest = [rows["value"][np.isclose(rows["C"], C)].min() for C in budgets[budgets >= 5e20]]
    assert rows["value"][lacking.source_alone].tolist() == lowest and len(lacking.target_alone) == 0
    found = relate(table, WEB, CODE, ("C",), several="lowest", tolerance=1e-9)
    assert (found.K, found.kappa) == pytest.approx((MAP["K"], MAP["kappa"]), rel=0.01)


def test_any_column_pairs():
    recipe = {"recipe": np.array(["low", "high", "high", "low"], dtype=object)}
    table = small_table(
        corpus=["a", "a", "b", "b"], N=[1e8, 2e8, 2e8, 1e8], loss=[3.0, 2.0, 1.0, 1.5], **recipe
    )
    a, b = Series("a", "loss"), Series("b", "loss")
    found = pair(table, a, b, ("recipe",))
    assert found.keys == (("high",), ("low",)) and found.y_P.tolist() == [1.0, 1.5]
    unknown = {"budget": np.array([1, None, 1, 2], dtype=object)}
    table = small_table(
        corpus=["a", "a", "b", "b"], N=[1e8, 2e8, 2e8, 1e8], loss=[3.0, 2.0, 1.0, 1.5], **unknown
    )
    with pytest.raises(InputError, match="budget is not known for every run"):
        pair(table, a, b, ("budget",))
    with pytest.raises(InputError, match="at least one column"):
        pair(table, a, b, ())


def test_numbers_within_tolerance_are_equal():
    table = small_table(
        corpus=["a", "a", "b", "b"], N=[1e8, 2e8, 1.001e8, 2.002e8], loss=[3.0, 2.0, 1.5, 1.0]
    )
    a, b = Series("a", "loss"), Series("b", "loss")
    with pytest.raises(InputError, match="no run of"):
        pair(table, a, b)
    assert pair(table, a, b, tolerance=0.01).x_P.tolist() == [2.0, 3.0][::-1]
    with pytest.raises(InputError, match="no run of"):
        pair(table, a, b, tolerance=1e-4)
    chain = small_table(corpus=["a", "b", "b"], N=[1e8, 1.009e8, 1.018e8], loss=[3.0, 2.0, 1.5])
    with pytest.raises(InputError, match="form a chain"):
        pair(chain, a, b, tolerance=0.01)
    with pytest.raises(InputError, match="tolerance must be"):
        pair(table, a, b, tolerance=-0.1)


def test_splits_are_told_apart():
    columns = {"corpus": ["a", "a", "b"], "N": [1e8] * 3, "D": [1e9] * 3, "split": ["train", "val", "val"]}
    table = make_run_table({**columns, "metric": ["loss"] * 3, "value": [3.0, 2.0, 1.5]})
    with pytest.raises(InputError, match="on the splits train, val; name one"):
        pair(table, Series("a", "loss"), Series("b", "loss"))
    assert pair(table, Series("a", "loss", "val"), Series("b", "loss")).x_P.tolist() == [2.0]
    with pytest.raises(InputError, match="split must be one of"):
        Series("a", "loss", "test").of(table)


def test_what_cannot_be_paired_is_one_sentence():
    table = two_corpora()
    with pytest.raises(InputError, match="no run of loss of web has the same N, D as one of loss of code"):
        pair(table.rows([0, 1, 62, 63]), WEB, CODE)
    with pytest.raises(InputError, match="metric must be one of"):
        pair(table, WEB, Series("code", "accuracy"))
    broken = RunTable(
        {**table.columns, "value": np.where(np.arange(len(table)) == 3, np.nan, table["value"])}
    )
    with pytest.raises(InputError, match="not finite"):
        pair(broken, WEB, CODE)
    unknown = RunTable({**table.columns, "N": np.full(len(table), np.nan)})
    with pytest.raises(InputError, match="N is not known for every run"):
        pair(unknown, WEB, CODE)
    with pytest.raises(InputError, match="power has no floor E"):
        series_law(table, WEB, form_named("power"))
    with pytest.raises(InputError, match="at or below the floor"):
        map_losses([2.0, 3.0], [1.0, 2.0], 2.5, 0.5)
    for few in ([], [2.0]):
        with pytest.raises(InputError, match="at least 2 pairs"):
            map_losses(few, few, 0.5)


# The map


def test_planted_maps_are_found():
    """Within 2 %: the acceptance of the published method; the planted world is that of its corpora."""
    table = two_corpora()
    for target, truth in ((CODE, MAP), (TASK_OF_WEB, TASK)):
        found = relate(table, WEB, target)
        assert {name: getattr(found, name) for name in truth} == pytest.approx(truth, rel=0.02)
        assert found.pairs == 60 and found.r2 > 0.999 and not found.cautions
    assert np.isnan(found.predict(1.0))
    with_other_law = relate(table, WEB, CODE, form=form_named("chinchilla"))
    assert with_other_law.source_law.form.name == "chinchilla" and with_other_law.r2 > 0.999


def test_a_floor_can_be_fitted_with_the_map():
    x = np.linspace(2.5, 4.5, 30)
    found = map_losses(x, image(x, MAP), MAP["E0"])
    assert (found.kappa, found.K, found.E1) == pytest.approx((1.09, 0.63, 0.85), rel=1e-3)
    low = map_losses(x, (x - 2.17) ** 1.5, 2.17)
    assert pytest.approx(0.0, abs=1e-3) == low.E1


def test_the_map_is_a_regression_on_logarithms():
    from scipy.stats import linregress

    rng = np.random.default_rng(0)
    x = rng.uniform(2.4, 4, 25)
    y = image(x, MAP) * np.exp(0.01 * rng.normal(size=25))
    found = map_losses(x, y, 2.1, 0.8)
    line = linregress(np.log(x - 2.1), np.log(y - 0.8))
    assert (found.kappa, np.log(found.K)) == pytest.approx((line.slope, line.intercept), rel=1e-6)


# Its bootstrap


def test_resamples_are_the_maps_of_repeated_runs():
    """Each resample is what the same calls say of a table in which every run stands as often as it was drawn."""
    table = two_corpora(0.002, runs=30)
    table = table.rows(np.flatnonzero(~np.isin(table["run"], ["code1", "code4", "web7"])))
    found = relate(table, WEB, CODE)
    drawn = bootstrap_map(found, 3, seed=4)
    rng = np.random.default_rng(4)
    copies = rng.multinomial(27, np.full(27, 1 / 27), size=3)
    joined = found.joined
    floors = {}
    for name, law, rows, size in (
        ("E0", found.source_law, joined.source_rows, 29),
        ("E1", found.target_law, joined.target_rows, 28),
    ):
        paired = np.concatenate(rows)
        alone = [row for row in law.rows_N if row not in paired]
        extra = rng.multinomial(len(alone), np.full(len(alone), 1 / len(alone)), size=3)
        weights = np.zeros((3, size))
        weights[:, paired], weights[:, alone] = copies, extra
        series = WEB if name == "E0" else CODE
        of = series.of(table)
        floors[name] = [
            fit(form_named("kaplan_offset"), of.inputs, of["value"], weights=w).parameters["E"]
            for w in weights
        ]
        np.testing.assert_allclose(drawn.samples[name], floors[name], rtol=1e-3)
    for b in range(3):
        x, y = (np.repeat(column, copies[b]) for column in (found.x_P, found.y_P))
        again = map_losses(x, y, drawn.samples["E0"][b], drawn.samples["E1"][b])
        assert (drawn.samples["K"][b], drawn.samples["kappa"][b]) == pytest.approx(
            (again.K, again.kappa), rel=1e-6
        )


def test_resamples_with_a_fitted_floor_are_fitted_again():
    table = few_of_code(two_corpora(0.002), 12)
    found = relate(table, WEB, CODE, fit_floor=True)
    drawn = bootstrap_map(found, 4, seed=1)
    copies = np.random.default_rng(1).multinomial(12, np.full(12, 1 / 12), size=4)
    for b in range(4):
        x, y = (np.repeat(column, copies[b]) for column in (found.x_P, found.y_P))
        again = map_losses(x, y, drawn.samples["E0"][b])
        assert drawn.samples["E1"][b] <= found.y_P.min()
        resampled = {name: drawn.samples[name][b] for name in MAP}
        np.testing.assert_allclose(image(found.x_P, resampled), again.predict(found.x_P), rtol=2e-3)


def test_same_seed_same_bootstrap_in_any_order():
    table = two_corpora(0.002, runs=25)
    moved = table.rows(np.random.default_rng(1).permutation(len(table)))
    first, second = (bootstrap_map(relate(t, WEB, CODE), 20, seed=3) for t in (table, moved))
    for name in MAP:
        np.testing.assert_array_equal(first.samples[name], second.samples[name])
    assert not np.array_equal(
        bootstrap_map(relate(table, WEB, CODE), 20, seed=4).samples["K"], first.samples["K"]
    )


def test_predictions_come_with_the_uncertainty_of_the_floors():
    """Near the floors the interval is wider than that of the same map with its floors taken for granted."""
    table = two_corpora(0.003)
    found = relate(table, WEB, CODE)
    whole = bootstrap_map(found, 300)
    given = bootstrap_map(map_losses(found.x_P, found.y_P, found.E0, found.E1), 300)
    assert given.interval("E1").low == given.interval("E1").high == found.E1
    widths = {}
    for name, drawn in (("whole", whole), ("given", given)):
        centre, low, high = drawn.predict([2.2, 2.6], noise=False)
        assert (low < centre).all() and (centre < high).all()
        widths[name] = high - low
        _, new_low, new_high = drawn.predict([2.2, 2.6])
        assert (new_high - new_low > widths[name]).all()
    assert widths["whole"][0] > 2 * widths["given"][0]
    assert codes(whole.cautions_at([2.6, 3.0])) == codes(whole.cautions)
    assert "extrapolation" in codes(whole.cautions_at(2.18)) and "extrapolation" in codes(
        whole.cautions_at(np.nan)
    )
    _, low, high = whole.predict(1.0)
    assert (low, high) == (-np.inf, np.inf)
    with pytest.raises(InputError, match="must be one of K, kappa, E0, E1"):
        whole.interval("alpha")
    with pytest.raises(InputError, match="resamples must be"):
        bootstrap_map(found, 0)


def test_few_pairs_and_floors_at_a_bound_are_cautioned():
    table = two_corpora(0.002)
    assert "few_runs" in codes(relate(few_of_code(table, 6), WEB, CODE, fit_floor=True).cautions)
    x = np.linspace(2.5, 4.5, 30)
    flat = map_losses(x, 0.9 * (x - 2.17) ** 2, 2.17)
    assert "at_bound" in codes(flat.cautions)
    rng = np.random.default_rng(0)
    noisy = map_losses(x[:9], image(x[:9], MAP) * np.exp(0.3 * rng.normal(size=9)), 2.17, 0.1)
    assert "wide" in codes(bootstrap_map(noisy, 200).cautions)
    two = bootstrap_map(map_losses(x[:2], x[:2], 2.17, 2.0), 100)
    assert two.interval("kappa").high == np.inf and {"few_runs", "wide"} <= codes(two.cautions)


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_losses_give_no_confident_map(seed):
    table = two_corpora(0.002, seed=seed)
    code = table["corpus"] == "code"
    values = table["value"].copy()
    values[code] = np.random.default_rng(seed).permutation(values[code])
    try:
        shuffled = codes(relate(RunTable({**table.columns, "value": values}), WEB, CODE).cautions)
    except InputError as error:  # a law of nothing may have a floor above its losses
        assert "at or below the floor" in str(error)
    else:
        assert "unrelated" in shuffled
    found = relate(table, WEB, CODE)
    assert not found.cautions
    y = np.random.default_rng(seed).permutation(found.y_P)
    assert "unrelated" in codes(map_losses(found.x_P, y, found.E0, found.E1).cautions)


def test_losses_that_run_against_each_other_have_a_caution_of_their_own():
    x = np.linspace(2.0, 4.0, 30)
    y = (0.5 + 2.0 / (x - 1.0)) * np.exp(0.002 * np.random.default_rng(0).normal(size=30))
    drawn = bootstrap_map(map_losses(x, y, 1.0, 0.5), 100)
    assert drawn.interval("kappa").high < 0
    assert [caution.code for caution in drawn.cautions if "kappa" in caution.text] == ["misfit"]
    assert "run against each other" in " ".join(map(str, drawn.cautions))


# The law carried over


def test_a_law_is_translated_from_few_runs():
    """With six runs of the new corpus the translated law is far closer than one fitted to them alone."""
    table = two_corpora()
    small = few_of_code(table, 6)
    law = translated_law(bootstrap_map(relate(small, WEB, CODE, fit_floor=True), 100))
    inputs = {name: CODE.of(table)[name] for name in ("N", "D")}
    predicted, low, high = law.predict(inputs)
    truth = image(web_loss(inputs), MAP)
    assert ((low <= predicted) & (predicted <= high)).all() and (low < truth).mean() > 0.9
    alone = CODE.of(small)
    own = fit(form_named("kaplan_offset"), alone.inputs, alone["value"])
    assert not own.sound and "few_runs" in codes(law.cautions)
    error, own_error = (np.abs(y / truth - 1).mean() for y in (predicted, own.predict(inputs)))
    assert error < 0.02 and error < own_error


def test_a_translated_law_is_the_same_in_its_own_parameters():
    law = translated_law(bootstrap_map(relate(two_corpora(0.002), WEB, CODE), 50))
    inputs = {"N": np.geomspace(2e7, 3e10, 9), "D": np.geomspace(1e9, 5e12, 9)}
    form = form_named("kaplan_offset")
    np.testing.assert_allclose(
        np.exp(form.ln_prediction(law.parameters, inputs)), law.predict(inputs)[0], rtol=1e-9
    )
    columns = {name: column[:, None] for name, column in law.samples.items()}
    y = np.exp(form.ln_prediction(columns, inputs))
    low, high = np.quantile(y, [0.025, 0.975], axis=0, method="inverted_cdf")
    _, found_low, found_high = law.predict(inputs, noise=False)
    np.testing.assert_allclose(found_low, low, rtol=1e-9)
    np.testing.assert_allclose(found_high, high, rtol=0.01)
    assert law.interval("E").low < MAP["E1"] < law.interval("E").high
    size = law.derived(lambda p: form.optimal_size(p, 1e22))
    assert size.value == pytest.approx(form.optimal_size(law.law.parameters, 1e22), rel=1e-9)
    assert size.low < size.value < size.high


def test_only_kaplan_laws_have_translated_parameters():
    law = translated_law(bootstrap_map(relate(two_corpora(), WEB, CODE, form=form_named("chinchilla")), 20))
    assert law.parameters == {} and np.isfinite(law.predict({"N": 1e9, "D": 2e10})[0])
    with pytest.raises(InputError, match="beta is missing"):
        translate({"A": 1.0, "B": 1.0, "E": 1.0, "alpha": 0.3}, law.of.loss_map)
    with pytest.raises(InputError, match="parameter must be one of"):
        law.interval("alpha")
    with pytest.raises(InputError, match="must come from a table"):
        translated_law(bootstrap_map(map_losses([2.0, 3.0, 4.0], [1.0, 2.0, 3.0], 1.0, 0.5), 10))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "truth", "few"), [(CODE, MAP, 0), (TASK_OF_WEB, TASK, 0), (CODE, MAP, 20), (CODE, MAP, 8)]
)
def test_intervals_cover_what_was_planted(target, truth, few):
    """At least 90 % of 50 draws: the parameters, the map at a run of far more compute, the translated law there.

    The new run itself is allowed a little less: its noise in x weighs more near the floor than it did for the pairs.
    """
    hits = dict.fromkeys([*truth, "mean", "new", "translated"], 0)
    at = {"N": np.array(3e10), "D": np.array(1e12)}
    for seed in range(50):
        table = two_corpora(0.002, seed=seed, large=1)
        small, large = table.rows(table["N"] < 2e10), table.rows(table["N"] > 2e10)
        small = few_of_code(small, few) if few else small
        drawn = bootstrap_map(relate(small, WEB, target, fit_floor=bool(few)), 200)
        for name in truth:
            hits[name] += truth[name] in drawn.interval(name)
        actual = target.of(large)["value"][0]
        for name, y, (_, low, high) in (
            ("mean", image(web_loss(at), truth), drawn.predict(web_loss(at), noise=False)),
            ("new", actual, drawn.predict(WEB.of(large)["value"][0])),
            ("translated", actual, translated_law(drawn).predict(at)),
        ):
            hits[name] += int(low <= y <= high)
    assert hits.pop("new") >= 41 and min(hits.values()) >= 45, hits
