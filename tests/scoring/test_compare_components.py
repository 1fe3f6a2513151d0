"""Components, one factor, copies: against slow versions, other libraries, planted loadings and real runs."""

import json

import numpy as np
import pytest
from references import components_slow as slow
from references.difficulty_world import DifficultyWorld

from scoring.compare.components.copies import copies
from scoring.compare.components.one_factor import factor_loadings, one_factor
from scoring.compare.components.principal import (
    components,
    congruence,
    parallel_analysis,
    principal_components,
)
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sections.components import section

LOADINGS = {"a": 0.95, "b": 0.85, "c": 0.7, "d": 0.6, "e": 0.5}


def one_factor_matrix(loadings):
    rho = np.outer(loadings, loadings)
    np.fill_diagonal(rho, 1.0)
    return rho


def random_matrix(seed, scores=6, n=40):
    rng = np.random.default_rng(seed)
    return np.corrcoef(rng.normal(size=(scores, n)) + rng.normal(size=n))


# --- components


def test_components_are_the_singular_values_of_the_ranks():
    scores = DifficultyWorld(examples=150, loadings=LOADINGS, runs={"mlp": 3}).draw(0)
    found = components(scores, "mlp")
    means = np.stack([scores.mean(name, "mlp") for name in scores.scores])
    shares, loadings = slow.components(np.round(means, 12))
    np.testing.assert_allclose(found.explained, shares, atol=1e-9)
    np.testing.assert_allclose(np.abs(found.loadings), loadings, atol=1e-9)
    np.testing.assert_allclose(found.loadings @ found.loadings.T, found.rho, atol=1e-9)
    assert (found.loadings.sum(axis=0) > 0).all()
    np.testing.assert_allclose((found.loadings**2).sum(axis=0) / 5, found.explained, atol=1e-9)
    assert found.explained.sum() == pytest.approx(1)


def test_components_are_scikit_learns():
    from sklearn.decomposition import PCA

    from scoring.compare.ranks import average_ranks

    scores = DifficultyWorld(examples=300, loadings=LOADINGS, runs={"mlp": 2}).draw(3)
    found = components(scores, "mlp")
    ranks = np.stack([average_ranks(scores.mean(name, "mlp")) for name in scores.scores], axis=1)
    pca = PCA().fit((ranks - ranks.mean(axis=0)) / ranks.std(axis=0))
    np.testing.assert_allclose(found.explained, pca.explained_variance_ratio_, atol=1e-9)


def test_number_of_components_to_99_percent():
    shares, _ = principal_components(np.diag(np.ones(4)))
    np.testing.assert_allclose(shares, 0.25)
    rng = np.random.default_rng(0)
    base = rng.normal(size=(2, 500))
    values = {"a": base[0], "b": base[0] + 1e-6 * base[1], "c": base[1], "d": base[1]}
    scores = RunScores.of_arrays({name: {"mlp": v[None]} for name, v in values.items()})
    assert components(scores, "mlp").to_99 == 2
    assert components(scores, "mlp").beyond_chance == 2


@pytest.mark.parametrize(("scores", "examples"), [(3, 60), (6, 200), (10, 1000)])
def test_parallel_analysis_is_that_of_shuffled_examples(scores, examples):
    expected = np.quantile(slow.shuffled_shares(scores, examples, 1000), 0.95, axis=0)
    np.testing.assert_allclose(parallel_analysis(scores, examples), expected, atol=0.02 / scores)


def test_unrelated_scores_have_no_component():
    draws = []
    for seed in range(100):
        values = np.random.default_rng(seed).normal(size=(6, 1, 200))
        scores = RunScores.of_arrays({f"s{i}": {"mlp": v} for i, v in enumerate(values)})
        draws.append(components(scores, "mlp", resamples=20).beyond_chance)
    assert np.mean(np.array(draws) > 0) <= 0.12  # 5 % expected, 2.2 % standard error


# --- one factor


@pytest.mark.parametrize("loadings", [(0.9, 0.8, 0.7), (0.95, 0.6, 0.5, 0.3, 0.99), (0.9, -0.8, 0.7, 0.9)])
def test_a_matrix_of_one_factor_is_taken_apart(loadings):
    found = one_factor(one_factor_matrix(loadings))
    np.testing.assert_allclose(found.loadings, loadings, atol=1e-6)
    np.testing.assert_allclose(found.uniquenesses, 1 - np.square(loadings), atol=1e-6)
    assert found.share == pytest.approx(np.mean(np.square(loadings)))
    assert found.common_share == pytest.approx(1, abs=1e-4)
    assert found.residual < 1e-6 and not found.heywood


@pytest.mark.parametrize("seed", range(12))
def test_loadings_minimise_the_residuals(seed):
    rho = random_matrix(seed, scores=3 + seed % 5)
    loadings, squares = slow.minimum_residuals(rho)
    found = one_factor(rho)
    upper = np.triu_indices(len(rho), 1)
    assert (((rho - np.outer(found.loadings, found.loadings))[upper]) ** 2).sum() <= squares + 1e-8
    np.testing.assert_allclose(found.loadings, loadings, atol=2e-3)
    assert found.residual == pytest.approx(np.sqrt(squares / len(upper[0])), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_loadings_are_factor_analyzers(seed, monkeypatch):
    package = pytest.importorskip("factor_analyzer")
    # the package passes an argument to scikit-learn that newer ones do not know
    monkeypatch.setattr(package.factor_analyzer, "check_array", lambda values, **_: np.asarray(values))
    rho = random_matrix(seed, n=200)
    fitted = package.FactorAnalyzer(1, rotation=None, method="minres", is_corr_matrix=True).fit(rho)
    found = one_factor(rho)
    theirs = fitted.loadings_.ravel()
    np.testing.assert_allclose(found.loadings, theirs * np.sign(theirs.sum()), atol=1e-3)
    np.testing.assert_allclose(found.uniquenesses, fitted.get_uniquenesses(), atol=2e-3)


@pytest.mark.parametrize("seed", range(4))
def test_loadings_are_those_of_iterated_principal_axes(seed):
    factor = pytest.importorskip("statsmodels.multivariate.factor")
    rho = random_matrix(seed, n=200)
    theirs = factor.Factor(corr=rho, n_factor=1, method="pa", nobs=200).fit(maxiter=2000, tol=1e-12)
    loadings = theirs.loadings.ravel()
    np.testing.assert_allclose(one_factor(rho).loadings, loadings * np.sign(loadings.sum()), atol=1e-4)


def test_many_matrices_at_once_are_each_its_own():
    rho = np.stack([random_matrix(seed) for seed in range(5)])
    np.testing.assert_allclose(
        factor_loadings(rho), np.stack([factor_loadings(each[None])[0] for each in rho]), atol=1e-7
    )


def test_two_factors_leave_residuals():
    rho = np.kron(np.eye(2), np.full((3, 3), 0.8)) + 0.2 * np.eye(6)
    rho[:3, 3:] = rho[3:, :3] = 0.2
    found = one_factor(rho)
    assert found.residual > 0.1
    assert found.common_share < 0.8


def test_a_loading_stops_at_its_bound():
    found = one_factor(np.array([[1, 0.9, 0.9], [0.9, 1, 0.5], [0.9, 0.5, 1]]))
    assert found.heywood  # .9 * .9 / .5 > 1
    assert found.loadings[0] == 1 and found.uniquenesses[0] == 0


def test_copies_have_a_factor_although_the_matrix_is_singular():
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    rho = np.corrcoef([a, a, a + b, a + b])
    assert abs(np.linalg.det(rho)) < 1e-12
    np.testing.assert_allclose(one_factor(rho).loadings, slow.minimum_residuals(rho)[0], atol=1e-4)


def test_congruence_is_a_cosine():
    assert congruence(np.array([1.0, 2]), np.array([2.0, 4])) == pytest.approx(1)
    assert congruence(np.array([1.0, 1]), np.array([1.0, -1])) == pytest.approx(0)
    assert congruence(np.array([1.0, 0]), np.array([1.0, 1])) == pytest.approx(np.sqrt(0.5))


# --- known worlds


def planted(runs, noise):
    """Population Spearman matrix of averaged scores of the world."""
    rho = one_factor_matrix(np.array(list(LOADINGS.values()))) / (1 + noise**2 / runs)
    np.fill_diagonal(rho, 1.0)
    return 6 / np.pi * np.arcsin(rho / 2)


def coverage(draws, examples, runs, noise):
    rho = planted(runs, noise)
    shares, loadings = principal_components(rho)
    factor = one_factor(rho)
    hits = []
    for seed in range(draws):
        world = DifficultyWorld(examples=examples, runs={"mlp": runs}, loadings=LOADINGS, noise=noise)
        found = components(world.draw(seed), "mlp")
        hits.append([
            np.mean((each.low <= truth) & (truth <= each.high)) for each, truth in (
                (found.first_share, shares[0]), (found.first_loadings, loadings[:, 0]),
                (found.factor_share, factor.share), (found.factor_loadings, factor.loadings),
            )
        ])  # fmt: skip
    return dict(zip(("share", "loadings", "factor share", "factor loadings"), np.mean(hits, axis=0)))


def test_loadings_are_recovered():
    world = DifficultyWorld(examples=20_000, runs={"mlp": 4}, loadings=LOADINGS, noise=0.5)
    found, rho = components(world.draw(0), "mlp"), planted(4, 0.5)
    np.testing.assert_allclose(found.explained[0], principal_components(rho)[0][0], atol=0.01)
    np.testing.assert_allclose(found.loadings[:, 0], principal_components(rho)[1][:, 0], atol=0.01)
    # a rank is nearly a linear map of a normal score, so the planted loadings come out times the noise of runs
    expected = np.array(list(LOADINGS.values())) / np.sqrt(1 + 0.25 / 4)
    np.testing.assert_allclose(found.factor.loadings, expected, atol=0.02)
    assert found.factor.common_share > 0.97
    assert found.beyond_chance == 1


def test_intervals_cover_the_planted_shares_and_loadings():
    found = coverage(200, examples=250, runs=4, noise=0.5)
    assert min(found.values()) >= 0.92, found


@pytest.mark.slow
@pytest.mark.parametrize(("examples", "runs", "noise"), [(250, 1, 0.5), (250, 3, 1.0), (1500, 8, 0.5)])
def test_intervals_cover_in_many_worlds(examples, runs, noise):
    found = coverage(200, examples, runs, noise)
    assert min(found.values()) >= 0.92, found


# --- copies


def test_copies_are_found_in_every_run_or_not_at_all():
    rng = np.random.default_rng(0)
    loss = rng.exponential(size=(3, 200))
    other = rng.normal(size=(3, 200)) + loss
    nearly = loss.copy()
    nearly[2, 0] += 5
    rounded = np.exp(-loss)
    rounded[:, :2] = np.sort(rounded, axis=1)[:, :1]  # two ties more than the loss has
    values = {"other": other, "loss": loss, "confidence": np.exp(-loss), "nearly": nearly, "cube": loss**3}
    scores = RunScores.of_arrays(
        {name: {"mlp": v, "cnn": v[:2]} for name, v in values.items()}, {"confidence": "easy"}
    )
    assert copies(scores) == {"other": [], "loss": ["confidence", "cube"], "nearly": []}


def test_copies_inflate_the_first_share_and_are_counted_once():
    rng = np.random.default_rng(1)
    a, b, c = rng.normal(size=(3, 1, 400))
    values = {"a": a, "b": b + 0.5 * a, "c": c + 0.5 * a}
    plain = RunScores.of_arrays({name: {"mlp": v} for name, v in values.items()})
    values |= {"a2": np.exp(a), "a3": a**3}
    scores = RunScores.of_arrays({name: {"mlp": v} for name, v in values.items()})
    made = section(scores, Request())
    found = made.document["architectures"]["mlp"]
    once = found["copies_once"]["first_share"]["value"]
    assert once == pytest.approx(components(plain, "mlp").explained[0])
    assert found["explained"][0] > once + 0.1
    assert made.document["copies"] == {"a": ["a2", "a3"]}
    assert "no copies" in made.sentences[0]


# --- the section, edges


def test_section_compares_architectures_and_is_plain():
    world = DifficultyWorld(
        examples=200, runs={"mlp": 3, "cnn": 2, "vit": 1}, loadings=LOADINGS, interaction=0.3
    )
    made = section(world.draw(0), Request())
    json.dumps(made.document, allow_nan=False)
    assert [(row["a"], row["b"]) for row in made.document["congruence"]] == [
        ("mlp", "cnn"), ("mlp", "vit"), ("cnn", "vit"),
    ]  # fmt: skip
    assert all(row["first"] > 0.97 and row["factor"] > 0.97 for row in made.document["congruence"])
    assert any("fewer than 3 runs" in sentence for sentence in made.sentences)
    firsts = [100 * each["explained"][0] for each in made.document["architectures"].values()]
    said = f"One component explains {min(firsts):.0f} % to {max(firsts):.0f} % of the variance of 5 ranked scores"
    assert made.sentences[0].startswith(said) and "over 1 to 3 runs (mlp, cnn, vit)" in made.sentences[0]
    assert sum("One factor explains" in sentence for sentence in made.sentences) == 1
    assert all(len(row) == len(each.header) for each in made.listings for row in each.rows)
    assert made.listings[0].rows[0][2][0] == made.document["architectures"]["mlp"]["explained"][0]
    assert [row[0] for row in made.listings[1].rows] == list(LOADINGS)
    for draw in made.figures.values():
        draw().canvas.draw()
    assert section(world.draw(0), Request()).document == made.document


def test_what_cannot_be_asked_is_said():
    rng = np.random.default_rng(0)
    one = RunScores.of_arrays({"a": {"mlp": rng.normal(size=(2, 20))}})
    assert "one score" in section(one, Request()).sentences[0]
    flat = RunScores.of_arrays({"a": {"mlp": np.ones((2, 20))}, "b": {"mlp": rng.normal(size=(2, 20))}})
    made = section(flat, Request())
    assert "nothing to take components of" in made.sentences[0] and not made.figures
    values = {name: {"mlp": rng.normal(size=(2, 20))} for name in "abc"} | {"d": {"mlp": np.ones((2, 20))}}
    made = section(RunScores.of_arrays(values), Request())
    assert list(made.document["architectures"]["mlp"]["constant"]) == ["d"]
    assert any("left out there: d" in sentence for sentence in made.sentences)


def test_two_scores_have_components_and_no_factor():
    rng = np.random.default_rng(0)
    values = {name: {"mlp": rng.normal(size=(3, 50))} for name in "ab"}
    found = components(RunScores.of_arrays(values), "mlp")
    assert found.factor is None and found.factor_share is None
    assert found.explained[0] == pytest.approx((1 + abs(found.rho[0, 1])) / 2)


def test_three_examples_infinite_values_and_a_score_against_the_others():
    values = {"a": np.array([[0.0, 1, np.inf]]), "b": np.array([[1.0, 2, 3]]), "c": np.array([[3.0, 2, 1]])}
    found = components(RunScores.of_arrays({k: {"mlp": v} for k, v in values.items()}), "mlp")
    assert found.explained[0] == pytest.approx(1)
    np.testing.assert_allclose(found.loadings[:, 0], [1, 1, -1])
    made = section(RunScores.of_arrays({k: {"mlp": v} for k, v in values.items()}), Request())
    assert any("c orders examples against" in sentence for sentence in made.sentences)


# --- real runs


@pytest.mark.slow
def test_difficulty_of_digits_is_mostly_one_thing(tmp_path):
    from scoring.compare.agreement.cell_agreement import cell_agreement
    from scoring.examples import Examples
    from scoring.run import score
    from training.run import train

    digits = Examples.load("digits")
    train(digits, "mlp", out=tmp_path / "runs", seeds=range(5), epochs=30, record=True, clean_every="1 epoch")
    names = (
        "loss@mean,confidence@mean,el2n@mean,el2n@early,margin@mean,entropy@mean,loss@last,el2n@last,aum,"
        "accuracy_over_time,forgetting,first_learned"
    )
    scores = RunScores.of_tables({"mlp": score(digits, names, tmp_path / "runs", per_run=True)})
    found = components(scores, "mlp")
    assert found.first_share.low > 0.6, found.explained
    assert (found.loadings[:, 0] > 0.3).all()
    once = components(scores, "mlp", list(copies(scores)))
    assert once.explained[0] > 0.6
    agreed = cell_agreement(scores, "mlp")
    upper = np.triu_indices(len(scores.scores), 1)
    assert np.mean(agreed.averaged.rho.values[upper]) > np.mean(agreed.between.between.values[upper])
    own = dict(zip(scores.scores, np.diagonal(agreed.between.between.values)))
    counts = {"accuracy_over_time", "forgetting", "first_learned"}
    assert (
        max(own[name] for name in counts) < 0.6 < 0.85 < min(own[name] for name in own if name not in counts)
    )
