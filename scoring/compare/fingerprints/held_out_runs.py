"""How well a few examples identify the architecture of a run that took no part in choosing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from scoring.compare.fingerprints.centroids import Centroids, Ints, Sums
from scoring.compare.ranks import Floats
from scoring.compare.run_scores import RunScores
from scoring.errors import InputError, bad_value
from scoring.hashing import derive_seed

Of = Literal["values", "ranks"]
OWNER = "fingerprint"
SIZES = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50)
"""Numbers of examples that are tried."""
FOR_RATING = 10
"""A score is rated by the margins that so many examples give."""


@dataclass(frozen=True)
class HeldOutRun:
    """One run that was held out, and what the other runs say it is.

    Attributes:
        architecture, run: position of the architecture, and of the run among its runs.
        predicted_K: position of the predicted architecture, by the number of examples in ``sizes``.
        rating: of the score in its fold, which knows nothing of the run; scores are chosen by it.
    """

    architecture: int
    run: int
    predicted_K: Ints
    rating: float


@dataclass(frozen=True)
class Tested:
    """Held-out runs under one score (or under the score chosen in every fold), with their accuracy by size."""

    score: str
    sizes: Sequence[int]
    runs: Sequence[HeldOutRun]

    @property
    def right_K(self) -> Ints:
        """Runs whose architecture was found, by number of examples."""
        return np.asarray(sum((run.predicted_K == run.architecture).astype(np.int64) for run in self.runs))

    @property
    def accuracy_K(self) -> Floats:
        found: Floats = self.right_K / len(self.runs)
        return found

    def interval(self, size: int) -> tuple[float, float]:
        """95 % interval of the accuracy with ``size`` examples (Wilson)."""
        return wilson(int(self.right_K[list(self.sizes).index(size)]), len(self.runs))

    @property
    def overall_interval(self) -> tuple[float, float]:
        """That of the mean accuracy over all sizes, which was not read off the runs as the best size was."""
        return wilson(round(float(self.right_K.mean())), len(self.runs))

    def fewest(self, reach: float) -> int | None:
        """The smallest number of examples with an accuracy of at least ``reach``; None if there is none."""
        enough = np.flatnonzero(self.accuracy_K >= reach - 1e-12)
        return int(self.sizes[enough[0]]) if len(enough) else None

    def best_size(self, reach: float) -> int:
        """``fewest``, or else the smallest number of examples of the highest accuracy."""
        found = self.fewest(reach)
        return int(self.sizes[int(np.argmax(self.accuracy_K))]) if found is None else found


def wilson(right: int, total: int, level: float = 0.95) -> tuple[float, float]:
    """Interval of a share, Wilson 1927: it stays inside [0, 1] and keeps a width where all are right."""
    found = stats.binomtest(right, total).proportion_ci(level, method="wilson")
    return float(found.low), float(found.high)


def read(scores: RunScores, score: str, of: Of) -> list[Floats]:
    """What fingerprints are made of, (R, N) per architecture: values with high = hard, or scaled ranks."""
    one = scores.ranks if of == "ranks" else scores.values
    return [one(score, name) for name in scores.architectures]


def sums_of(runs: Sequence[Floats]) -> tuple[Sums, Sums, Floats]:
    """Sums over the even and over the odd runs, and the mean that was taken off first, (N,), for precision."""
    kinds, count = len(runs), runs[0].shape[1]
    centre_N = np.mean([values_RN.mean(axis=0) for values_RN in runs], axis=0)
    halves = [
        Sums(np.zeros(kinds), np.zeros((kinds, count)), np.zeros((kinds, count))) for _ in ("even", "odd")
    ]
    for a, values_RN in enumerate(runs):
        for run, values_N in enumerate(values_RN):
            off_N, half = values_N - centre_N, halves[run % 2]
            half.runs_A[a] += 1
            half.sum_AN[a] += off_N
            half.square_AN[a] += off_N**2
    return halves[0], halves[1], centre_N


def check(scores: RunScores, score: str, of: Of, held_out: int | None) -> None:
    """Refuse what cannot be tested on held-out runs."""
    if of not in ("values", "ranks"):
        raise bad_value("of", OWNER, of, "'values' or 'ranks'")
    if len(scores.architectures) < 2:
        raise bad_value("architectures", OWNER, len(scores.architectures), "at least 2")
    counts = {name: len(runs) for name, runs in scores.runs.items()}
    if min(counts.values()) < 2:
        raise bad_value("runs", OWNER, counts, "at least 2 of every architecture, to hold one out")
    if held_out is not None and not 1 <= held_out < min(counts.values()):
        raise bad_value(
            "held_out", OWNER, held_out, f"between 1 and {min(counts.values()) - 1}, for {counts}"
        )
    for name in scores.architectures if of == "values" else ():
        if not np.isfinite(scores.values(score, name)).all():
            raise InputError(
                f"{OWNER}: {score!r} must be finite to use its values, and some of {name} are infinite; "
                "use of='ranks'."
            )


def folds(scores: RunScores, held_out: int | None, seed: int) -> list[dict[int, Ints]]:
    """Runs that each fold holds out, architecture -> runs; every run is in exactly one fold.

    None holds out one run at a time, a number so many of every architecture at once.
    """
    counts = [len(runs) for runs in scores.runs.values()]
    if held_out is None:
        return [{a: np.array([run])} for a, count in enumerate(counts) for run in range(count)]
    rng = np.random.default_rng(derive_seed(OWNER, seed))
    orders = [rng.permutation(count) for count in counts]
    found = []
    for start in range(0, max(counts), held_out):
        parts = {a: np.sort(order[start : start + held_out]) for a, order in enumerate(orders)}
        found.append({a: runs for a, runs in parts.items() if len(runs)})
    return found


def on_held_out_runs(
    scores: RunScores,
    score: str,
    *,
    of: Of = "values",
    held_out: int | None = None,
    most: int = 20,
    seed: int = 0,
) -> Tested:
    """Choose examples on some runs and name the architecture of the others, fold by fold.

    Holding out one run at a time is pessimistic where architectures do not differ (an accuracy of .4 for two): the mean
    of a run's own architecture lacks it, and so lies a little away from it. ``held_out=1`` holds out one of each.

    Args:
        scores: with at least two runs of two architectures.
        score: its name.
        of: ``values`` or ``ranks``; see ``fingerprint``.
        held_out: runs per architecture that test; None: every run in turn.
        most: most examples.
        seed: decides the folds, if more than one run is held out.
    """
    check(scores, score, of, held_out)
    sizes = sizes_to(min(most, len(scores)))
    every = read(scores, score, of)
    even, odd, centre_N = sums_of(every)
    found: list[HeldOutRun] = []
    for fold in folds(scores, held_out, seed):
        halves = [_without(half, number, fold, every, centre_N) for number, half in enumerate((even, odd))]
        centroids = Centroids.of(halves[0].plus(halves[1]))
        rows = centroids.chosen(sizes[-1])
        few = centroids.only(rows)
        rating = _rating(halves, fold, every, centre_N)
        if rating is None:
            rating = few.only(np.arange(min(FOR_RATING, len(rows)))).separation()
        at = np.array(sizes) - 1
        for a, runs in fold.items():
            held_RK = every[a][np.ix_(runs, rows)] - centre_N[rows]
            nearest_RK = few.distances(held_RK).argmin(axis=1)[:, at]
            found += [HeldOutRun(a, run, row_K, rating) for run, row_K in zip(runs.tolist(), nearest_RK)]
    return Tested(score, sizes, found)


def _without(
    half: Sums, number: int, fold: dict[int, Ints], every: Sequence[Floats], centre_N: Floats
) -> Sums:
    """A half of the runs less those of the fold that are in it."""
    held = {a: runs[runs % 2 == number] for a, runs in fold.items()}
    return half.without({a: every[a][runs] - centre_N for a, runs in held.items() if len(runs)})


def _rating(
    halves: Sequence[Sums], fold: dict[int, Ints], every: Sequence[Floats], centre_N: Floats
) -> float | None:
    """How clearly examples chosen on half of a fold's runs name the other half: the mean relative margin, in [-1, 1].

    The margin of a run is (d - d_own) / (d + d_own) with d the squared distance to the nearest other architecture.
    None if a half is too small.
    """
    if any(half.runs_A.min() < 1 or half.runs_A.max() < 2 for half in halves):
        return None
    margins: list[Floats] = []
    for number, half in enumerate(halves):
        centroids = Centroids.of(half)
        rows = centroids.chosen(FOR_RATING)
        few = centroids.only(rows)
        for a, values_RN in enumerate(every):
            others = np.arange(1 - number, len(values_RN), 2)
            others = others[~np.isin(others, fold.get(a, []))]
            distances_RA = few.distances(values_RN[np.ix_(others, rows)] - centre_N[rows])[:, :, -1]
            own_R = distances_RA[:, a]
            other_R = np.delete(distances_RA, a, axis=1).min(axis=1)
            margins.append((other_R - own_R) / np.maximum(other_R + own_R, 1e-300))
    return float(np.concatenate(margins).mean())


def sizes_to(most: int) -> tuple[int, ...]:
    """Numbers of examples to try, up to ``most``."""
    if most < 1:
        raise bad_value("most", OWNER, most, "at least 1")
    return tuple(sorted({size for size in SIZES if size < most} | {most}))


def chosen_in_folds(each: Sequence[Tested]) -> Tested:
    """The same runs, each under the score of the highest rating in *its* fold.

    The held-out run had no part in that choice, so the accuracy is honest about choosing among scores.
    """
    runs = [max(same, key=lambda run: run.rating) for same in zip(*(tested.runs for tested in each))]
    return Tested("chosen in every fold", each[0].sizes, runs)
