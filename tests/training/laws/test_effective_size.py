"""Effective model size against closed forms, and what is said where there is none."""

import math

import numpy as np
import pytest
from scipy import stats

from scoring.errors import InputError
from training.laws.selections.effective_size import effective_size

SIZES = (1e4, 4e4, 1e6)


def law(size: float) -> float:
    """Linear in ln N, so that interpolating is exact."""
    return 5 - 0.2 * math.log(size)


@pytest.mark.parametrize("size", [1e4, 2.5e4, 4e4, 3.3e5, 1e6])
def test_a_law_that_is_linear_in_ln_N_is_inverted(size: float) -> None:
    full = {n: [law(n)] * 3 for n in SIZES}
    found = effective_size([law(size)] * 3, full)
    assert found.place == "inside" and found.size == pytest.approx(size, rel=1e-9)
    higher = effective_size([-law(size)], {n: [-law(n)] for n in SIZES}, lower_is_better=False)
    assert higher.size == pytest.approx(size, rel=1e-9)
    assert (higher.low, higher.high) == (0.0, math.inf)  # one seed says nothing of the noise


def test_noise_that_a_seed_gives_to_all_cancels_and_the_rest_makes_the_interval() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.normal(0, 0.1, 5), rng.normal(0, 0.01, 5)
    full = {n: (law(n) + shared).tolist() for n in SIZES}
    still = effective_size(law(1e5) + shared, full)
    assert still.low == pytest.approx(still.size, rel=1e-6) and still.high == pytest.approx(1e5, rel=1e-6)
    found = effective_size(law(1e5) + shared + own, full)
    ln_S = math.log(1e5) - own / 0.2
    low, high = stats.t.interval(0.95, 4, ln_S.mean(), stats.sem(ln_S))
    assert found.size == pytest.approx(math.exp(ln_S.mean()), rel=1e-6)
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-6)


def test_the_delta_method_covers_as_it_says() -> None:
    """Noise of the curve is in the interval: 95 % of intervals hold the size."""
    rng, inside = np.random.default_rng(1), 0
    for _ in range(400):
        full = {n: (law(n) + rng.normal(0, 0.01, 4)).tolist() for n in SIZES}
        found = effective_size(law(2e5) + rng.normal(0, 0.01, 4), full)
        inside += found.low <= 2e5 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_outside_of_the_sizes_nothing_is_extrapolated() -> None:
    full = {n: [law(n)] * 3 for n in SIZES}
    below, above = effective_size([9.0] * 3, full), effective_size([0.1] * 3, full)
    assert (below.place, below.size, above.place, above.size) == (
        "below the smallest", 0.0, "above the largest", math.inf,
    )  # fmt: skip
    assert math.isnan(below.low) and math.isnan(above.high)
    worse = effective_size([2.0], {1e4: [2.5], 1e5: [2.6], 1e6: [1.0]})
    assert worse.place == "not ordered" and math.isnan(worse.size)
    assert "models of 100,000 parameters" in str(worse.cautions[0])


def test_an_end_of_the_interval_that_leaves_the_sizes_is_open() -> None:
    full = {1e4: [3.0, 3.0], 1e5: [2.0, 2.0]}
    found = effective_size([2.02, 2.08], full)
    assert found.place == "inside" and found.high == math.inf and 0 < found.low < found.size


@pytest.mark.parametrize(
    "values, full",
    [([1.0], {1e4: [1.0]}), ([1.0, 2.0], {1e4: [1.0], 1e5: [2.0]}), ([np.nan], {1e4: [2.0], 1e5: [1.0]}), ([], {})],
)  # fmt: skip
def test_what_does_not_fit_is_refused(values: list[float], full: dict[float, list[float]]) -> None:
    with pytest.raises(InputError):
        effective_size(values, full)
