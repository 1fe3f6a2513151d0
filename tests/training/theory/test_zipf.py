import numpy as np
import pytest

from scoring.errors import InputError
from tests.references.theory_slow import missing_by_markov_chain, unseen_mass_by_terms
from training.theory.generations import drawn_generations, expected_generations, worth_of_generation
from training.theory.real_data import real_data_needed
from training.theory.zipf import Zipf, draw_counts, drawn_unseen_mass, log_slope, unseen_mass

WORLD = Zipf()  # V = 2e5, beta = 1.5, as published
CUT = 300


def test_published_slope_and_its_theory() -> None:
    draws = np.logspace(2, 6, 9)
    errors = [unseen_mass(WORLD.p_V, each) for each in draws]
    assert log_slope(draws.tolist(), errors) == pytest.approx(-0.353, rel=0.02)
    assert WORLD.exponent == pytest.approx(1 / 3)
    endless = Zipf(10**7, 1.5)
    middle = [1e3, 3e3, 1e4]
    assert log_slope(middle, [unseen_mass(endless.p_V, t) for t in middle]) == pytest.approx(
        -endless.exponent, rel=0.03
    )


def test_published_plateau_and_what_real_data_do_to_it() -> None:
    cut = WORLD.cut(CUT)
    assert unseen_mass(WORLD.p_V, 1e6, cut) == pytest.approx(0.0425, rel=0.01)
    assert unseen_mass(WORLD.p_V, 1e9, cut) == pytest.approx(WORLD.tail_mass(CUT), rel=1e-9)
    mixed = [unseen_mass(WORLD.p_V, draws, WORLD.mixed(CUT, 0.02)) for draws in (1e4, 1e5, 1e6, 1e7)]
    assert mixed[2] == pytest.approx(0.0316, rel=0.1)
    assert mixed == sorted(mixed, reverse=True)
    assert mixed[3] < 0.5 * mixed[2]  # it goes on falling


def test_published_generations() -> None:
    lines = np.mean([drawn_generations(WORLD.p_V, 3500, 8, seed) for seed in range(5)], axis=0)
    expected = expected_generations(WORLD.p_V, 3500, 8)
    assert lines[0] == pytest.approx(0.062, rel=0.1) and lines[8] == pytest.approx(0.107, rel=0.1)
    assert (np.diff(lines) > 0).all() and (np.diff(expected) > 0).all()
    assert lines == pytest.approx(expected, rel=0.05)


def test_draws_have_the_expected_unseen_mass() -> None:
    world = Zipf(500, 1.2)
    for q in (None, world.cut(40), world.mixed(40, 0.1)):
        drawn = np.mean([drawn_unseen_mass(world.p_V, 300, seed, q) for seed in range(60)])
        assert drawn == pytest.approx(unseen_mass(world.p_V, 300, q), rel=0.03)


def test_unseen_mass_term_by_term() -> None:
    world = Zipf(30, 0.7)
    for q in (world.p_V, world.cut(5), world.mixed(5, 0.3)):
        slow = unseen_mass_by_terms(world.p_V.tolist(), q.tolist(), 17)
        assert unseen_mass(world.p_V, 17, q) == pytest.approx(slow)
    assert unseen_mass(world.p_V, 0) == pytest.approx(1)


def test_draws_are_exact_and_of_tokens_that_are_there() -> None:
    counts = draw_counts(WORLD.cut(CUT), 3_000_000, 1)
    assert counts.sum() == 3_000_000 and counts[CUT:].sum() == 0
    assert counts[0] == pytest.approx(3_000_000 * WORLD.cut(CUT)[0], rel=0.01)
    assert (draw_counts(WORLD.p_V, 100, 1) == draw_counts(WORLD.p_V, 100, 1)).all()
    assert (draw_counts(WORLD.p_V, 100, 1) != draw_counts(WORLD.p_V, 100, 2)).any()
    # More draws continue fewer.
    assert (draw_counts(WORLD.p_V, 200, 1) >= draw_counts(WORLD.p_V, 100, 1)).all()


@pytest.mark.parametrize("real", [0.0, 0.2])
def test_generations_against_the_whole_markov_chain(real: float) -> None:
    draws, p = 50, 0.01
    for generation in (0, 1, 3):
        slow = missing_by_markov_chain(p, draws, generation, real)
        world = np.exp(-draws * p * worth_of_generation(generation, real))
        assert world == pytest.approx(slow, rel=0.02)


def test_what_generations_are_worth() -> None:
    assert worth_of_generation(0, 0.3) == 1
    assert worth_of_generation(1) == pytest.approx(1 - np.exp(-1))
    assert worth_of_generation(1000) == pytest.approx(2 / 1000, rel=0.02)
    # With all data real every generation is as good as the first.
    assert [worth_of_generation(n, 1.0) for n in (1, 2)] == [1, 1]
    assert worth_of_generation(8, 0.2) > worth_of_generation(8, 0.1) > worth_of_generation(8)


def test_real_data_stop_the_loss() -> None:
    p = WORLD.p_V
    without, some = expected_generations(p, 3500, 30), expected_generations(p, 3500, 30, real=0.1)
    assert some[30] < without[30]
    assert some[30] - some[20] < 0.1 * (without[30] - without[20])
    drawn = np.mean([drawn_generations(p, 3500, 8, seed, real=0.1) for seed in range(4)], axis=0)
    assert drawn == pytest.approx(expected_generations(p, 3500, 8, real=0.1), rel=0.05)


def test_real_data_needed() -> None:
    found = real_data_needed(WORLD, CUT, 10**6, 0.02)
    q = WORLD.cut(CUT)

    def unseen(real: int) -> float:
        return float(WORLD.p_V @ np.exp(real * np.log1p(-WORLD.p_V) + 10**6 * np.log1p(-q)))

    assert unseen(found.draws) <= 0.02 < unseen(found.draws - 1)
    assert unseen_mass(WORLD.p_V, found.alone) <= 0.02 < unseen_mass(WORLD.p_V, found.alone - 1)
    assert found.before == pytest.approx(WORLD.tail_mass(CUT)) and found.draws <= found.alone
    assert found.share == found.draws / (found.draws + 10**6)
    seen = 1 - (1 - WORLD.p_V) ** found.draws
    assert seen[found.last_rank - 1] >= 0.5 > seen[found.last_rank]


def test_real_data_not_needed() -> None:
    found = real_data_needed(WORLD, CUT, 10**6, 0.05)
    assert found.draws == 0 and found.share == 0 and found.last_rank == CUT
    alone = real_data_needed(WORLD, CUT, 0, 0.1)
    assert alone.draws == alone.alone and alone.share == 1 and alone.before == pytest.approx(1)


def test_one_token() -> None:
    world = Zipf(1)
    assert unseen_mass(world.p_V, 3) == 0 and draw_counts(world.p_V, 4, 0).tolist() == [4]
    assert real_data_needed(world, 1, 5, 0.5).draws == 0
    assert drawn_generations(world.p_V, 1, 2, 0) == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Zipf(0), "tokens"),
        (lambda: Zipf(5, 0.0), "beta"),
        (lambda: Zipf(5, 0.9).exponent, "above 1"),
        (lambda: WORLD.cut(0), "rank"),
        (lambda: WORLD.mixed(3, 1.2), "real"),
        (lambda: unseen_mass(WORLD.p_V, -1), "draws"),
        (lambda: log_slope([1.0, 1.0], [0.1, 0.2]), "different"),
        (lambda: log_slope([1.0, 2.0], [0.1, 0.0]), "positive"),
        (lambda: drawn_generations(WORLD.p_V, 0, 1, 0), "draws"),
        (lambda: expected_generations(WORLD.p_V, 5, -1), "generations"),
        (lambda: worth_of_generation(-1), "generation"),
        (lambda: worth_of_generation(1, 2.0), "real"),
        (lambda: real_data_needed(WORLD, 3, 5, 0.0), "target"),
        (lambda: real_data_needed(WORLD, 3, -5, 0.1), "cut_draws"),
    ],
)
def test_mistakes(call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call()  # type: ignore[operator]
