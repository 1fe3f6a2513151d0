"""Log-projection from two pilot sizes: exact on lines, intervals that hold what they say."""

import numpy as np
import pytest

from scoring.errors import InputError
from training.laws.tasks.two_sizes import project, project_pilots


def test_it_is_exact_on_log_linear_results():
    for n0, n1 in ((1000, 1500), (10, 1e6)):
        n = np.array([500.0, n0, n1, 1e4, 1e9])
        line = 0.2 + 0.03 * np.log(n)
        np.testing.assert_allclose(
            project(0.2 + 0.03 * np.log(n0), 0.2 + 0.03 * np.log(n1), n0, n1, n), line, rtol=1e-13
        )
    np.testing.assert_allclose(project(0.4, 0.5, 1000, 1500, [1000, 1500]), [0.4, 0.5], rtol=1e-15)
    many = project([0.4, 0.1], [0.5, 0.3], 10, 100, 1000)
    np.testing.assert_allclose(many, [0.6, 0.5])


def test_the_interval_is_that_of_a_regression_line():
    """Two sizes, equal numbers of pilots of one spread: the line of ordinary least squares through all pilots."""
    from scipy.stats import t

    rng = np.random.default_rng(0)
    errors = rng.normal(size=6)
    errors -= errors.mean()
    first, second = 0.4 + 0.01 * errors, 0.5 - 0.01 * errors
    x, y = np.log(np.repeat([1000.0, 1500.0], 6)), np.concatenate([first, second])
    X = np.stack([np.ones(12), x], 1)
    beta, rest = np.linalg.lstsq(X, y, rcond=None)[:2]
    at = np.array([1.0, np.log(5000.0)])
    error = np.sqrt(rest[0] / 10 * at @ np.linalg.inv(X.T @ X) @ at)
    found = project_pilots(first, second, 1000, 1500, 5000, noise=False)
    assert found.value == pytest.approx(at @ beta)
    # Welch and Satterthwaite's degrees of freedom are those of the regression only where both sizes weigh alike
    half = (found.high - found.low) / 2
    assert t.ppf(0.975, 10) * error < half < t.ppf(0.975, 5) * error


@pytest.mark.parametrize("noise", [False, True])
def test_intervals_hold_95_percent(noise):
    rng = np.random.default_rng(0)
    truth = {n: 0.3 + 0.03 * np.log(n) for n in (1000, 3000, 20_000)}
    hits = 0
    for _ in range(2000):
        pilots = [truth[n] + spread * rng.normal(size=5) for n, spread in ((1000, 0.02), (3000, 0.01))]
        target = truth[20_000] + (0.01 * rng.normal() if noise else 0.0)
        hits += target in project_pilots(*pilots, 1000, 3000, 20_000, noise=noise)
    assert 0.935 <= hits / 2000 <= 0.975


def test_edges():
    single = project_pilots([0.4], [0.5, 0.51], 1000, 1500, 5000)
    assert single.low == -np.inf and single.high == np.inf and np.isfinite(single.value)
    equal = project_pilots([0.4, 0.4], [0.5, 0.5], 10, 100, 1000)
    assert equal.low == equal.value == equal.high == pytest.approx(0.6)
    assert project_pilots([0.4, 0.5], [0.8, 0.9], 10, 100, 10_000).value > 1
    for n0, n1, n in ((1500, 1000, 1e4), (1000, 1000, 1e4), (0, 10, 100), (-1, 10, 100), (np.nan, 10, 100)):
        with pytest.raises(InputError, match="n0 must be above 0 and below n1"):
            project(0.4, 0.5, n0, n1, n)
    with pytest.raises(InputError, match="n must be above 0"):
        project(0.4, 0.5, 10, 100, 0)
    for bad in ([], [np.nan, 0.4], [[0.4]]):
        with pytest.raises(InputError, match="at least one finite result"):
            project_pilots(bad, [0.5], 10, 100, 1000)
    with pytest.raises(InputError, match="level"):
        project_pilots([0.4, 0.5], [0.5, 0.6], 10, 100, 1000, level=95)
