import numpy as np
import pytest

from scoring.errors import InputError
from tests.references.theory_slow import kept_fields
from training.theory.perceptron import perceptron_errors
from training.theory.perceptron_limit import perceptron_limit


def test_random_examples_fall_as_published() -> None:
    # Opper et al. 1990: 0.5005 / alpha for maximal stability.
    assert 1000 * perceptron_limit(1000, 1.0) == pytest.approx(0.5005, abs=2e-4)
    assert perceptron_limit(1e-4, 1.0) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("take", ["hard", "easy", "random"])
@pytest.mark.parametrize(("alpha", "angle"), [(1.0, 0.0), (6.0, 20.0), (6.0, 90.0)])
def test_many_dimensions_come_close(alpha: float, angle: float, take: str) -> None:
    found = perceptron_errors(alpha, 0.5, angle, takes=[take], dimension=150, seeds=range(10))[take]
    limit = perceptron_limit(alpha, 0.5, angle, take)
    # What is left of finite N, and five standard errors of the mean.
    assert found.mean == pytest.approx(limit, abs=0.01 + 5 * found.sd / np.sqrt(10))


@pytest.mark.parametrize(("angle", "take"), [(0.0, "hard"), (0.0, "easy"), (35.0, "hard"), (35.0, "easy")])
def test_quadrature_agrees_with_samples(angle: float, take: str) -> None:
    from training.theory.perceptron_limit import _fields

    fields = _fields(0.3, angle, take)
    v1, v2 = kept_fields(0.3, angle, take, rows=400_000, seed=0)
    assert fields.weights.sum() == pytest.approx(1)
    for power in (1, 2):
        assert fields.weights @ fields.v1**power == pytest.approx((v1**power).mean(), rel=0.02)
    if fields.v2 is not None:
        assert fields.weights @ fields.v2 == pytest.approx(v2.mean(), rel=0.02, abs=0.005)
        assert fields.weights @ (fields.v1 * fields.v2) == pytest.approx(
            (v1 * v2).mean(), rel=0.03, abs=0.005
        )


def test_angles_in_between() -> None:
    exact = perceptron_limit(8, 0.5, 0.0, "hard")
    assert perceptron_limit(8, 0.5, 0.01, "hard") == pytest.approx(exact, rel=1e-3)
    # A probe that knows nothing chooses at random.
    for take in ("hard", "easy"):
        assert perceptron_limit(4, 0.5, 90.0, take) == pytest.approx(perceptron_limit(4, 0.5), rel=2e-3)
    errors = [perceptron_limit(8, 0.5, angle, "hard") for angle in (0.0, 20.0, 45.0, 90.0)]
    assert errors == sorted(errors)


def test_all_examples_have_no_ends() -> None:
    assert perceptron_limit(3, 1.0, 30.0, "hard") == perceptron_limit(3, 1.0)


def test_mistakes() -> None:
    with pytest.raises(InputError, match="take"):
        perceptron_limit(1, 0.5, 0.0, "harder")
    with pytest.raises(InputError, match="keep"):
        perceptron_limit(1, 0.0)
