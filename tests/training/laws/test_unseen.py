"""What reads refits of a law where its runs say nothing: refits stay there as the fit was, which is not precision."""

import numpy as np
import pytest
from references.selection_worlds import base_law, chinchilla_law, world
from references.two_corpora import MAP, TASK, image, two_corpora, web_loss

from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.forms.quality_quantity import quality_quantity
from training.laws.loss_to_loss.loss_map import relate
from training.laws.loss_to_loss.map_bootstrap import bootstrap_map
from training.laws.loss_to_loss.pairing import Series
from training.laws.loss_to_loss.translation import translated_law
from training.laws.repetition.keep_fraction import Selection, best_keep_fraction, best_selection
from training.laws.run_table import make_run_table
from training.laws.selections.comparison import compare_selections
from training.laws.selections.crossing import crossings
from training.laws.selections.learning_curves import learning_curves
from training.laws.selections.multipliers import multiplier, run_multipliers
from training.laws.selections.verdict import gap
from training.laws.uncertainty.bootstrap import bootstrap

U = 12.8e6


def one_size_table(times=1.5):
    """Two corpora of one model size, 15 runs each."""
    rng, D = np.random.default_rng(3), np.tile(np.geomspace(2e9, 2e11, 5), 3)
    laws = {"random": chinchilla_law(1e9, D), "half more": chinchilla_law(1e9, D, times)}
    columns = {
        "corpus": np.repeat(list(laws), 15), "N": np.full(30, 1e9), "D": np.tile(D, 2), "seed": np.repeat(range(6), 5),
        "value": np.concatenate([y * np.exp(0.002 * rng.normal(size=15)) for y in laws.values()]),
    }  # fmt: skip
    return make_run_table(columns)


def of_one_size():
    return learning_curves(one_size_table(), form=form_named("chinchilla"), resamples=40, starts=12)


def test_curves_of_one_model_size_say_nothing_of_others():
    found = of_one_size()
    base, own = found["random"], found["half more"]
    here, there = {"N": 1e9, "D": 5e10}, {"N": 1e10, "D": 5e10}
    assert np.isfinite(own.samples(here)[1]).all() and np.isnan(own.samples(there)[1]).all()
    assert np.isfinite(own.samples(there)[0]).all()
    near, far = gap(base, own, here), gap(base, own, there)
    assert np.isfinite([near.difference.low, near.difference.high]).all()
    assert far.verdict == "cannot tell" and (far.difference.low, far.difference.high) == (-np.inf, np.inf)
    for at, way, known in ((here, "D", True), (here, "N", False), (there, "D", False)):
        interval = multiplier(base, own, at, way).interval
        assert ((interval.low, interval.high) != (0, np.inf)) == known, (at, way)
    runs = run_multipliers(base, own, "N")
    assert (runs.low_R == 0).all() and (runs.high_R == np.inf).all() and runs.median.low == 0
    said = compare_selections(
        one_size_table(), form=form_named("chinchilla"), at=there, resamples=40, starts=12
    ).sentences[0]
    assert "(no interval)" in said and "inf" not in said
    crossed = crossings(base, own, there)
    assert crossed.verdict == "cannot tell" and (crossed.high_G == np.inf).all()


def test_curves_without_spare_runs_have_no_intervals():
    laws = {"random": base_law, "half more": lambda D: base_law(D, 1.5)}
    found = learning_curves(world(laws, scales=3, seeds=1), resamples=40, starts=12)
    base, own = found["random"], found["half more"]
    interval = multiplier(base, own, {"D": 1e5}).interval
    assert (interval.low, interval.high) == (0, np.inf)
    assert gap(base, own, {"D": 1e5}).difference.low == -np.inf
    crossed = crossings(base, own)
    assert crossed.verdict == "cannot tell" and (crossed.low_G == -np.inf).all()
    assert run_multipliers(base, own).median.high == np.inf
    longer = learning_curves(world(laws, scales=4, seeds=3), resamples=40, starts=12)
    assert run_multipliers(longer["random"], own).median.high == np.inf, "the noise of its runs is unknown"


def test_a_law_of_one_model_size_is_not_translated_to_others():
    given = two_corpora(0.0)
    N, D = float(np.median(given["N"])), given["D"]
    first = web_loss({"N": np.full(len(D), N), "D": D})
    y = np.where(given["metric"] == "task", image(first, TASK), first)
    y = np.where(given["corpus"] == "code", image(first, MAP), y)
    y = y * np.exp(0.002 * np.random.default_rng(1).normal(size=len(D)))
    table = make_run_table({**given.columns, "N": np.full(len(D), N), "C": 6 * N * D, "value": y})
    law = translated_law(bootstrap_map(relate(table, Series("web", "loss"), Series("code", "loss")), 40))
    _, low, high = law.predict({"N": np.array([N, 10 * N]), "D": np.array([1e11, 1e11])})
    assert np.isfinite([low[0], high[0]]).all()
    assert low[1] == -np.inf and high[1] == np.inf
    assert law.interval("A").high == np.inf


def pools_trained(count):
    """Runs on the first pools of four alone."""
    epochs = np.tile([1.0, 2, 4, 6, 8, 10], 2 * count)
    inputs = {"D": U * epochs, "epochs": epochs, "pool": np.repeat(np.arange(1.0, count + 1), 12)}
    form = quality_quantity(4).frozen(d=0.1)
    p = {"a": 2.5e-7, "d": 0.1} | {f"b{i}": -0.2 + 0.015 * i for i in range(1, 5)}
    p |= {f"tau{i}": 3.0 for i in range(1, 5)}
    y = np.exp(form.ln_prediction(p, inputs) + 0.002 * np.random.default_rng(4).normal(size=len(epochs)))
    return bootstrap(fit(form, inputs, y, starts=8), 60, starts=1)


def test_of_a_pool_that_nobody_trained_on_nothing_is_recommended():
    found = best_keep_fraction(pools_trained(3), [U] * 4, [2 * U, 8 * U], total=10 * U)
    assert np.isfinite(found.high_KF[:, :3]).all() and (found.high_KF[:, 3] == np.inf).all()
    assert (found.low_KF[:, 3] == -np.inf).all()
    assert (found.share_KF == 0).all() and len(found.plausible(0)) == 4
    assert "cannot tell which of 0.1, 0.2, 0.3, 0.4" in found.verdict(0)
    assert any("nothing of keep fractions 0.4" in str(caution) for caution in found.cautions)
    assert best_keep_fraction(pools_trained(4), [U] * 4, [2 * U]).share_KF.sum() == pytest.approx(1)


def test_of_selections_without_spare_runs_nothing_is_recommended():
    kept = []
    for fraction, b in ((0.1, -0.2), (0.3, -0.15)):
        epochs = np.array([1.0, 9.0])
        y = 1e-1 * (U * epochs) ** b
        form = form_named("quality_quantity")
        found = fit(form, {"D": U * epochs, "epochs": epochs}, y, starts=8)
        kept.append(Selection(fraction, U, bootstrap(found, 40, starts=1)))
    found = best_selection(kept, [2 * U])
    assert found.verdict(0).startswith("for 2.56e+07 samples: cannot tell")
    assert (found.high_KF == np.inf).all()
