import numpy as np
import pytest

from scoring.errors import InputError
from tests.references.theory_slow import max_margin_by_slsqp
from training.theory.max_margin import max_margin


def separable(rows: int, dimension: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((rows, dimension))
    return inputs * np.sign(inputs @ generator.standard_normal(dimension))[:, None]


@pytest.mark.parametrize(("rows", "dimension"), [(1, 3), (4, 7), (10, 5), (40, 6)])
def test_general_solver_agrees(rows: int, dimension: int) -> None:
    for seed in range(3):
        given = separable(rows, dimension, seed)
        found = max_margin(given)
        assert found == pytest.approx(max_margin_by_slsqp(given), rel=1e-5, abs=1e-6)
        assert (given @ found).min() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("rows", [30, 200])
def test_support_vector_machine_of_scikit_learn_agrees(rows: int) -> None:
    svm = pytest.importorskip("sklearn.svm")
    given = separable(rows, 20, 4)
    # Rows and their negatives make the intercept zero.
    both = np.vstack([given, -given])
    labels = np.repeat([1, -1], rows)
    twin = svm.SVC(C=1e8, kernel="linear", tol=1e-9).fit(both, labels).coef_[0]
    found = max_margin(given)
    assert found @ twin / np.linalg.norm(found) / np.linalg.norm(twin) == pytest.approx(1, abs=1e-9)
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(twin), rel=1e-4)


def test_one_row_and_rows_twice() -> None:
    assert max_margin([[3.0, 4.0]]) == pytest.approx([3 / 25, 4 / 25])
    given = separable(12, 4, 1)
    assert max_margin(np.vstack([given, given])) == pytest.approx(max_margin(given))


def test_length_of_rows_far_from_one() -> None:
    given = separable(30, 5, 2)
    for scale in (1e-3, 1e3):
        assert max_margin(given * scale) * scale == pytest.approx(max_margin(given), rel=1e-6)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([[1.0, 0.0], [-1.0, 0.0]], "separable"),
        ([[0.0, 0.0]], "separable"),
        (np.empty((0, 3)), "at least one row"),
        ([[1.0, float("nan")]], "finite"),
    ],
)
def test_what_has_no_margin(rows: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        max_margin(rows)  # type: ignore[arg-type]
