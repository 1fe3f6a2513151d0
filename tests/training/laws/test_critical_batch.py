"""Critical batch sizes: Zhang et al.'s printed steps, McCandlish's curve, intervals, edges."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from scoring.errors import InputError
from training.laws.critical_batch import critical_batch, critical_batch_growth

SIZES = 2.0 ** np.arange(6, 15)
STEPS = {
    85: [46000, 23000, 13282, 7000, 3840, 2528, 1917, 1600, 1600],
    151: [96000, 49000, 24000, 12000, 7128, 4350, 2940, 2400, 2300],
    302: [196000, 90000, 46000, 23400, 13300, 7224, 4980, 3400, 2879],
    604: [311000, 166000, 81000, 37440, 21320, 11400, 7199, 4700, 3800],
    1200: [642000, 331000, 176000, 94000, 46500, 25000, 15360, 8900, 6500],
}
"""Steps to the target loss at batch sizes 64 to 16384, by millions of parameters, as the paper prints them."""
PUBLISHED = {85: 745, 151: 955, 302: 1394, 604: 1889, 1200: 2533}


@pytest.mark.parametrize("size", STEPS)
def test_published_critical_batch_sizes(size):
    found = critical_batch(SIZES, STEPS[size])
    assert found.batch.value == pytest.approx(PUBLISHED[size], abs=0.5)
    assert found.batch.low < found.batch.value < found.batch.high
    assert not found.cautions


def test_published_growth_with_model_size():
    sizes = [critical_batch(SIZES, steps).batch.value for steps in STEPS.values()]
    law = critical_batch_growth(list(STEPS), sizes)
    assert law.exponent.value == pytest.approx(0.468, abs=0.001)
    assert law.coefficient == pytest.approx(93.2, abs=0.05)
    assert law.exponent.low < 0.468 < law.exponent.high


def test_the_fit_is_least_squares_of_logarithms():
    steps = np.array(STEPS[302], dtype=float)
    slow = least_squares(
        lambda t: np.log(np.exp(t[0]) + np.exp(t[1]) / SIZES) - np.log(steps),
        [7.0, 16.0],
        ftol=1e-15,
        xtol=1e-15,
    )
    found = critical_batch(SIZES, steps)
    np.testing.assert_allclose([found.steps_min, found.examples_min], np.exp(slow.x), rtol=1e-6)


def test_definitions_of_both_papers():
    """Zhang: steps exceed linear scaling by the overhead; McCandlish: (S/S_min - 1)(E/E_min - 1) = 1."""
    found = critical_batch(SIZES, STEPS[604], optimal=512, overhead=0.3)
    at = found.batch.value
    assert found.steps(at) == pytest.approx(1.3 * found.steps(512) * 512 / at)
    for size in (100.0, 1000.0, found.balanced.value):
        S = found.steps(size)
        assert (S / found.steps_min - 1) * (size * S / found.examples_min - 1) == pytest.approx(1)
    assert found.steps(found.balanced.value) == pytest.approx(2 * found.steps_min)


@pytest.mark.slow
def test_intervals_cover():
    rng, hit = np.random.default_rng(0), {"batch": 0, "balanced": 0}
    for _ in range(60):
        steps = (2000 + 1.1e7 / SIZES) * np.exp(0.03 * rng.normal(size=9))
        found = critical_batch(SIZES, steps)
        hit["batch"] += 1.2 * 256 + 0.2 * 1.1e7 / 2000 in found.batch
        hit["balanced"] += 1.1e7 / 2000 in found.balanced
    assert min(hit.values()) >= 54 and max(hit.values()) < 60


def test_steps_that_keep_falling_have_no_critical_batch():
    found = critical_batch(SIZES, 1e7 / SIZES)
    assert found.batch.value > SIZES.max() and "extrapolation" in {c.code for c in found.cautions}
    faster = critical_batch(SIZES, 1e7 / SIZES**1.1)
    assert faster.steps_min == 0 and faster.batch.value == np.inf and np.isnan(faster.batch.low)
    assert {"at_bound", "extrapolation"} <= {c.code for c in faster.cautions}


def test_steps_that_do_not_fall_are_no_certain_critical_batch():
    found = critical_batch(SIZES, 1000 * (SIZES / SIZES[0]) ** 0.1)
    assert found.batch.value == pytest.approx(1.2 * 256) and found.balanced.value < 1e-3
    for interval in (found.batch, found.balanced):
        assert np.isnan(interval.low) and np.isnan(interval.high)
    assert "at_bound" in {c.code for c in found.cautions}


def test_order_units_and_duplicates():
    steps = np.array(STEPS[151], dtype=float)
    found, turned = critical_batch(SIZES, steps), critical_batch(SIZES[::-1], steps[::-1])
    assert found.batch == turned.batch
    tokens = critical_batch(SIZES * 512, steps, optimal=256 * 512)
    assert tokens.batch.value == pytest.approx(512 * found.batch.value)
    twice = critical_batch(np.tile(SIZES, 2), np.tile(steps, 2))
    assert twice.batch.value == pytest.approx(found.batch.value)


@pytest.mark.parametrize(
    ("sizes", "steps", "options", "said"),
    [
        ([64, 128], [10, 5], {}, "at least 3"),
        ([64, 64, 128], [10, 10, 5], {}, "3 different batch sizes"),
        ([64, 128, 256], [10, np.nan, 5], {}, "not finite"),
        ([64, 128, 256], [10, 0, 5], {}, "above 0"),
        ([0, 128, 256], [10, 7, 5], {}, "above 0"),
        ([64, 128, 256], [10, 7, 5], {"overhead": 0.0}, "overhead"),
        ([64, 128, 256], [10, 7, 5], {"optimal": np.inf}, "optimal"),
        ([64, 128, 256], [10, 7, 5], {"level": 1.0}, "level"),
    ],
)
def test_what_is_no_curve_is_refused(sizes, steps, options, said):
    with pytest.raises(InputError, match=said):
        critical_batch(sizes, steps, **options)
