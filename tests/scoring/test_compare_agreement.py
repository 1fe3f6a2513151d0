"""Agreement within and between runs and architectures: against slow versions, SciPy, closed forms and known worlds."""

import json

import numpy as np
import pyarrow as pa
import pytest
from references import agreement_slow as slow
from references.difficulty_world import DifficultyWorld
from references.run_tables import run_table
from scipy import stats

from scoring.compare.agreement import rank_gram
from scoring.compare.agreement.attenuation import LEAST_RELIABILITY, disattenuated
from scoring.compare.agreement.beside import beside, externals
from scoring.compare.agreement.cell_agreement import across_agreement, cell_agreement
from scoring.compare.agreement.kendall import hashed_rows, tau_b
from scoring.compare.agreement.rank_gram import ColumnScratch, centred_ranks, correlations
from scoring.compare.intervals.crossed_error import blank, estimate, jackknife_variance
from scoring.compare.intervals.spearman_error import mean_influences, standard_ranks, variance_of_mean
from scoring.compare.kept_sets import jaccard, jaccard_by_chance, kept_count
from scoring.compare.request import Request
from scoring.compare.run_scores import RunScores
from scoring.compare.sections.agreement import section
from scoring.compare.sections.beside import section as beside_section
from scoring.table import ScoreTable


def of_normals(r):
    """Spearman's correlation of normal variables whose Pearson correlation is r."""
    return 6 / np.pi * np.arcsin(np.asarray(r) / 2)


def some_values(seed=0, scores=3, runs=4, n=60, levels=None):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=n)
    values = {
        f"s{i}": base * (1 - 0.2 * i) + rng.normal(size=n) * 0.3 * i + 0.6 * rng.normal(size=(runs, n))
        for i in range(scores)
    }
    return {name: np.round(v * levels) if levels else v for name, v in values.items()}


def as_scores(values, name="mlp", **more):
    return RunScores.of_arrays({score: {name: v} for score, v in values.items()}, **more)


# --- numbers against loops


@pytest.mark.parametrize("levels", [None, 1, 3])
@pytest.mark.parametrize("runs", [2, 4])
def test_matrices_are_those_of_loops_over_runs(levels, runs):
    values = some_values(3, runs=runs, levels=levels)
    found = cell_agreement(as_scores(values), "mlp", keep=0.25)
    np.testing.assert_allclose(found.within.values, slow.within(values), atol=1e-9)
    np.testing.assert_allclose(found.between.between.values, slow.between(values), atol=1e-9)
    np.testing.assert_allclose(
        found.between.corrected.values, slow.corrected(slow.between(values)), atol=1e-9
    )
    means = [v.mean(axis=0) for v in values.values()]
    expected = [[slow.spearman(a, b) for b in means] for a in means]
    np.testing.assert_allclose(found.averaged.rho.values, expected, atol=1e-9)
    assert found.averaged.kendall[0, 2] == pytest.approx(slow.kendall_tau_b(means[0], means[2]))
    kept = found.averaged.kept
    assert kept == 15
    assert found.averaged.jaccard[0, 1] == pytest.approx(slow.jaccard(means[0], means[1], kept), abs=1e-6)
    a, b = values["s0"], values["s1"]
    same = np.mean([sum(np.array(slow.chance_of_being_kept(a[r], kept)) * slow.chance_of_being_kept(b[r], kept))
                    for r in range(runs)])  # fmt: skip
    assert found.jaccard_within[0, 1] == pytest.approx(same / (2 * kept - same), abs=1e-6)
    assert (np.diagonal(found.jaccard_within) == 1).all()


def test_across_architectures_is_the_mean_over_pairs_of_runs():
    rng = np.random.default_rng(0)
    base = rng.normal(size=80)
    by = {"a": base + rng.normal(size=(3, 80)), "b": base + 0.5 * rng.normal(size=(2, 80))}
    scores = RunScores.of_arrays({"loss": by})
    found = across_agreement(scores, "loss")
    expected = slow.across(by["a"], by["b"])
    own = [slow.between({"x": runs})[0, 0] for runs in by.values()]
    assert found.single.between.values[0, 1] == pytest.approx(expected)
    np.testing.assert_allclose(np.diagonal(found.single.between.values), own)
    assert found.single.corrected.values[0, 1] == pytest.approx(expected / np.sqrt(own[0] * own[1]))
    means = [runs.mean(axis=0) for runs in by.values()]
    assert found.averaged.rho.values[0, 1] == pytest.approx(slow.spearman(*means))


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_tau_b_counts_pairs(levels):
    rng = np.random.default_rng(levels)
    a, b = rng.integers(0, levels, (2, 50)).astype(float)
    assert tau_b(a, b) == pytest.approx(slow.kendall_tau_b(a, b))
    assert np.isnan(tau_b(np.ones(5), np.arange(5)))
    assert tau_b([1, np.inf, 3], [1, 9, 4]) == 1


# --- the error of a correlation


@pytest.mark.parametrize("levels", [None, 1, 4])
def test_influence_is_the_derivative_towards_each_example(levels):
    values = some_values(1, scores=2, runs=1, n=40, levels=levels)
    x, y = (v[0] for v in values.values())
    z = standard_ranks(np.stack([x, y]))
    found = mean_influences(z, np.arange(2), np.zeros(2, int), True)
    np.testing.assert_allclose(found[0, 1], slow.influence(x, y), atol=1e-6)
    np.testing.assert_allclose(found[0, 0], 0, atol=1e-9)
    np.testing.assert_allclose(found.mean(axis=2), 0, atol=1e-9)


def test_influence_of_a_mean_over_runs_is_the_mean():
    values = some_values(2, scores=2, runs=3, n=30, levels=2)
    z = standard_ranks(np.concatenate(list(values.values())))
    found = mean_influences(z, np.repeat([0, 1], 3), np.tile(np.arange(3), 2), False)
    a, b = values.values()
    pairs = [slow.influence(a[i], b[j]) for i in range(3) for j in range(3) if i != j]
    np.testing.assert_allclose(found[0, 1], np.mean(pairs, axis=0), atol=1e-6)
    own = [slow.influence(a[i], a[j]) for i in range(3) for j in range(3) if i != j]
    np.testing.assert_allclose(found[0, 0], np.mean(own, axis=0), atol=1e-6)


def test_standard_error_is_that_of_repeated_draws():
    rng = np.random.default_rng(0)
    found, claimed = [], []
    for _ in range(400):
        x = rng.normal(size=200)
        y = 0.6 * x + 0.8 * rng.normal(size=200)
        z = standard_ranks(np.stack([x, np.round(y)]))
        found.append(slow.spearman(x, np.round(y)))
        claimed.append(variance_of_mean(mean_influences(z, np.arange(2), np.zeros(2, int), True), 200)[0, 1])
    assert np.sqrt(np.mean(claimed)) == pytest.approx(np.std(found), rel=0.1)


def test_jackknife_of_a_mean_is_its_standard_error():
    values = np.random.default_rng(0).normal(size=7)
    replicates = np.array([np.delete(values, i).mean() for i in range(7)])
    assert jackknife_variance(replicates) == pytest.approx(values.var(ddof=1) / 7)
    assert jackknife_variance(replicates[:2]) == 0


def test_intervals_add_both_variances_and_count_degrees_of_freedom():
    zero, part = np.array(0.5), np.array(0.01)
    alone = estimate(zero, part, 10_001, bounded=False)
    assert alone.high - 0.5 == pytest.approx(0.1 * stats.t.ppf(0.975, 10_000))
    runs = estimate(zero, np.array(0.0), 10_001, [(part, 4)], bounded=False)
    assert runs.high - 0.5 == pytest.approx(0.1 * stats.t.ppf(0.975, 3))
    both = estimate(zero, part, 10_001, [(part, 4)], bounded=False)
    freedom = 0.02**2 / (0.01**2 / 10_000 + 0.01**2 / 3)
    assert both.high - 0.5 == pytest.approx(np.sqrt(0.02) * stats.t.ppf(0.975, freedom))
    bounded = estimate(np.array(0.99), part, 100)
    assert -1 < bounded.low < 0.99 < bounded.high < 1
    assert estimate(np.array(1.0), np.array(0.0), 100).low == 1


# --- attenuation


def test_correction_divides_by_both_reliabilities_and_knows_its_limits():
    assert disattenuated(0.4, 0.64, 0.25) == pytest.approx(1.0)
    assert disattenuated(0.5, 0.5, 0.4) > 1
    assert np.isnan(disattenuated(0.1, LEAST_RELIABILITY / 2, 0.9))
    assert np.isnan(disattenuated(0.1, np.nan, 0.9))
    assert np.isnan(disattenuated(0.1, -0.3, -0.3))


def test_correction_is_exact_for_expected_ranks_even_of_counts_with_many_ties():
    rng = np.random.default_rng(0)
    hard = rng.normal(size=4000)
    chance = {"a": 1 / (1 + np.exp(2 - hard)), "b": 1 / (1 + np.exp(2.5 - hard - rng.normal(size=4000)))}
    counts = {name: rng.binomial(2, p, size=(200, 4000)).astype(float) for name, p in chance.items()}
    few = cell_agreement(as_scores({name: v[:4] for name, v in counts.items()}), "mlp").between
    expected = {n: np.mean([stats.rankdata(run) for run in v], axis=0) for n, v in counts.items()}
    limit = np.corrcoef(expected["a"], expected["b"])[0, 1]
    assert few.between.values[0, 1] < 0.5 < 0.6 < limit
    assert few.corrected.low[0, 1] < limit < few.corrected.high[0, 1]
    assert few.corrected.values[0, 1] == pytest.approx(limit, abs=0.05)


def test_scores_without_reliability_are_not_corrected_and_said_so():
    rng = np.random.default_rng(0)
    values = some_values(0, n=300) | {"noise": rng.normal(size=(4, 300))}
    found = cell_agreement(as_scores(values), "mlp")
    assert np.isnan(found.between.corrected.values[3]).all()
    assert not np.isnan(found.between.corrected.values[:3, :3]).any()
    said = " ".join(section(as_scores(values), Request()).sentences)
    assert "too little for a correction" in said and "noise" in said


def test_errors_in_common_between_runs_make_the_correction_impossible():
    rng = np.random.default_rng(0)
    n, runs = 3000, 6
    a, b = rng.normal(size=(2, runs, n))
    shared = rng.normal(size=n)
    own = {"a": a + shared, "b": b + shared}
    assert not cell_agreement(as_scores(own), "mlp").between.impossible.any()
    # b of a run has the errors of a in the run before
    copies = {"a": a + shared, "b": np.roll(a, 1, axis=0) + shared}
    found = cell_agreement(as_scores(copies), "mlp").between
    assert found.impossible[0, 1] and np.isnan(found.corrected.values[0, 1])
    assert "errors in common" in " ".join(section(as_scores(copies), Request()).sentences)


# --- known worlds


def truths(loadings, noise, interaction, runs):
    """Spearman between runs, corrected, averaged and across, of the limit of many examples."""
    common = np.outer(loadings, loadings)
    np.fill_diagonal(common, 1.0)
    total = 1 + interaction**2 + noise**2
    own = common + interaction**2 * np.eye(len(loadings))
    between, within = of_normals(own / total), of_normals(common / total)
    np.fill_diagonal(within, 1.0)
    averaged = of_normals(common / (1 + interaction**2 + noise**2 / runs))
    np.fill_diagonal(averaged, 1.0)
    single = of_normals(1 / total)
    return {
        "within": within, "between": between, "averaged": averaged, "single": single,
        "corrected": between / np.sqrt(np.outer(np.diagonal(between), np.diagonal(between))),
        "across_averaged": of_normals(1 / (1 + interaction**2 + noise**2 / runs)),
        "across_corrected": single / between[0, 0],
    }  # fmt: skip


def coverage(draws, examples, runs, noise, interaction=0.0, architectures=("a",)):
    loadings = {"x": 0.9, "y": 0.7, "z": 0.5}
    truth = truths(np.array(list(loadings.values())), noise, interaction, runs)
    world = DifficultyWorld(
        examples=examples, runs=dict.fromkeys(architectures, runs), loadings=loadings, noise=noise,
        interaction=interaction,
    )  # fmt: skip
    upper, hits = np.triu_indices(3, 1), {}

    def note(name, found, expected, place):
        hits.setdefault(name, []).append(np.mean(((found.low <= expected) & (expected <= found.high))[place]))

    for seed in range(draws):
        scores = world.draw(seed)
        found = cell_agreement(scores, "a")
        note("averaged", found.averaged.rho, truth["averaged"], upper)
        note("within", found.within, truth["within"], upper)
        note("between", found.between.between, truth["between"], upper)
        note("reliability", found.between.between, truth["between"], np.diag_indices(3))
        note("corrected", found.between.corrected, truth["corrected"], upper)
        if len(architectures) > 1:
            found = across_agreement(scores, "y")
            note("single", found.single.between, truth["single"], (0, 1))
            note("across averaged", found.averaged.rho, truth["across_averaged"], (0, 1))
            note("across corrected", found.single.corrected, truth["across_corrected"], (0, 1))
    return {name: float(np.mean(each)) for name, each in hits.items()}


def test_intervals_cover_the_planted_correlations():
    found = coverage(200, examples=250, runs=4, noise=0.5)
    assert min(found.values()) >= 0.93, found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("examples", "runs", "noise", "interaction", "architectures"),
    [
        (300, 2, 0.5, 0.0, ("a",)),
        (300, 3, 0.5, 0.0, ("a",)),
        (300, 8, 0.5, 0.0, ("a",)),
        (300, 5, 1.0, 0.0, ("a",)),
        (1500, 4, 1.5, 0.0, ("a",)),
        (300, 4, 0.7, 0.5, ("a", "b")),
    ],
)
def test_intervals_cover_in_many_worlds(examples, runs, noise, interaction, architectures):
    found = coverage(200, examples, runs, noise, interaction, architectures)
    assert min(found.values()) >= 0.93, found


def test_correction_recovers_the_correlation_without_noise():
    world = DifficultyWorld(examples=20_000, runs={"a": 5}, loadings={"x": 0.9, "y": 0.7}, noise=1.0)
    found = cell_agreement(world.draw(0), "a").between
    r = 2 * np.sin(np.pi * found.between.values / 6)
    assert disattenuated(r[0, 1], r[0, 0], r[1, 1]) == pytest.approx(0.63, abs=0.015)
    assert found.between.values[0, 1] < 0.35
    truth = truths(np.array([0.9, 0.7]), 1.0, 0.0, 5)["corrected"][0, 1]
    assert found.corrected.low[0, 1] < truth < found.corrected.high[0, 1]


def test_variance_over_runs_is_felt():
    """Runs that differ as wholes: the interval over examples alone would be far too narrow."""
    rng = np.random.default_rng(0)
    n = 4000
    base = rng.normal(size=n)
    spread = np.array([0.1, 0.3, 2.0, 4.0])[:, None]
    values = {"a": base + spread * rng.normal(size=(4, n)), "b": base + spread * rng.normal(size=(4, n))}
    found = cell_agreement(as_scores(values), "mlp")
    width = found.within.high[0, 1] - found.within.low[0, 1]
    own = [slow.spearman(a, b) for a, b in zip(values["a"], values["b"])]
    assert width > 2 * np.std(own, ddof=1) / 2


# --- streaming and order


def test_columns_on_disk_give_the_same(monkeypatch):
    values = np.round(np.random.default_rng(0).normal(size=(7, 1000)), 1)
    ranks = np.stack([centred_ranks(v) for v in values])
    groups = [np.arange(7), np.array([1, 4])]
    monkeypatch.setattr(rank_gram, "BLOCK_ROWS", 64)
    for limit in (0, 1 << 29):
        monkeypatch.setattr(rank_gram, "IN_MEMORY_BYTES", limit)
        with ColumnScratch(7, 1000) as scratch:
            assert (scratch._file is None) == (limit > 0)
            for i, column in enumerate(ranks):
                scratch[i] = column
            whole, part = scratch.grams(groups)
        np.testing.assert_array_equal(whole, ranks @ ranks.T)
        np.testing.assert_array_equal(part, whole[np.ix_(groups[1], groups[1])])
        if limit == 0:
            assert scratch._file.closed
    expected = stats.spearmanr(values, axis=1).statistic
    np.testing.assert_allclose(correlations(whole), expected, atol=1e-12)


def test_order_of_examples_changes_nothing(monkeypatch):
    monkeypatch.setattr("scoring.compare.agreement.cell_agreement.MOST_ROWS", 40)
    monkeypatch.setattr("scoring.compare.agreement.cell_agreement.KENDALL_ROWS", 30)
    values, order = some_values(5, n=90), np.random.default_rng(1).permutation(90)
    first = cell_agreement(as_scores(values, ids=np.arange(90)), "mlp")
    second = cell_agreement(as_scores({k: v[:, order] for k, v in values.items()}, ids=order), "mlp")
    assert first.averaged.kendall_rows == 30
    np.testing.assert_allclose(first.averaged.kendall, second.averaged.kendall)
    for a, b in ((first.within, second.within), (first.between.corrected, second.between.corrected),
                 (first.averaged.rho, second.averaged.rho)):  # fmt: skip
        np.testing.assert_allclose(a.low, b.low, atol=1e-9)
        np.testing.assert_allclose(a.values, b.values, atol=1e-9)


def test_hashed_rows_are_a_sample_that_grows():
    ids = np.arange(100)
    assert set(hashed_rows(ids, 10, 0)) < set(hashed_rows(ids, 20, 0))
    assert sorted(hashed_rows(ids, 500, 0)) == list(range(100))
    assert set(hashed_rows(ids, 10, 0)) != set(hashed_rows(ids, 10, 1))


# --- kept sets


def test_jaccard_and_its_value_by_chance():
    assert jaccard(30, 30) == 1
    assert jaccard(0, 30) == 0
    assert jaccard(10, 20) == pytest.approx(10 / 30)
    assert jaccard_by_chance(30, 100) == pytest.approx(9 / (60 - 9))
    assert [kept_count(0.3, n) for n in (3, 5, 1000)] == [1, 2, 300]
    rng = np.random.default_rng(0)
    values = {"a": rng.normal(size=(2, 3000)), "b": rng.normal(size=(2, 3000))}
    found = cell_agreement(as_scores(values), "mlp", keep=0.2)
    assert found.jaccard_between[0, 1] == pytest.approx(found.averaged.jaccard_chance, abs=0.02)


# --- edges


def test_constant_scores_have_no_agreement():
    values = some_values(0) | {"flat": np.zeros((4, 60))}
    values["once"] = values["s0"].copy()
    values["once"][2] = 5.0
    scores = as_scores(values)
    found = cell_agreement(scores, "mlp")
    for matrix in (found.within.values, found.between.between.values, found.between.corrected.values):
        assert np.isnan(matrix[3:]).all()
        assert not np.isnan(matrix[:3, :3]).any()
    assert np.isnan(found.averaged.rho.values[3]).all()
    assert found.averaged.rho.values[4, 0] > 0.8
    made = section(scores, Request())
    assert "flat" in " ".join(made.sentences)
    for draw in made.figures.values():
        draw()


def test_infinities_rank_as_numbers():
    values = some_values(0, scores=2)
    values["s0"][:, :3] = np.inf
    found = cell_agreement(as_scores(values), "mlp")
    np.testing.assert_allclose(found.within.values, slow.within(values), atol=1e-9)
    assert np.isfinite(found.averaged.rho.values).all()
    values["s0"][0, 0] = -np.inf
    assert np.isfinite(cell_agreement(as_scores(values), "mlp").averaged.rho.values).all()


def test_equal_runs_are_perfectly_reliable():
    run = np.random.default_rng(0).normal(size=(2, 50))
    found = cell_agreement(as_scores({"a": np.tile(run[0], (3, 1)), "b": np.tile(run[1], (3, 1))}), "mlp")
    np.testing.assert_allclose(np.diagonal(found.between.between.values), 1)
    rho = slow.spearman(*run)
    for each in (found.within, found.between.between, found.between.corrected, found.averaged.rho):
        assert each.values[0, 1] == pytest.approx(rho)
        assert each.low[0, 1] < rho < each.high[0, 1]


def test_three_examples_and_two_runs_are_enough_to_answer():
    values = {"a": np.array([[1.0, 2, 3], [1, 3, 2]]), "b": np.array([[1.0, 3, 2], [3, 2, 1]])}
    found = cell_agreement(as_scores(values), "mlp")
    np.testing.assert_allclose(found.within.values, slow.within(values))
    section(as_scores(values), Request())


def test_what_cannot_be_asked_is_said():
    one = as_scores({"a": np.random.default_rng(0).normal(size=(3, 20))})
    made = section(one, Request())
    assert not made.listings and not made.figures and "agreement needs two" in made.sentences[0]
    single = section(as_scores(some_values(runs=1)), Request())
    assert any("one run" in sentence for sentence in single.sentences)
    assert "Kendall" in single.sentences[0]
    assert single.document["architectures"]["mlp"]["averaged"]["value"][0][0] == 1
    assert "between" not in single.document["architectures"]["mlp"]


def test_section_is_complete_and_plain():
    world = DifficultyWorld(examples=200, runs={"a/b": 3, "a.b": 2, "c": 1}, interaction=0.4)
    made = section(world.draw(0), Request())
    json.dumps(made.document, allow_nan=False)
    assert len(made.figures) == 4
    assert all("/" not in stem for stem in made.figures)
    pairs, across = made.tables["agreement_pairs"], made.tables["agreement_architectures"]
    assert isinstance(pairs, pa.Table) and across.num_rows == 2 * 3
    assert across.column("corrected").null_count == 4  # pairs with c, which has one run
    assert any("fewer than 3 runs" in sentence for sentence in made.sentences)
    for draw in made.figures.values():
        draw().canvas.draw()
    again = section(world.draw(0), Request())
    assert made.document == again.document


def test_many_scores_and_architectures_are_one_sentence_and_a_dozen_rows():
    world = DifficultyWorld(
        examples=60, runs={"a": 3, "b": 4, "c": 3}, loadings={f"s{i}": 0.2 + 0.05 * i for i in range(13)}
    )
    made = section(world.draw(0), Request())
    cells = made.document["architectures"].values()
    means = [np.array(each["within"]["value"])[np.triu_indices(13, 1)].mean() for each in cells]
    wanted = f"Two scores agree at Spearman {min(means):.3f} to {max(means):.3f} on average in the same run"
    assert made.sentences[0].startswith(wanted) and made.sentences[0].endswith("(a, b, c).")
    assert "averaged over 3 to 4 runs" in made.sentences[0]
    scores, across = made.listings
    assert len(scores.rows) == len(across.rows) == 12
    assert all(len(row) == len(each.header) for each in made.listings for row in each.rows)
    assert "all pairs are in agreement_pairs.parquet" in scores.caption
    assert "all 39 are in agreement_architectures.parquet" in across.caption
    lowest: dict[str, float] = {}
    for row in made.tables["agreement_architectures"].to_pylist():
        lowest[row["score"]] = min(lowest.get(row["score"], 1), row["averaged"])
    assert [row[4][0] for row in across.rows] == sorted(lowest.values())[:12]


def test_blank_writes_no_nan():
    assert blank(np.array([[1.0, np.nan]])) == [[1.0, None]]
    assert blank(np.float64(np.nan)) is None
    assert blank(0.5) == 0.5


# --- beside columns from elsewhere


def beside_world(seed=0, n=300, runs=4):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=n)
    values = {"loss": factor + 0.7 * rng.normal(size=(runs, n)), "odd": rng.normal(size=(runs, n))}
    outside = 0.6 * factor + 0.8 * rng.normal(size=n)
    return values, outside, rng


def test_columns_are_joined_by_id_and_missing_values_counted():
    values, outside, rng = beside_world()
    ids = np.array([f"x{i}" for i in range(300)])
    order = rng.permutation(300)[:250]
    column = outside[order]
    column[:10] = np.nan
    table = ScoreTable.from_columns(
        [*ids[order], "elsewhere"], {"cscore": [*-column, 3.0], "length": [*column, 1.0]},
        {"cscore": "typical", "length": "quality"},
    )  # fmt: skip
    scores = as_scores(values, ids=ids)
    columns = externals(scores, table)
    assert [(c.name, len(c.rows), c.missing, c.unknown) for c in columns] == [
        ("cscore", 240, 60, 1), ("length", 240, 60, 1),
    ]  # fmt: skip
    rows, y = order[10:], outside[order[10:]]
    found = {(b.column, b.score): b for b in beside(scores, columns)}
    loss = values["loss"][:, rows]
    single = np.mean([slow.spearman(run, y) for run in loss])
    own = slow.between({"loss": loss})[0, 0]
    for name in ("cscore", "length"):  # both were given so that high is hard
        each = found[name, "loss"]
        assert each.single.values == pytest.approx(single)
        assert each.averaged.values == pytest.approx(slow.spearman(loss.mean(axis=0), y))
        assert each.reliability == pytest.approx(own)
        assert each.corrected.values == pytest.approx(single / np.sqrt(own))
    assert np.isnan(found["cscore", "odd"].corrected.values)
    made = beside_section(scores, Request(beside=table))
    json.dumps(made.document, allow_nan=False)
    assert "240 examples (60 of the compared ones" in made.sentences[0]
    assert "1 of its rows belong" in made.sentences[0]
    for draw in made.figures.values():
        draw().canvas.draw()


def test_intervals_beside_a_column_cover():
    hits = []
    total = np.sqrt(1 + 0.7**2)
    truth = of_normals(0.6 / total), of_normals(0.6 / np.sqrt(1 + 0.7**2 / 4))
    corrected = truth[0] / np.sqrt(of_normals(1 / total**2))
    for seed in range(200):
        values, outside, _ = beside_world(seed)
        scores = as_scores(values)
        table = ScoreTable.from_columns(scores.ids, {"y": outside}, "hard")
        found = beside(scores, externals(scores, table))[0]
        hits.append([each.low <= value <= each.high for each, value in
                     ((found.single, truth[0]), (found.averaged, truth[1]), (found.corrected, corrected))])  # fmt: skip
    assert np.mean(hits, axis=0).min() >= 0.93, np.mean(hits, axis=0)


def test_the_strongest_of_many_correlations_are_listed():
    values, outside, _ = beside_world(n=40)
    values |= {f"s{i}": values["loss"] + i * values["odd"] for i in range(1, 13)}
    scores = as_scores(values)
    made = beside_section(
        scores, Request(beside=ScoreTable.from_columns(scores.ids, {"y": outside[:40]}, "hard"))
    )
    rho = sorted(
        (abs(each["averaged"]["value"]) for each in made.document["columns"]["y"]["scores"]), reverse=True
    )
    assert len(rho) == 14 and "the 12 strongest; all 14 are in summary.json" in made.listings[0].caption
    assert [abs(float(row[3].split()[0])) for row in made.listings[0].rows] == pytest.approx(
        rho[:12], abs=1e-3
    )


def test_columns_that_say_nothing():
    values, outside, _ = beside_world(n=40)
    scores = as_scores(values)
    few = np.full(40, np.nan)
    few[:2] = 1
    table = ScoreTable.from_columns(scores.ids, {"flat": np.ones(40), "few": few, "y": outside[:40]}, "hard")
    made = beside_section(scores, Request(beside=table))
    assert "constant" in made.sentences[0] and "fewer than 3" in made.sentences[1]
    assert len(made.sentences) == 3
    for draw in made.figures.values():
        draw()
    strings = ScoreTable.from_columns([str(i) for i in range(40)], {"y": outside[:40]}, "hard")
    assert "only 0 examples" in beside_section(scores, Request(beside=strings)).sentences[0]
    none = beside_section(scores, Request())
    assert "no columns from elsewhere" in none.sentences[0]
    one = beside(as_scores({k: v[:1] for k, v in values.items()}), externals(scores, table))
    assert all(each.single is None and each.corrected is None for each in one)


def test_a_single_table_without_runs_has_plain_agreement():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 100))
    scores = RunScores.of_tables({"all": run_table({"a": a, "b": a + b})})
    found = section(scores, Request(keep=0.2))
    row = found.tables["agreement_pairs"].to_pylist()[0]
    assert row["averaged"] == pytest.approx(slow.spearman(a, a + b))
    assert row["kendall"] == pytest.approx(stats.kendalltau(a, a + b).statistic)
    top = [set(np.argsort(-v)[:20]) for v in (a, a + b)]
    assert row["jaccard_averaged"] == pytest.approx(len(top[0] & top[1]) / len(top[0] | top[1]))
    assert row["between"] is None
