"""The synthetic world has the moments it claims, so that what other tests call the truth is the truth.

Sample moments of N examples are held to their expectation within five standard errors, from the normal theory of sample
covariances; the standard errors are written out, and a mutated world (one option off by a tenth) fails.
"""

from dataclasses import replace

import numpy as np
import pytest
from references.difficulty_world import DifficultyWorld
from references.variance_slow import truth
from scipy import stats

N = 200_000
WORLD = DifficultyWorld(
    examples=N,
    runs={"mlp": 2, "cnn": 2},
    loadings={"loss": 0.9, "entropy": 0.6, "margin": -0.5},
    interaction=0.4,
    noise={"mlp": 0.5, "cnn": 0.8},
)


def claimed(
    world: DifficultyWorld, score: str, other: str, architecture: str, other_architecture: str, same_run: bool
):
    """Covariance of two cells over examples, by the docstring of the world."""
    if score != other:
        return world.loadings[score] * world.loadings[other]
    if architecture != other_architecture:
        return 1.0
    return 1.0 + world.interaction**2 + (world.noise_variance(architecture) if same_run else 0.0)


def all_cells(world: DifficultyWorld, seed: int = 0):
    drawn = world.draw(seed)
    return {
        (score, name, run): drawn.values(score, name)[run]
        for score in world.loadings
        for name, runs in world.runs.items()
        for run in range(runs)
    }


def deviations(world: DifficultyWorld, drawn: DifficultyWorld) -> dict:
    """(Sample covariance - claim) in standard errors, for all pairs of cells."""
    cells = all_cells(drawn)
    keys = list(cells)
    sample = np.cov(np.stack(list(cells.values())))
    variances = {key: claimed(world, key[0], key[0], key[1], key[1], True) for key in keys}
    found = {}
    for i, a in enumerate(keys):
        for j, b in enumerate(keys[: i + 1]):
            want = claimed(world, a[0], b[0], a[1], b[1], a[2] == b[2])
            error = np.sqrt((variances[a] * variances[b] + want**2) / N)
            found[a, b] = (sample[i, j] - want) / error
    return found


def test_covariances_of_all_cells_are_as_claimed():
    found = np.array(list(deviations(WORLD, WORLD).values()))
    assert len(found) == 78
    assert np.abs(found).max() < 5
    assert 0.5 < np.sqrt((found**2).mean()) < 2


@pytest.mark.parametrize(
    "change",
    [
        {"loadings": {"loss": 0.9, "entropy": 0.66, "margin": -0.5}},
        {"interaction": 0.44},
        {"noise": {"mlp": 0.5, "cnn": 0.72}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_world_that_is_off_by_a_tenth_would_be_noticed(change):
    found = np.array(list(deviations(WORLD, replace(WORLD, **change)).values()))
    assert np.abs(found).max() > 5


def test_cells_are_normal_with_mean_zero():
    for key, cell in all_cells(WORLD).items():
        scaled = cell / np.sqrt(claimed(WORLD, key[0], key[0], key[1], key[1], True))
        assert abs(scaled.mean()) < 5 / np.sqrt(N)
        assert stats.kstest(scaled, "norm").statistic < 1.95 / np.sqrt(N)  # level .001


def test_two_scores_correlate_as_their_loadings_in_the_limit_of_many_runs():
    """Means over runs and architectures tend to base values, whose correlation is l_s * l_t."""
    world = replace(WORLD, examples=20_000, runs={f"net{i}": 2 for i in range(40)}, noise=0.5)
    drawn = world.draw(1)
    means = {s: np.mean([drawn.mean(s, a) for a in drawn.architectures], axis=0) for s in drawn.scores}
    left = 1 + world.interaction**2 / 40 + world.noise**2 / 80
    for s, t in (("loss", "entropy"), ("loss", "margin"), ("entropy", "margin")):
        want = world.loadings[s] * world.loadings[t] / left
        found = float(np.corrcoef(means[s], means[t])[0, 1])
        assert abs(found - want) < 5 * (1 - want**2) / np.sqrt(world.examples)
        assert abs(found * left - world.loadings[s] * world.loadings[t]) < 0.03


def test_spearman_is_six_over_pi_arcsin_of_half_the_correlation():
    """Of normal variables (Pearson 1907; Kruskal 1958), so rank truths follow from the raw ones."""
    cells = all_cells(WORLD, seed=2)
    keys = list(cells)
    ranks = np.corrcoef(np.stack([stats.rankdata(cell) for cell in cells.values()]))
    checked = set()
    for i, a in enumerate(keys):
        for j, b in enumerate(keys[:i]):
            spread = np.sqrt(
                claimed(WORLD, a[0], a[0], a[1], a[1], True) * claimed(WORLD, b[0], b[0], b[1], b[1], True)
            )
            rho = claimed(WORLD, a[0], b[0], a[1], b[1], False) / spread
            want = 6 / np.pi * np.arcsin(rho / 2)
            assert abs(ranks[i, j] - want) < 5 / np.sqrt(N)
            checked.add(round(rho, 6))
    assert len(checked) >= 10
    # It is not Pearson's: at the largest correlation here the two differ by far more than chance.
    largest = max(checked)
    assert abs(6 / np.pi * np.arcsin(largest / 2) - largest) > 5 / np.sqrt(N)


def test_rank_truths_of_the_variance_reference_are_those_of_large_samples():
    world = replace(WORLD, loadings={"x": 1.0})
    drawn, want = world.draw(3), truth(world, ranked=True)
    ranks = {name: drawn.ranks("x", name) for name in world.runs}
    within = [float(np.cov(ranks[name])[0, 1]) for name in world.runs]
    between = np.mean([np.cov(a, b)[0, 1] for a in ranks["mlp"] for b in ranks["cnn"]])
    shared = (sum(within) + 2 * between) / 4
    found = np.array([shared, *within, *(1 / 12 - each for each in within)])
    np.testing.assert_allclose(found, want, atol=5 * 0.083 / np.sqrt(N))


def test_groups_and_main_effects_are_as_claimed():
    """Over many runs: between runs of the mean over examples; within runs over examples; groups move as one."""
    world = DifficultyWorld(
        examples=400, runs={"a": 4000, "b": 2}, loadings={"x": 1.0}, noise=0.5, group_noise=0.6, groups=8,
        run_shift=0.3, architecture_shift={"a": 2.0},
    )  # fmt: skip
    values = world.draw(0).values("x", "a")
    deviations_RN = values - values.mean(axis=0)
    run_means = deviations_RN.mean(axis=1)
    by_chance = 0.5**2 / 400
    between, within = run_means.var(ddof=1) - by_chance, deviations_RN.var(axis=1, ddof=1).mean()
    assert world.run_variance() == pytest.approx(0.3**2 + 0.6**2 / 8)
    assert between == pytest.approx(world.run_variance(), rel=5 * np.sqrt(2 / 4000))
    assert world.noise_variance("a") == pytest.approx(0.5**2 + 0.6**2 * 7 / 8)
    # The sample variance over 400 examples of 8 equal groups divides the groups' squares by 399, not 400.
    assert within == pytest.approx(0.5**2 + 0.6**2 * 7 / 8 * 400 / 399, rel=0.02)
    same = np.mean(deviations_RN[:, 0] * deviations_RN[:, 8])
    apart = np.mean(deviations_RN[:, 0] * deviations_RN[:, 1])
    assert same == pytest.approx(0.6**2 + 0.3**2, abs=0.06)
    assert apart == pytest.approx(0.3**2, abs=0.06)
    means = {name: world.draw(0).values("x", name).mean() for name in world.runs}
    assert means["a"] - means["b"] == pytest.approx(2.0, abs=5 * np.sqrt(world.run_variance() / 2))


def test_the_first_examples_are_shifted_in_the_first_architecture_alone():
    plain = DifficultyWorld(runs={"a": 3, "b": 2}, interaction=0.2)
    moved = replace(plain, sensitive=7, shift=2.5)
    for score in plain.loadings:
        for name in plain.runs:
            away = moved.draw(5).values(score, name) - plain.draw(5).values(score, name)
            np.testing.assert_allclose(away[:, :7], 2.5 if name == "a" else 0.0, atol=1e-12)
            np.testing.assert_allclose(away[:, 7:], 0.0, atol=1e-12)


def test_further_options_leave_the_plain_draw_as_it_is():
    plain = DifficultyWorld()
    groups = replace(plain, group_noise=0.5, groups=10)
    for name in plain.runs:
        away = groups.draw(1).values("entropy", name) - plain.draw(1).values("entropy", name)
        np.testing.assert_allclose(away[:, :10], away[:, 10:20], atol=1e-12)
        assert away.std() > 0.3


def test_seeds_decide():
    world = DifficultyWorld()
    assert np.array_equal(world.draw(1).values("loss", "cnn"), world.draw(1).values("loss", "cnn"))
    assert not np.array_equal(world.draw(1).values("loss", "cnn"), world.draw(2).values("loss", "cnn"))
