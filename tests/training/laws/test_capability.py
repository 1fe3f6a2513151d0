"""Capability components: Ruan et al.'s table, a slow imputation, planted components, laws of a metric on them."""

import numpy as np
import pytest
from pyarrow import csv
from scipy.optimize import least_squares as scipy_least_squares
from scipy.stats import linregress
from sklearn.decomposition import PCA

from scoring.errors import InputError
from training.laws.evaluations.capability import by_family, capability_components, explained_intervals
from training.laws.evaluations.capability_law import fit_capability_law
from training.laws.least_squares import least_squares

BENCHMARKS = ["MMLU", "ARC-C", "HellaSwag", "Winograd", "TruthfulQA", "GSM8K", "XWinograd", "HumanEval"]


@pytest.fixture(scope="module")
def models(data_dir):
    table = csv.read_csv(data_dir / "scaling" / "observational" / "base_llm_benchmark_eval.csv")
    number = {name: np.array(table[name].to_pylist(), dtype=float) for name in [*BENCHMARKS, "FLOPs (1E21)"]}
    scores = np.stack([number[name] for name in BENCHMARKS], axis=1)
    return {
        "scores": scores,
        "flops": number["FLOPs (1E21)"] * 1e21,
        "family": np.array(table["Model Family"]),
    }


def test_published_components(models):
    found = capability_components(models["scores"])
    assert found.scores_NC.shape == (148, 3) and found.missing == 40
    assert found.explained_C == pytest.approx([0.853, 0.094, 0.027], abs=6e-4)
    assert found.explained_C.sum() == pytest.approx(0.9734, abs=6e-5)
    complete = models["scores"][~np.isnan(models["scores"]).any(axis=1)]
    assert len(complete) == 124
    alone = capability_components(complete)
    assert alone.explained_C == pytest.approx([0.8431, 0.0997, 0.0309], abs=6e-5)
    slow = PCA(3).fit(complete)
    assert alone.explained_C == pytest.approx(slow.explained_variance_ratio_)
    np.testing.assert_allclose(np.abs(alone.scores_NC), np.abs(slow.transform(complete)), atol=1e-9)


def test_published_lines_of_families(models):
    found = by_family(
        capability_components(models["scores"]).scores_NC[:, 0], models["flops"], models["family"]
    )
    published = {"Pythia": 0.984, "OPT": 0.985, "Llama": 0.978, "BLOOM": 0.984, "Cerebras-GPT": 0.858}
    assert {name: found[name].r2 for name in published} == pytest.approx(published, abs=6e-4)
    assert all(found[name].slope.low > 0 for name in published)  # more compute, more capable: the sign
    assert "Amber" not in found


def test_explained_shares_have_intervals(models):
    alone = explained_intervals(models["scores"], resamples=100)
    families = explained_intervals(models["scores"], groups=models["family"], resamples=100)
    for one, whole in zip(alone, families):
        assert one.low < one.value < one.high and whole.low < whole.value < whole.high
    assert families[0].high - families[0].low > alone[0].high - alone[0].low


def test_imputation_is_the_alternation(models):
    """One cell after the other: what the leading component of the filled table says, until nothing moves."""
    given = models["scores"][:40]
    missing = np.argwhere(np.isnan(given))
    assert len(missing) >= 2
    filled = given.copy()
    for i, t in missing:
        filled[i, t] = np.nanmean(given[:, t])
    for _ in range(300):
        centre = filled.mean(axis=0)
        values, vectors = np.linalg.eigh(np.cov(filled.T))
        axis = vectors[:, values.argmax()]
        says = centre + np.outer((filled - centre) @ axis, axis)
        for i, t in missing:
            filled[i, t] = says[i, t]
    np.testing.assert_allclose(capability_components(given).completed_NT, filled, atol=1e-8)


def world(rng, models=60, noise=0.02):
    ability = rng.normal(size=(models, 2)) * [0.3, 0.08]
    loadings = np.array([[0.5, 0.5, 0.5, 0.4, 0.3], [0.7, -0.5, 0.1, -0.3, 0.4]])
    return ability, 0.5 + ability @ loadings + noise * rng.normal(size=(models, 5))


def test_missing_scores_of_one_component_are_found():
    rng = np.random.default_rng(0)
    scores = 0.5 + np.outer(rng.normal(size=40), [0.3, 0.2, 0.1, 0.2])
    holes = np.where(rng.uniform(size=scores.shape) < 0.15, np.nan, scores)
    holes[np.isnan(holes).all(axis=1), 0] = 0.5
    found = capability_components(holes)
    np.testing.assert_allclose(found.completed_NT, scores, atol=1e-6)
    assert found.explained_C[0] == pytest.approx(1)


def test_projecting_models_puts_them_on_the_same_components():
    rng = np.random.default_rng(1)
    _, scores = world(rng)
    found = capability_components(scores)
    np.testing.assert_allclose(found.project(scores), found.scores_NC, atol=1e-12)
    partly = scores[:5].copy()
    partly[:, 2] = np.nan
    assert np.abs(found.project(partly)[:, 0] - found.scores_NC[:5, 0]).max() < 0.1
    line = 0.5 + np.outer([1.0, -1.0], found.loadings_CT[0])
    alone = capability_components(np.concatenate([line, line * 0 + 0.5]))
    line[0, 1] = np.nan
    assert alone.project(line)[0, 0] == pytest.approx(alone.scores_NC[0, 0])


def test_signs_order_and_shift():
    rng = np.random.default_rng(2)
    _, scores = world(rng)
    found = capability_components(scores)
    assert (found.loadings_CT.sum(axis=1) > 0).all()
    turn = rng.permutation(len(scores))
    np.testing.assert_allclose(
        capability_components(scores[turn]).scores_NC, found.scores_NC[turn], atol=1e-12
    )
    np.testing.assert_allclose(capability_components(scores + 3).scores_NC, found.scores_NC, atol=1e-12)
    np.testing.assert_allclose(capability_components(100 * scores).explained_C, found.explained_C)


def test_lines_of_families_are_least_squares():
    rng = np.random.default_rng(3)
    C = 10 ** rng.uniform(18, 24, 20)
    y, family = np.log10(C) / 10 + 0.05 * rng.normal(size=20), np.array(["a"] * 8 + ["b"] * 10 + ["c"] * 2)
    C[0] = np.nan
    found = by_family(y, C, family)
    slow = linregress(np.log10(C[1:8]), y[1:8])
    assert list(found) == ["a", "b"] and found["a"].models == 7
    assert found["a"].slope.value == pytest.approx(slow.slope) and found["a"].r2 == pytest.approx(
        slow.rvalue**2
    )
    assert found["a"].intercept == pytest.approx(slow.intercept)
    assert found["a"].slope.high - found["a"].slope.value == pytest.approx(2.570582 * slow.stderr, rel=1e-6)


# A metric from components


def test_least_squares_of_resamples():
    rng = np.random.default_rng(4)
    design, y = rng.normal(size=(30, 4)), rng.normal(size=30)
    weights = rng.multinomial(30, np.full(30, 1 / 30), size=5).astype(float)
    found = least_squares(design, y, weights)
    for row, weight in zip(found, weights):
        root = np.sqrt(weight)
        np.testing.assert_allclose(row, np.linalg.lstsq(root[:, None] * design, root * y)[0], atol=1e-10)


def test_a_line_and_a_sigmoid_are_least_squares():
    rng = np.random.default_rng(5)
    S, _ = world(rng)
    z = -0.5 + S @ [4.0, 3.0]
    line = fit_capability_law(S, z, law="linear", resamples=20)
    assert line.weights_P == pytest.approx([-0.5, 4.0, 3.0]) and line.r2 == pytest.approx(1)
    metric = 0.25 + 0.75 / (1 + np.exp(-z))
    exact = fit_capability_law(S, metric, floor=0.25, resamples=20)
    assert exact.weights_P == pytest.approx([-0.5, 4.0, 3.0], rel=1e-4)
    noisy = np.clip(metric + 0.03 * rng.normal(size=60), 0, 1)
    found = fit_capability_law(S, noisy, floor=0.25, resamples=20)
    slow = scipy_least_squares(
        lambda w: 0.25 + 0.75 / (1 + np.exp(-(w[0] + S @ w[1:]))) - noisy,
        [0.0, 1.0, 0.0],
        xtol=1e-14,
        ftol=1e-14,
    )
    assert found.weights_P == pytest.approx(slow.x, rel=1e-4)


@pytest.mark.parametrize("law", ["linear", pytest.param("sigmoid", marks=pytest.mark.slow)])
def test_intervals_of_a_metric_cover(law):
    rng, inside, new = np.random.default_rng(6), 0, 0
    at = np.array([[0.3, 0.05]])
    for _ in range(60):
        S, _ = world(rng, models=50)
        z = -0.3 + S @ [3.0, 1.0]
        curve = (lambda z: z) if law == "linear" else (lambda z: 1 / (1 + np.exp(-z)))
        metric = curve(z) + 0.03 * rng.normal(size=50)
        found = fit_capability_law(
            S, np.clip(metric, 0, 1) if law == "sigmoid" else metric, law=law, resamples=200
        )
        truth = curve(np.array([-0.3 + 0.9 + 0.05]))[0]
        mean, own = found.predict(at, noise=False), found.predict(at)
        inside += mean.low_K[0] <= truth <= mean.high_K[0]
        new += own.low_K[0] <= truth + 0.03 * rng.normal() <= own.high_K[0]
    assert inside >= 54 and new >= 54


def test_a_metric_of_the_published_models(models):
    """GSM8K from components of the other seven benchmarks, on families left out of the fit."""
    others = [t for t, name in enumerate(BENCHMARKS) if name != "GSM8K"]
    S = capability_components(models["scores"][:, others]).scores_NC
    metric = models["scores"][:, BENCHMARKS.index("GSM8K")]
    held = np.isin(models["family"], ["Llama-2", "Pythia", "Qwen1.5", "OPT"])
    law = fit_capability_law(S[~held], metric[~held], groups=models["family"][~held], resamples=200)
    found = law.predict(S[held])
    assert law.r2 > 0.85
    assert np.corrcoef(found.value_K, metric[held])[0, 1] > 0.9
    assert ((found.low_K <= metric[held]) & (metric[held] <= found.high_K)).mean() >= 0.8
    assert law.predict(S[:1] + 10).outside_K.all()


def test_few_models_and_order():
    rng = np.random.default_rng(7)
    S, _ = world(rng, models=30)
    metric, family = S @ [1.0, 2.0] + 0.1 * rng.normal(size=30), np.repeat(np.arange(6), 5)
    found = fit_capability_law(S, metric, law="linear", groups=family, resamples=50)
    assert [c.code for c in found.cautions] == ["few_runs"] and "6 groups" in found.cautions[0].text
    turn = rng.permutation(30)
    turned = fit_capability_law(S[turn], metric[turn], law="linear", groups=family[turn], resamples=50)
    np.testing.assert_array_equal(turned.samples_BP, found.samples_BP)
    few = fit_capability_law(S[:5], metric[:5], law="linear", resamples=50)
    assert [c.code for c in few.cautions] == ["few_runs"]
    flat = fit_capability_law(S, np.full(30, 0.5), law="linear", resamples=10)
    assert np.isnan(flat.r2) and flat.predict(S[:1], noise=False).value_K[0] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([[1.0, 2.0]], "at least"),
        ([1.0, 2.0], "models by benchmarks"),
        ([[1.0, np.inf], [1.0, 2.0]], "finite or NaN"),
        ([[1.0, np.nan], [2.0, np.nan]], "may lack all"),
        ([[1.0, 2.0], [np.nan, np.nan]], "may lack all"),
        ([[1.0, 2.0], [1.0, 2.0]], "do not differ"),
    ],
)
def test_scores_without_components_are_refused(scores, said):
    with pytest.raises(InputError, match=said):
        capability_components(scores, components=1)


def test_what_cannot_be_fitted_is_refused():
    S, y = np.arange(20.0).reshape(10, 2) ** 2, np.linspace(0, 1, 10)
    for change, said in [
        ({"law": "cubic"}, "sigmoid"),
        ({"metric": y[:-1]}, "models by components"),
        ({"metric": np.where(y == 0, np.nan, y)}, "finite"),
        ({"metric": 100 * y}, "metric in"),
        ({"floor": 1.0}, "floor in"),
        ({"components_NC": np.stack([S[:, 0], S[:, 0]], axis=1)}, "independently"),
        ({"components_NC": S[:3], "metric": y[:3]}, "more than the 3 weights"),
        ({"groups": np.zeros(10)}, "2 different groups"),
        ({"groups": np.zeros(9)}, "one per model"),
    ]:
        with pytest.raises(InputError, match=said):
            fit_capability_law(**{"components_NC": S, "metric": y, **change})
    with pytest.raises(InputError, match="components must be"):
        capability_components(S, components=3)
    found = capability_components(S, components=1)
    with pytest.raises(InputError, match="benchmarks wide"):
        found.project([1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="at least one benchmark"):
        found.project([np.nan, np.nan])
    with pytest.raises(InputError, match="must be finite"):
        fit_capability_law(S, y, law="linear", resamples=10).predict([[np.nan, 1.0]])
