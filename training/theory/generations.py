"""Self-training: every generation learns from draws of the one before, and forgets what it does not see.

With T draws per generation the count of a token follows the drift of Wright and Fisher. Counts of rare tokens, which
are those that get lost, are Poisson, and the unseen mass has a closed form: if a share pi of the draws of every later
generation is real, a token of probability p is missing from generation n with probability

    exp(-T p s_n),   s_n = a_n + pi (a_0 + ... + a_(n-1)),   a_0 = 1,  a_(j+1) = 1 - exp(-(1 - pi) a_j)

(a branching process with immigration: a_j is the chance that one copy still has descendants after j generations). So
generation n is as good as s_n T clean draws; without real data s_n is about 2 / n.
"""

from __future__ import annotations

import numpy as np

from scoring.errors import bad_value
from training.theory.zipf import OWNER, FloatArray, draw_counts


def worth_of_generation(generation: int, real: float = 0.0) -> float:
    """s_n: how many clean draws one draw of generation n is worth; 1 for generation 0, which sees clean data."""
    if generation < 0:
        raise bad_value("generation", OWNER, generation, "0 or more")
    if not 0 <= real <= 1:
        raise bad_value("real", OWNER, real, "a share from 0 to 1")
    alive, fresh = 1.0, 0.0
    for _ in range(generation):
        fresh += real * alive
        alive = float(-np.expm1(-(1 - real) * alive))
    return alive + fresh


def expected_generations(p_V: FloatArray, draws: int, generations: int, real: float = 0.0) -> list[float]:
    """Expected mass under p that generations 0 to ``generations`` have not seen; Poisson, see above."""
    _check(draws, generations)
    return [float(p_V @ np.exp(-draws * worth_of_generation(n, real) * p_V)) for n in range(generations + 1)]


def drawn_generations(
    p_V: FloatArray, draws: int, generations: int, seed: int, real: float = 0.0
) -> list[float]:
    """The same of one simulated line: ``round(real * draws)`` draws of every later generation are from p."""
    _check(draws, generations)
    worth_of_generation(0, real)
    fresh = round(real * draws)
    counts_V = draw_counts(p_V, draws, seed, "generation", 0)
    unseen = [float(p_V[counts_V == 0].sum())]
    for n in range(1, generations + 1):
        q_V = counts_V / draws
        counts_V = draw_counts(q_V, draws - fresh, seed, "generation", n)
        if fresh:
            counts_V = counts_V + draw_counts(p_V, fresh, seed, "real", n)
        unseen.append(float(p_V[counts_V == 0].sum()))
    return unseen


def _check(draws: int, generations: int) -> None:
    if draws < 1:
        raise bad_value("draws", OWNER, draws, "a whole number of at least 1")
    if generations < 0:
        raise bad_value("generations", OWNER, generations, "0 or more")
