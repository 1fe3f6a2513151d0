"""A world of tokens with Zipf's frequencies and a learner that memorises: what lost tails cost (Dohmatob et al. 2024).

Token i of V has probability p_i proportional to i^-beta. A learner that has seen T draws is right about a token if it
was among them, so its error is the mass of what it has not seen, E(T) = sum_i p_i (1 - q_i)^T for draws from q. With
q = p it falls as T^-c, c = 1 - 1/beta, until the V-th token is seen. Where q lacks the ranks beyond k it falls to their
mass, of order k^-(beta - 1), and stays: the double law of "A Tale of Tails" (arXiv 2402.07043).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from scoring.hashing import derive_seed, uniform

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

OWNER = "zipf"
PIECE = 2**20
"""Draws in memory at a time."""


@dataclass(frozen=True)
class Zipf:
    """The world: ``tokens`` of them (V), with exponent ``beta``; by default that of Dohmatob et al.'s figures."""

    tokens: int = 200_000
    beta: float = 1.5

    def __post_init__(self) -> None:
        if self.tokens < 1:
            raise bad_value("tokens", OWNER, self.tokens, "a whole number of at least 1")
        if not (np.isfinite(self.beta) and self.beta > 0):
            raise bad_value("beta", OWNER, self.beta, "a positive number")

    @cached_property
    def p_V(self) -> FloatArray:
        """Probabilities by rank, the most frequent first."""
        weights = np.arange(1, self.tokens + 1, dtype=np.float64) ** -self.beta
        found: FloatArray = weights / weights.sum()
        return found

    @property
    def exponent(self) -> float:
        """c of E(T) ~ T^-c for endless tokens; above beta 1 only."""
        if self.beta <= 1:
            raise bad_value("beta", OWNER, self.beta, "above 1 for the law of unseen mass")
        return 1 - 1 / self.beta

    def cut(self, rank: int) -> FloatArray:
        """Probabilities (V,) of data that have lost all beyond a rank."""
        if not 1 <= rank <= self.tokens:
            raise bad_value("rank", OWNER, rank, f"a whole number from 1 to {self.tokens:,}")
        q_V = np.where(np.arange(self.tokens) < rank, self.p_V, 0.0)
        found: FloatArray = q_V / q_V.sum()
        return found

    def tail_mass(self, rank: int) -> float:
        """Mass beyond a rank: where the error of data cut there ends."""
        self.cut(rank)
        return float(self.p_V[rank:].sum())

    def mixed(self, rank: int, real: float) -> FloatArray:
        """Probabilities (V,) of data of which a share ``real`` is whole and the rest is cut at a rank."""
        if not 0 <= real <= 1:
            raise bad_value("real", OWNER, real, "a share from 0 to 1")
        return real * self.p_V + (1 - real) * self.cut(rank)


def unseen_mass(p_V: FloatArray, draws: float, q_V: FloatArray | None = None) -> float:
    """The expected mass under p of tokens that are not among ``draws`` from q (by default p), exactly."""
    if draws < 0:
        raise bad_value("draws", OWNER, draws, "0 or more")
    if draws == 0:
        return float(p_V.sum())
    with np.errstate(divide="ignore"):
        return float(p_V @ np.exp(draws * np.log1p(-(p_V if q_V is None else q_V))))


def draw_counts(q_V: FloatArray, draws: int, seed: int, *stream: int | str) -> IntArray:
    """How often every token is among ``draws`` from q, (V,); draw j is a hash of (seed, stream, j)."""
    ends_V = np.cumsum(q_V)
    last = int(np.flatnonzero(q_V)[-1])
    key = derive_seed("zipf", seed, *stream)
    counts = np.zeros(len(q_V), dtype=np.int64)
    for start in range(0, draws, PIECE):
        places = uniform(key, np.arange(start, min(start + PIECE, draws))) * ends_V[-1]
        # Where the last sum is rounded down, a place may lie at or beyond the last token that can be drawn.
        tokens = np.minimum(np.searchsorted(ends_V, places, side="right"), last)
        counts += np.bincount(tokens, minlength=len(q_V))
    return counts


def drawn_unseen_mass(p_V: FloatArray, draws: int, seed: int, q_V: FloatArray | None = None) -> float:
    """``unseen_mass`` of one sample of draws."""
    return float(p_V[draw_counts(p_V if q_V is None else q_V, draws, seed) == 0].sum())


def log_slope(draws: Sequence[float], errors: Sequence[float]) -> float:
    """The slope of ln error over ln draws, by least squares."""
    if len(draws) != len(errors) or len(set(draws)) < 2 or min(*draws, *errors) <= 0:
        raise bad_value(
            "draws", OWNER, list(draws), "two or more different positive numbers, one per positive error"
        )
    return float(np.polyfit(np.log(draws), np.log(errors), 1)[0])
