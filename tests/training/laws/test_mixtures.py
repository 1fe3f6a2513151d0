"""Laws of data mixtures: RegMix's tables, planted laws, held-out quality, and the search for the best mixture."""

import warnings

import numpy as np
import pytest
from pyarrow import csv
from scipy.optimize import linprog, minimize
from scipy.stats import spearmanr
from sklearn.neighbors import KNeighborsRegressor
from sklearn.tree import DecisionTreeRegressor

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.mixtures.best import best_mixture, token_caps
from training.laws.mixtures.fitting import cross_validate, fit_mixture, held_out
from training.laws.mixtures.search import exchange, within_caps

PUBLISHED = {
    "arxiv": 99.60,
    "freelaw": 99.71,
    "pubmed_central": 99.08,
    "wikipedia_en": 99.45,
    "dm_mathematics": 97.20,
    "github": 99.77,
    "stackexchange": 99.73,
    "gutenberg_pg_19": 99.18,
    "pile_cc": 98.92,
    "ubuntu_irc": 96.87,
    "hackernews": 98.51,
    "pubmed_abstracts": 99.19,
}
"""Spearman's correlation x 100 of LightGBM on the test mixtures, by validation loss."""
DOMAINS = ("web", "code", "books")
TRUE = {"k": 1.5, "c": 1.2, "t_web": -1.0, "t_code": 0.8}


@pytest.fixture(scope="module")
def regmix(data_dir):
    def read(split):
        folder = data_dir / "scaling" / "regmix"
        mixture, loss = (csv.read_csv(folder / f"{split}_{kind}_1m.csv") for kind in ("mixture", "pile_loss"))
        assert mixture["index"] == loss["index"]
        domains = mixture.column_names[1:]
        shares = np.stack([mixture[name].to_numpy() for name in domains], axis=1)
        columns = {
            name.removeprefix("metric/the_pile_").removesuffix("_val_loss"): loss[name].to_numpy()
            for name in loss.column_names[1:]
        }
        return shares, columns, domains

    return {"train": read("train"), "test": read("test")}


def test_regmix_least_squares(regmix):
    (r, losses, domains), (asked, actual, _) = regmix["train"], regmix["test"]
    assert r.shape == (512, 17) and asked.shape == (256, 17) and len(losses) == 13
    found = held_out(fit_mixture(r, losses, "linear", domains), asked, actual)
    assert 100 * found["pile_cc"].spearman.value == pytest.approx(90.21, abs=0.1)
    assert found["pile_cc"].mse.value == pytest.approx(0.023, abs=6e-4)
    assert 100 * np.mean([h.spearman.value for h in found.values()]) == pytest.approx(83.11, abs=0.1)
    assert all(h.spearman.low < h.spearman.value < h.spearman.high for h in found.values())


def test_regmix_gradient_boosting(regmix):
    """The authors' settings, with early stopping on the test split as they have it; only trees are their own."""
    lightgbm = pytest.importorskip("lightgbm")

    class Boosted:
        def __init__(self, asked, actual):
            self.stop_on = [(asked / asked.sum(axis=1, keepdims=True), actual)]

        def fit(self, X, y):
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # how it wants the same sets named differs between its versions
                self.model = lightgbm.LGBMRegressor(
                    n_estimators=1000, learning_rate=0.01, random_state=42, n_jobs=1, verbosity=-1
                ).fit(X, y, eval_set=self.stop_on, callbacks=[lightgbm.early_stopping(3, verbose=False)])

        def predict(self, X):
            return self.model.predict(X)

    (r, losses, _), (asked, actual, _) = regmix["train"], regmix["test"]
    found = {}
    for name in PUBLISHED:
        law = fit_mixture(r, {name: losses[name]}, Boosted(asked, actual[name]))
        found[name] = 100 * held_out(law, asked, {name: actual[name]}, resamples=1)[name].spearman.value
    assert found == pytest.approx(PUBLISHED, abs=0.3)


@pytest.mark.slow
def test_regmix_exponential_law_beats_least_squares(regmix):
    (r, losses, domains), (asked, actual, _) = regmix["train"], regmix["test"]
    own, other = {"pile_cc": losses["pile_cc"]}, {"pile_cc": actual["pile_cc"]}
    curved = held_out(fit_mixture(r, own, "exponential", domains), asked, other)["pile_cc"]
    straight = held_out(fit_mixture(r, own, "linear", domains), asked, other)["pile_cc"]
    assert curved.spearman.low > straight.spearman.value and curved.mse.high < straight.mse.value


# Planted laws


def planted(rng, mixtures=60, noise=0.01, alpha=1.0):
    r = rng.dirichlet([alpha] * 3, mixtures)
    exact = TRUE["c"] + TRUE["k"] * np.exp(TRUE["t_web"] * r[:, 0] + TRUE["t_code"] * r[:, 1])
    return r, exact * np.exp(noise * rng.normal(size=mixtures))


def test_the_exponential_law_is_found():
    r, y = planted(np.random.default_rng(0), noise=0.0)
    law = fit_mixture(r, y, domains=DOMAINS)
    assert law.predictors[0].fit.parameters == pytest.approx(TRUE, rel=1e-4)
    np.testing.assert_allclose(law.predict(r)[:, 0], y, rtol=1e-6)
    assert law.predict([0.2, 0.3, 0.5]).shape == (1, 1)


def test_the_dropped_direction_changes_nothing():
    """Adding a constant to every t and dividing k by its exponential is the same law on proportions."""
    r = np.random.default_rng(1).dirichlet([1, 1, 1], 30)
    t = np.array([-0.7, 1.1, 0.3])
    full = 1.2 + 1.5 * np.exp(r @ t)
    mine = {"c": 1.2, "k": 1.5 * np.exp(0.3), "t_web": -1.0, "t_code": 0.8}
    form = form_named("exponential_mixture", domains=list(DOMAINS))
    found = np.exp(form.ln_prediction(mine, dict(zip(DOMAINS, r.T))))
    np.testing.assert_allclose(found, full, rtol=1e-12)


def test_the_linear_law_is_least_squares_with_intercept():
    rng = np.random.default_rng(2)
    r, y = planted(rng)
    asked = rng.dirichlet([1, 1, 1], 5)
    slow = np.linalg.lstsq(np.column_stack([np.ones(60), r[:, :2]]), y)[0]
    found = fit_mixture(r, y, "linear").predict(asked)[:, 0]
    np.testing.assert_allclose(found, np.column_stack([np.ones(5), asked[:, :2]]) @ slow, rtol=1e-10)


def test_a_regressor_is_copied_and_fitted_to_each_loss():
    r, y = planted(np.random.default_rng(3))
    blank = KNeighborsRegressor(1)
    law = fit_mixture(r, {"a": y, "b": 2 * y}, blank)
    np.testing.assert_allclose(law.predict(r), np.stack([y, 2 * y], axis=1))
    assert not hasattr(blank, "n_features_in_")


def test_held_out_values_are_those_of_the_definitions():
    rng = np.random.default_rng(4)
    (r, y), (asked, actual) = planted(rng), planted(rng, 25)
    law = fit_mixture(r, y, "linear")
    found, predicted = held_out(law, asked, actual)["loss"], law.predict(asked)[:, 0]
    assert found.spearman.value == pytest.approx(spearmanr(predicted, actual)[0])
    assert found.mse.value == pytest.approx(((predicted - actual) ** 2).mean())
    assert found.r2 == pytest.approx(
        1 - ((predicted - actual) ** 2).sum() / ((actual - actual.mean()) ** 2).sum()
    )
    assert found.mse.low < found.mse.value < found.mse.high


def test_cross_validation_predicts_without_the_fold():
    rng = np.random.default_rng(5)
    r, _ = planted(rng)
    noise = rng.normal(size=60) + 5
    memory = cross_validate(r, noise, KNeighborsRegressor(1))["loss"]
    assert 0 in memory.spearman and memory.r2 < 0
    twice = cross_validate(np.tile(r, (2, 1)), np.tile(noise, 2), KNeighborsRegressor(1))["loss"]
    assert twice.r2 < 0  # copies of a mixture are held out together
    assert cross_validate(*planted(rng), "linear")["loss"].spearman.value > 0.9


def test_order_changes_nothing():
    rng = np.random.default_rng(6)
    r, y = planted(rng, 30)
    turn = rng.permutation(30)
    for law in ("linear", "exponential", DecisionTreeRegressor(random_state=0)):
        one, two = fit_mixture(r, y, law), fit_mixture(r[turn], y[turn], law)
        np.testing.assert_array_equal(one.predict(r), two.predict(r))
    one, two = (
        best_mixture(fit_mixture(a, b, "linear"), samples=50) for a, b in ((r, y), (r[turn], y[turn]))
    )
    np.testing.assert_array_equal(one.proportions_M, two.proportions_M)
    assert one.gain == two.gain and one.predicted == two.predicted


# The best mixture


def convex(r, t, c=1.0):
    return c + sum(np.exp(r @ row) for row in t)


@pytest.mark.parametrize("seed", range(4))
def test_exchanges_find_the_minimum_of_a_convex_function_under_caps(seed):
    rng = np.random.default_rng(seed)
    t = 3 * rng.normal(size=(4, 5))
    caps = np.array([0.5, 0.3, 1.0, 0.25, 0.4])
    start = within_caps(np.full((1, 5), 0.2), caps)[0]
    point, value, _ = exchange(lambda r: convex(r, t), start, caps)
    slow = minimize(
        lambda r: convex(r, t),
        start,
        bounds=[(0, cap) for cap in caps],
        constraints={"type": "eq", "fun": lambda r: r.sum() - 1},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 500},
    )
    assert value == pytest.approx(slow.fun, abs=1e-5)
    assert point.sum() == pytest.approx(1) and (point >= 0).all() and (point <= caps + 1e-12).all()


def test_the_best_of_a_linear_law_is_the_linear_programme():
    r, y = planted(np.random.default_rng(7))
    law = fit_mixture(r, y, "linear", DOMAINS)
    caps = {"web": 0.4, "code": 0.9}
    found = best_mixture(law, caps=caps, samples=100)
    slow = linprog(
        law.predictors[0].weights_M, A_eq=np.ones((1, 3)), b_eq=[1], bounds=[(0, 0.4), (0, 0.9), (0, 1)]
    )
    np.testing.assert_allclose(found.proportions_M, slow.x, atol=1e-5)
    assert found.predicted.value == pytest.approx(slow.fun, abs=1e-5)


def test_the_best_of_two_opposed_losses_lies_inside():
    rng = np.random.default_rng(8)
    r = rng.dirichlet([1, 1], 40)
    losses = {"web": 1 + np.exp(-3 * r[:, 0]), "code": 1 + np.exp(-3 * r[:, 1])}
    noisy = {name: y * np.exp(0.005 * rng.normal(size=40)) for name, y in losses.items()}
    law = fit_mixture(r, noisy, domains=["web", "code"])
    found = best_mixture(law, samples=500)
    assert found.proportions_M == pytest.approx([0.5, 0.5], abs=0.05)
    assert ((found.range_M2[:, 0] <= 0.5) & (found.range_M2[:, 1] >= 0.5)).all()
    assert np.ptp(found.range_M2, axis=1).max() < 0.2
    assert found.predicted.low < 1 + np.exp(-1.5) < found.predicted.high + 0.01 and found.optimism < 0.01
    assert "extrapolation" not in {c.code for c in found.cautions} and found.distance <= found.usual_distance
    tilted = best_mixture(law, {"web": 3.0, "code": 1.0}, samples=500)
    assert tilted.proportions_M[0] > found.proportions_M[0] + 0.1  # ln 3 / 6 more
    assert best_mixture(law, {"web": 3.0, "code": 1.0}, samples=500).gain == tilted.gain


def test_a_best_mixture_far_from_the_trained_ones_is_called_so():
    rng = np.random.default_rng(9)
    r = rng.dirichlet([20, 20, 20], 60)
    y = 3 - r[:, 0] + 0.005 * rng.normal(size=60)
    found = best_mixture(fit_mixture(r, y, "linear", DOMAINS), samples=100)
    assert found.proportions_M == pytest.approx([1, 0, 0], abs=1e-6)
    assert found.distance > found.usual_distance
    (caution,) = (c for c in found.cautions if c.code == "extrapolation")
    assert "web at 100.0% (trained up to" in caution.text
    held = best_mixture(fit_mixture(r, y, "linear", DOMAINS), caps=dict.fromkeys(DOMAINS, 0.36), samples=100)
    assert "extrapolation" not in {c.code for c in held.cautions}


def test_mixtures_that_do_not_matter_promise_no_gain():
    rng = np.random.default_rng(10)
    found = best_mixture(
        fit_mixture(rng.dirichlet([1] * 3, 40), 3 + 0.1 * rng.normal(size=40), "linear"), samples=100
    )
    assert {"flat", "unrelated"} <= {c.code for c in found.cautions}
    assert found.optimism > 0


def test_optimism_is_what_choosing_the_lowest_costs():
    """Of linear laws fitted to noise, the lowest prediction lies below the truth by about the optimism."""
    rng = np.random.default_rng(11)
    below, said = [], []
    for _ in range(60):
        r = rng.dirichlet([1] * 4, 40)
        found = best_mixture(
            fit_mixture(r, 3 + 0.1 * rng.normal(size=40), "linear"), samples=20, resamples=50
        )
        below.append(3 - found.predicted.value)
        said.append(found.optimism)
    assert np.mean(said) == pytest.approx(np.mean(below), rel=0.4)


def test_intervals_of_the_prediction_cover():
    rng, hit = np.random.default_rng(12), 0
    w = np.array([3.0, 3.5, 4.0])
    for _ in range(60):
        r = rng.dirichlet([1] * 3, 40)
        found = best_mixture(
            fit_mixture(r, r @ w + 0.1 * rng.normal(size=40), "linear", DOMAINS), samples=20, resamples=200
        )
        hit += 3.0 in found.predicted
    assert 52 <= hit < 60


def test_a_regressor_has_a_best_mixture():
    r, y = planted(np.random.default_rng(13), 80)
    law = fit_mixture(r, y, DecisionTreeRegressor(max_depth=4, random_state=0), DOMAINS)
    found = best_mixture(law, samples=500, resamples=10)
    assert found.predicted.value == pytest.approx(law.predict(r).min(), abs=1e-9)
    assert found.gain.value == pytest.approx(0, abs=1e-9) and "flat" in {c.code for c in found.cautions}


def test_token_caps():
    caps = token_caps({"web": 1e12, "code": 1e10, "books": 0}, 1e11, epochs={"web": 1, "code": 4, "books": 4})
    assert caps == pytest.approx({"web": 1.0, "code": 0.4, "books": 0.0})
    assert token_caps({"code": 1e10}, 1e11) == pytest.approx({"code": 0.1})
    with pytest.raises(InputError, match="budget"):
        token_caps({"code": 1.0}, 0)
    with pytest.raises(InputError, match="code must be"):
        token_caps({"code": -1.0}, 10)


def test_what_cannot_be_fitted_or_searched_is_refused():
    rng = np.random.default_rng(14)
    r, y = planted(rng, 30)
    for change, said in [
        ({"proportions_NM": 2 * r}, "sum of proportions"),
        ({"proportions_NM": r - 0.5}, "not negative"),
        ({"proportions_NM": r[:, :1] / r[:, :1]}, "at least 2 domains"),
        ({"losses": y[:-1]}, "one number per mixture"),
        ({"losses": np.where(y == y[0], np.nan, y)}, "not finite"),
        ({"losses": {}}, "at least one column"),
        ({"law": "cubic"}, "law must be one of"),
        ({"law": 3}, "law must be one of"),
        ({"domains": ["a", "a", "b"]}, "3 different names"),
        ({"proportions_NM": r[:4], "losses": y[:4]}, "more than the 4"),
        ({"proportions_NM": np.column_stack([r[:, 0] / 2, r[:, 0] / 2, 1 - r[:, 0]])}, "do not determine"),
    ]:
        with pytest.raises(InputError, match=said):
            fit_mixture(**{"proportions_NM": r, "losses": y, **change})
    law = fit_mixture(r, y, "linear", DOMAINS)
    for options, said in [
        ({"caps": {"web": 0.3, "code": 0.3, "books": 0.3}}, "90.0% of the data"),
        ({"caps": {"wep": 0.3}}, "Did you mean 'web'"),
        ({"caps": {"web": -0.3}}, "cap of web"),
        ({"weights": {"losss": 1.0}}, "Did you mean 'loss'"),
        ({"weights": {"loss": -1.0}}, "weight of loss"),
        ({"weights": {"loss": 0.0}}, "above 0 for some"),
    ]:
        with pytest.raises(InputError, match=said):
            best_mixture(law, **options)
    with pytest.raises(InputError, match="law is of loss"):
        held_out(law, r, {"other": y})
    with pytest.raises(InputError, match="folds"):
        cross_validate(r, y, "linear", folds=1)
    with pytest.raises(InputError, match="by 3 domains"):
        law.predict([0.5, 0.5])
    assert [c.code for c in fit_mixture(r[:5], y[:5], "linear").cautions] == ["few_runs"]
