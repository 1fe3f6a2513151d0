import numpy as np
import pytest

from scoring.errors import InputError
from training.theory.crossing import crossing, end_to_keep, limit_crossing
from training.theory.perceptron import Errors, draw, error_of, perceptron_errors, perceptron_grid

ALPHAS = (0.5, 1, 2, 4, 8, 16)
TOLERANCE = 0.02
PUBLISHED = {
    (0.0, "hard"): (0.444, 0.415, 0.324, 0.142, 0.059, 0.031),
    (0.0, "easy"): (0.321, 0.254, 0.185, 0.115, 0.069, 0.037),
    (0.0, "random"): (0.382, 0.335, 0.262, 0.188, 0.121, 0.061),
    (20.0, "hard"): (0.436, 0.405, 0.326, 0.192, 0.069, 0.034),
    (20.0, "easy"): (None, None, None, None, 0.139, 0.120),
}


@pytest.fixture(scope="module")
def errors() -> dict[tuple[float, str, float], Errors]:
    found = perceptron_grid(ALPHAS[:5], [0.5], [0.0, 20.0])
    found += perceptron_grid(ALPHAS[5:], [0.5], [0.0, 20.0], takes=["hard", "easy"])
    return {(each.angle, each.take, each.alpha): each for each in found}


@pytest.mark.parametrize(("angle", "take"), PUBLISHED)
def test_published_errors_of_half_of_the_examples(
    errors: dict[tuple[float, str, float], Errors], angle: float, take: str
) -> None:
    for alpha, published in zip(ALPHAS, PUBLISHED[angle, take]):
        if published is not None and (angle, take, alpha) in errors:
            assert errors[angle, take, alpha].mean == pytest.approx(published, abs=TOLERANCE)


def test_few_examples_want_easy_ones_and_many_hard_ones(
    errors: dict[tuple[float, str, float], Errors],
) -> None:
    for alpha in (0.5, 1, 2):
        hard, easy, random = (errors[0.0, take, alpha] for take in ("hard", "easy", "random"))
        assert hard.minus(random).verdict(higher_is_better=False) == "worse"
        assert easy.minus(random).verdict(higher_is_better=False) == "better"
    hard, random = errors[0.0, "hard", 8], errors[0.0, "random", 8]
    assert hard.minus(random).verdict(higher_is_better=False) == "better"
    # A probe that is off brings the easy end to a floor.
    assert errors[20.0, "easy", 8].mean > 1.5 * errors[0.0, "easy", 8].mean


def test_crossing_lies_where_the_sign_changes(errors: dict[tuple[float, str, float], Errors]) -> None:
    found = crossing([each for (angle, _, alpha), each in errors.items() if angle == 0 and alpha <= 8])
    assert found.alpha is not None and 4 < found.alpha < 8
    assert found.low is not None and found.low < found.alpha
    assert found.high is None or found.high > found.alpha
    late = crossing([each for (angle, _, alpha), each in errors.items() if angle == 0 and alpha <= 4])
    assert late.alpha is None and late.high is None
    to_random = crossing(
        [e for (angle, _, a), e in errors.items() if angle == 0 and a <= 8], "random", "hard"
    )
    limit = limit_crossing(0.5, 0.0, "random", "hard")
    assert limit is not None and to_random.alpha == pytest.approx(limit, rel=0.15)


def test_pruning_at_the_same_number_kept() -> None:
    def at(kept: float, keep: float) -> float:
        return perceptron_errors(kept / keep, keep, takes=["hard"], seeds=range(4))["hard"].mean

    assert at(8, 1.0) / at(8, 0.1) >= 5
    for keep, published in ((1.0, 0.051), (0.4, 0.020), (0.1, 0.005)):
        assert at(10, keep) == pytest.approx(published, abs=0.01)
    assert perceptron_errors(1, 1.0, takes=["hard"])["hard"].mean == pytest.approx(0.270, abs=TOLERANCE)
    assert perceptron_errors(10, 0.1, takes=["hard"])["hard"].mean == pytest.approx(0.454, abs=TOLERANCE)


def test_draws_of_a_seed_are_shared() -> None:
    teacher, probe, inputs = draw(20, 30.0, 10, 3)
    again, other, more = draw(50, 60.0, 10, 3)
    assert (teacher == again).all() and (inputs == more[:20]).all()
    assert np.degrees(np.arccos(teacher @ probe)) == pytest.approx(30)
    assert np.degrees(np.arccos(teacher @ other)) == pytest.approx(60)
    one = perceptron_errors(2, 0.5, dimension=10, seeds=[3])["hard"]
    assert perceptron_errors(2, 0.5, dimension=10, seeds=[1, 3])["hard"].error_S[1] == one.error_S[0]


def test_error_is_the_share_of_inputs_on_which_they_disagree() -> None:
    teacher, probe, inputs = draw(200_000, 25.0, 5, 0)
    assert error_of(probe, teacher) == pytest.approx(25 / 180)
    disagree = (np.sign(inputs @ teacher) != np.sign(inputs @ probe)).mean()
    assert disagree == pytest.approx(25 / 180, abs=0.003)
    assert error_of(-teacher, teacher) == pytest.approx(1)


def test_all_examples_are_the_same_whichever_end() -> None:
    found = perceptron_errors(3, 1.0, 40.0, dimension=20, seeds=[0, 1])
    assert found["hard"].error_S == pytest.approx(found["easy"].error_S)
    assert found["hard"].error_S == pytest.approx(found["random"].error_S)


def test_one_seed_has_no_spread_and_no_verdict() -> None:
    found = perceptron_errors(2, 0.5, dimension=20, seeds=[0])
    assert np.isnan(found["hard"].sd) and found["hard"].interval.high == np.inf
    assert found["hard"].minus(found["easy"]).verdict() == "cannot tell"
    assert found["hard"].rows == 20


def test_end_to_keep() -> None:
    assert end_to_keep(1, 0.5).take == "easy"
    assert end_to_keep(10, 0.5).take == "hard"
    assert end_to_keep(3, 1.0).take == "random"  # nothing is left out
    assert limit_crossing(0.5, between=(8.0, 16.0)) is None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0.0, 0.5), "alpha"),
        ((1.0, 0.0), "keep"),
        ((1.0, 1.5), "keep"),
        ((1.0, 0.5, 91.0), "angle"),
        ((0.001, 0.5), "leave no row"),
    ],
)
def test_settings_out_of_range(arguments: tuple[float, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        perceptron_errors(*arguments)


def test_other_mistakes() -> None:
    with pytest.raises(InputError, match="takes"):
        perceptron_errors(1, 0.5, takes=["harder"])
    with pytest.raises(InputError, match="seeds"):
        perceptron_errors(1, 0.5, seeds=[1, 1])
    with pytest.raises(InputError, match="dimension"):
        perceptron_errors(1, 0.5, dimension=1)
    found = perceptron_grid([1, 2], [0.5, 0.3], dimension=10, seeds=[0, 1])
    with pytest.raises(InputError, match="one keep"):
        crossing(found)
    with pytest.raises(InputError, match="two or more alphas"):
        crossing(found[:3])
    with pytest.raises(InputError, match="seeds"):
        found[0].minus(perceptron_errors(1, 0.5, dimension=10, seeds=[5])["hard"])
