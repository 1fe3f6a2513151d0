"""Coverage and pass rates: unbiased, exact, and intervals over the problems that were sampled."""

import itertools
from math import comb

import numpy as np
import pytest
from scipy.stats import nbinom

from scoring.errors import InputError
from training.laws.catalog import form_named
from training.laws.fit import fit
from training.laws.tasks.coverage import fit_coverage, pass_at_k
from training.laws.tasks.pass_rates import fit_pass_rates, pass_rate
from training.laws.uncertainty.outcome_bootstrap import refit_outcomes

# pass@k


def test_pass_at_k_is_the_ratio_of_binomials():
    for n in (1, 2, 7, 40):
        c = np.arange(n + 1)
        ks = np.arange(1, n + 1)
        exact = [[1 - comb(n - right, k) / comb(n, k) for k in ks] for right in c]
        np.testing.assert_allclose(pass_at_k(n, c, ks), exact, rtol=1e-13, atol=1e-15)


def test_pass_at_k_is_the_share_of_subsets_with_a_right_one():
    right = [True, False, False, True, False]
    for k in range(1, 6):
        subsets = list(itertools.combinations(right, k))
        assert pass_at_k(5, [2], k)[0] == pytest.approx(np.mean([any(s) for s in subsets]), rel=1e-14)


def test_pass_at_k_keeps_its_digits_where_binomials_overflow():
    from fractions import Fraction

    for n, c, k in (
        (10_000, 1, 1),
        (10_000, 3, 17),
        (100_000, 1, 3),
        (10_000, 5_000, 20),
        (10_000, 2, 9_000),
    ):
        none = Fraction(1)
        for i in range(c):
            none *= 1 - Fraction(k, n - i)
        assert pass_at_k(n, [c], k)[0] == pytest.approx(float(1 - none), rel=1e-11)


def test_pass_at_k_is_unbiased():
    """Its mean over all outcomes of n attempts is 1 - (1 - p)^k, where the plain estimate is too low."""
    from scipy.stats import binom

    n, p, c = 12, 0.13, np.arange(13)
    weights = binom.pmf(c, n, p)
    for k in (1, 3, 12):
        assert weights @ pass_at_k(n, c, k) == pytest.approx(1 - (1 - p) ** k, rel=1e-12)
    assert weights @ (1 - (1 - c / n) ** 3) < 1 - (1 - p) ** 3


def test_pass_at_k_with_different_numbers_of_samples():
    found = pass_at_k([5, 10, 3], [1, 2, 3], [1, 4])
    np.testing.assert_allclose(found[:, 0], [0.2, 0.2, 1.0], rtol=1e-14)
    assert found[1, 1] == pytest.approx(1 - comb(8, 4) / comb(10, 4)) and np.isnan(found[2, 1])


@pytest.mark.parametrize(
    ("n", "c", "k", "said"),
    [
        (5, [6], 1, "more correct than samples"),
        (5, [-1], 1, "correct must be"),
        (5, [1.5], 1, "correct must be"),
        (5, [np.nan], 1, "correct must be"),
        (0, [0], 1, "samples must be"),
        (5, [1], 0, "k must be"),
        (5, [], 1, "correct must be"),
        (5, [[1]], 1, "one number per problem"),
    ],
)
def test_impossible_counts_are_refused(n, c, k, said):
    with pytest.raises(InputError, match=said):
        pass_at_k(n, c, k)


# Laws whose outcomes are resampled


@pytest.mark.parametrize("objective", ["square", "log_square", "huber"])
def test_outcomes_of_resamples_are_fitted_as_a_loop_would(objective):
    rng = np.random.default_rng(0)
    k = rng.permutation(np.geomspace(1, 1000, 12))
    y = np.exp(-2.0 * k**-0.4)
    weights = rng.uniform(0.5, 2, 12)
    found = fit(form_named("coverage"), {"k": k}, y, objective=objective, weights=weights)
    outcomes = y * np.exp(0.05 * rng.normal(size=(5, 12)))
    outcomes[4] = y
    drawn = refit_outcomes(found, outcomes[:, found.rows_N])
    for b in range(5):
        alone = fit(form_named("coverage"), {"k": k}, outcomes[b], objective=objective, weights=weights)
        assert drawn.samples["a"][b] == pytest.approx(alone.parameters["a"], rel=1e-5)
        assert drawn.samples["b"][b] == pytest.approx(alone.parameters["b"], rel=1e-5)
        assert drawn.objectives_B[b] == pytest.approx(alone.objective, rel=1e-6, abs=1e-14)
    same = refit_outcomes(found, np.tile(found.y_N, (3, 1)))
    np.testing.assert_allclose(same.samples["b"], 0.4, rtol=1e-6)


def test_outcomes_that_cannot_be_refitted_are_refused():
    k = np.geomspace(1, 100, 8)
    y = np.exp(-2.0 * k**-0.4)
    found = fit(form_named("coverage"), {"k": k}, y, objective="log_square")
    for bad, said in (
        (y, "8 outcomes"),
        (y[None] * np.nan, "finite"),
        (y[None] * 0, "above 0"),
        (y[None, :3], "8 out"),
    ):
        with pytest.raises(InputError, match=said):
            refit_outcomes(found, bad)


# The law of coverage


def problems_of(count, seed):
    """Problems with a heavy tail of hard ones, whose coverage is close to exp(-a k^-b)."""
    return np.random.default_rng(seed).beta(0.25, 6.0, count)


def test_the_law_of_coverage_extrapolates():
    p = problems_of(400, 0)
    correct = np.random.default_rng(1).binomial(200, p)
    law = fit_coverage(200, correct, resamples=200)
    assert law.k_K[0] == 1 and law.k_K[-1] == 200 and law.problems == 400
    np.testing.assert_allclose(law.coverage_K, pass_at_k(200, correct, law.k_K).mean(0), rtol=1e-12)
    assert ((law.low_K < law.coverage_K) & (law.coverage_K < law.high_K)).all()
    truth = (1 - (1 - p[:, None]) ** np.array([50, 1000])).mean(0)
    centre, low, high = law.predict([50, 1000])
    assert centre == pytest.approx(truth, abs=0.04)
    assert ((low > 0) & (low < centre) & (centre < high) & (high < 1)).all()
    assert law.interval("b").low < law.bootstrap.fitted.parameters["b"] < law.interval("b").high
    assert not law.cautions


def test_the_order_of_problems_changes_nothing():
    correct = np.random.default_rng(1).binomial(50, problems_of(60, 3))
    first = fit_coverage(50, correct, resamples=20)
    second = fit_coverage(50, np.random.default_rng(2).permutation(correct), resamples=20)
    np.testing.assert_array_equal(first.bootstrap.theta_BP, second.bootstrap.theta_BP)


def test_few_problems_and_perfect_ones_are_cautioned():
    few = fit_coverage(20, [1, 5, 9, 20], resamples=50)
    assert "few_runs" in {caution.code for caution in few.cautions}
    perfect = fit_coverage(20, np.full(30, 20), resamples=20)
    assert "at_bound" in {caution.code for caution in perfect.cautions}
    assert perfect.predict(100)[0] == pytest.approx(1.0)
    with pytest.raises(InputError, match="no attempt"):
        fit_coverage(20, np.zeros(10))
    with pytest.raises(InputError, match="at most the 20 samples"):
        fit_coverage([20, 30], [3, 4], [1, 25])
    with pytest.raises(InputError, match="at least 3 k, 2 problems"):
        fit_coverage(20, [3])


@pytest.mark.slow
def test_intervals_of_coverage_hold_the_law_of_all_problems():
    """What 20,000 problems would give lies in the 95 % interval from 150 of them in at least 90 % of 60 draws."""
    k = np.unique(np.round(np.geomspace(1, 100, 24)))
    truth = fit_coverage(100_000, np.round(1e5 * problems_of(20_000, 0)), k, resamples=1)
    parameters = truth.bootstrap.fitted.parameters
    at_1000 = float(truth.predict(1000)[0])
    hits = {"a": 0, "b": 0, "predicted": 0}
    for seed in range(60):
        correct = np.random.default_rng([seed, 1]).binomial(100, problems_of(150, 100 + seed))
        law = fit_coverage(100, correct, k, resamples=300)
        for name in ("a", "b"):
            hits[name] += parameters[name] in law.interval(name)
        _, low, high = law.predict(1000)
        hits["predicted"] += bool(low <= at_1000 <= high)
    assert min(hits.values()) >= 54, hits


# PassUntil


def test_the_interval_of_a_pass_rate_is_exact():
    """Over all waiting times of the r-th pass the 95 % interval misses p with at most 2.5 % on each side."""
    for r, p in ((1, 0.02), (3, 0.2), (10, 0.5)):
        waits = np.arange(r, 4_000)
        chance = nbinom.pmf(waits - r, r, p)
        assert chance.sum() == pytest.approx(1, abs=1e-9)
        intervals = [pass_rate(r, int(w)) if c > 1e-12 else None for w, c in zip(waits, chance)]
        below = sum(c for c, i in zip(chance, intervals) if i and i.high < p)
        above = sum(c for c, i in zip(chance, intervals) if i and i.low > p)
        assert below <= 0.025 + 1e-9 and above <= 0.025 + 1e-9
        assert below + above > 0.01
    assert pass_rate(3, 12).value == 0.25 and pass_rate(4, 4).high == 1.0
    for bad in ((0, 5), (6, 5)):
        with pytest.raises(InputError, match="passes must be"):
            pass_rate(*bad)


def waiting(N, c, alpha, problems, passes, seed):
    """Samples until so many passes; problems of one model have rates with the mean of the law."""
    rng = np.random.default_rng(seed)
    tail = np.random.default_rng([seed, 2]).gamma(2.0, 0.5, problems)
    rates = np.clip(np.exp(-c * N**-alpha)[:, None] * tail, 0, 1)
    return passes + rng.negative_binomial(passes, np.maximum(rates, 1e-12))


def test_the_law_of_pass_rates():
    N = np.geomspace(1e7, 1e9, 8)
    samples = waiting(N, 4000.0, 0.37, 150, 5, 0)
    passes = np.full_like(samples, 5)
    law = fit_pass_rates(N, passes, samples, unbiased=True, resamples=200)
    np.testing.assert_allclose(law.rate_M, (4 / (samples - 1)).mean(1), rtol=1e-12)
    assert 0.37 in law.interval("alpha") and 4000 in law.interval("c")
    centre, low, high = law.predict(2.4e9)
    assert low < centre < high < 1 and low < np.exp(-4000.0 * 2.4e9**-0.37) < high
    plain = fit_pass_rates(N, passes, samples, resamples=20)
    np.testing.assert_allclose(plain.rate_M, (5 / samples).mean(1), rtol=1e-12)
    assert (plain.rate_M > 1.05 * law.rate_M).all()
    with pytest.raises(InputError, match="at least 2 passes"):
        fit_pass_rates(N, passes - 4, samples, unbiased=True)
    order = np.random.default_rng(0).permutation(8)
    moved = fit_pass_rates(N[order], passes, samples[order][:, ::-1], unbiased=True, resamples=200)
    np.testing.assert_array_equal(moved.bootstrap.theta_BP, law.bootstrap.theta_BP)


def test_models_that_never_pass_are_refused():
    N, K = np.geomspace(1e7, 1e9, 6), np.full((6, 10), 100)
    r = np.full((6, 10), 3)
    r[0] = 0
    with pytest.raises(InputError, match="never passed"):
        fit_pass_rates(N, r, K)
    r[0, 0] = 1
    with pytest.raises(InputError, match="leave a model without any pass"):
        fit_pass_rates(N, r, K)
    with pytest.raises(InputError, match="P of at least 2"):
        fit_pass_rates(N, r[:, :1], K[:, :1])
    with pytest.raises(InputError, match="from 0 to samples"):
        fit_pass_rates(N, K + 1, K)


def test_two_models_have_intervals_over_problems():
    rng = np.random.default_rng(0)
    samples = np.full((2, 50), 100)
    law = fit_pass_rates(
        [1e8, 1e9], rng.binomial(samples, rng.beta(1, [[3], [1]], (2, 50))), samples, resamples=100
    )
    found = law.interval("alpha")
    assert -np.inf < found.low < found.value < found.high < np.inf
    rate, low, high = law.predict(1e10)
    assert 0 < low < rate < high <= 1
