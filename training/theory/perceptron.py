"""The student-teacher perceptron of Sorscher et al. 2022: when to keep hard, easy or random examples.

A teacher T in N dimensions labels P = alpha N Gaussian inputs x by sign(T.x). A probe at an angle to the teacher ranks
them by |probe.x|, the small ones being hard; a share is kept; the student is the perceptron of maximal margin on it.
Its error on fresh inputs is its angle to the teacher over pi ("Beyond neural scaling laws", arXiv 2206.14486).
Everything of a seed (teacher, probe plane, inputs) is shared by all settings, and more inputs continue fewer, so
differences between settings are paired.

In ``training.theory.perceptron_limit`` are the errors for N to infinity.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from scoring.hashing import derive_seed
from selection.budget import parse_budget
from training.studies.paired import Difference, paired_difference
from training.theory.max_margin import max_margin

FloatArray = npt.NDArray[np.float64]

OWNER = "perceptron"
HARD, EASY, RANDOM = "hard", "easy", "random"
TAKES = (HARD, EASY, RANDOM)
DIMENSION = 100
SEEDS = range(12)


@dataclass(frozen=True)
class Errors:
    """The error of one setting over seeds.

    Attributes:
        alpha: Examples per dimension before selection.
        keep: The share that is kept.
        angle: Of the probe to the teacher, degrees.
        take: ``hard``, ``easy`` or ``random``.
        dimension: N.
        rows: Examples that are kept.
        seeds: Whose errors these are.
        error_S: The probability that student and teacher disagree on a fresh input, by seed.
    """

    alpha: float
    keep: float
    angle: float
    take: str
    dimension: int
    rows: int
    seeds: tuple[int, ...]
    error_S: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over seeds."""
        return float(np.mean(self.error_S))

    @property
    def sd(self) -> float:
        """Over seeds, ddof 1; NaN for one seed."""
        return float(np.std(self.error_S, ddof=1)) if len(self.error_S) > 1 else float("nan")

    @cached_property
    def interval(self) -> Difference:
        """The mean with its 95 % t interval over seeds, infinite for one seed."""
        return paired_difference(self.error_S, np.zeros(len(self.error_S)))

    def minus(self, other: Errors) -> Difference:
        """The paired difference of two settings of the same seeds; below zero this one is better."""
        if self.seeds != other.seeds:
            raise bad_value("seeds", OWNER, list(other.seeds), f"the same for both, {list(self.seeds)}")
        return paired_difference(self.error_S, other.error_S)


def perceptron_errors(
    alpha: float,
    keep: float,
    angle: float = 0.0,
    *,
    takes: Sequence[str] = TAKES,
    dimension: int = DIMENSION,
    seeds: Iterable[int] = SEEDS,
) -> dict[str, Errors]:
    """Errors of students that keep the hard, the easy or a random part, by ``takes``.

    Args:
        alpha: Examples per dimension before selection; ``round(alpha * dimension)`` inputs are drawn.
        keep: Share kept, above 0 to 1; at least one row must remain.
        angle: Of the probe to the teacher in degrees, 0 to 90; at 90 the probe knows nothing.
        takes: Which parts.
        dimension: N, at least 2.
        seeds: Different whole numbers.

    Raises:
        InputError: A value outside its range.
    """
    seeds, count, rows = _checked(alpha, keep, angle, takes, dimension, seeds)
    found: dict[str, list[float]] = {take: [] for take in takes}
    for seed in seeds:
        teacher, probe, inputs_PN = draw(count, angle, dimension, seed)
        fields_P = inputs_PN @ teacher
        order_P = np.argsort(np.abs(inputs_PN @ probe), kind="stable")
        parts = {HARD: order_P[:rows], EASY: order_P[count - rows :], RANDOM: np.arange(rows)}
        for take in takes:
            # Inputs have no order, so the first ones are a random part.
            part = parts[take]
            student = max_margin(inputs_PN[part] * np.sign(fields_P[part])[:, None])
            found[take].append(error_of(student, teacher))
    return {
        take: Errors(alpha, keep, angle, take, dimension, rows, seeds, tuple(errors))
        for take, errors in found.items()
    }


def perceptron_grid(
    alphas: Sequence[float],
    keeps: Sequence[float],
    angles: Sequence[float] = (0.0,),
    *,
    takes: Sequence[str] = TAKES,
    dimension: int = DIMENSION,
    seeds: Iterable[int] = SEEDS,
) -> list[Errors]:
    """``perceptron_errors`` for every angle, keep and alpha, in this order."""
    seeds = tuple(seeds)
    return [
        each
        for angle in angles
        for keep in keeps
        for alpha in alphas
        for each in perceptron_errors(
            alpha, keep, angle, takes=takes, dimension=dimension, seeds=seeds
        ).values()
    ]


def draw(count: int, angle: float, dimension: int, seed: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Teacher (N,) and probe (N,) of length 1, and ``count`` inputs (P, N); more inputs continue fewer."""
    generator = np.random.default_rng(derive_seed("perceptron", dimension, seed))
    teacher = generator.standard_normal(dimension)
    teacher /= np.linalg.norm(teacher)
    aside = generator.standard_normal(dimension)
    aside -= (aside @ teacher) * teacher
    aside /= np.linalg.norm(aside)
    turn = np.deg2rad(angle)
    return (
        teacher,
        np.cos(turn) * teacher + np.sin(turn) * aside,
        generator.standard_normal((count, dimension)),
    )


def error_of(student_N: FloatArray, teacher_N: FloatArray) -> float:
    """Their angle over pi: the probability that they disagree on a Gaussian input. The teacher has length 1."""
    along = float(student_N @ teacher_N)
    # The arc cosine of the overlap would lose half of the digits of a small angle.
    return float(np.arctan2(np.linalg.norm(student_N - along * teacher_N), along) / np.pi)


def _checked(
    alpha: float, keep: float, angle: float, takes: Sequence[str], dimension: int, seeds: Iterable[int]
) -> tuple[tuple[int, ...], int, int]:
    """Seeds, inputs and rows kept."""
    for take in takes:
        if take not in TAKES:
            raise unknown_name("takes", OWNER, take, TAKES)
    if dimension < 2:
        raise bad_value("dimension", OWNER, dimension, "a whole number of at least 2")
    check_setting(alpha, keep, angle)
    found = tuple(seeds)
    if not found or len(set(found)) < len(found):
        raise bad_value("seeds", OWNER, list(found), "one or more different whole numbers")
    count = round(alpha * dimension)
    rows = parse_budget(float(keep)).amount(count) if count else 0
    if rows < 1:
        raise InputError(
            f"{OWNER}: alpha {alpha:g} and keep {keep:g} leave no row of {count} in {dimension} dimensions."
        )
    return found, count, rows


def check_setting(alpha: float, keep: float, angle: float) -> None:
    """Refuse what is outside its range."""
    if not (np.isfinite(alpha) and alpha > 0):
        raise bad_value("alpha", OWNER, alpha, "a positive number")
    if not 0 < keep <= 1:
        raise bad_value("keep", OWNER, keep, "a share above 0 and up to 1")
    if not 0 <= angle <= 90:
        raise bad_value("angle", OWNER, angle, "degrees from 0 to 90")
