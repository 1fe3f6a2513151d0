"""Variance against bias by ensembling: what more runs of an architecture would mend, and what they would not.

The mean loss of single runs falls, ensemble by ensemble, to that of infinitely many runs: the fall is variance over
runs, the rest is bias (with the noise of the labels), which no number of runs removes (Vyas et al. 2023,
arXiv 2305.18411, compare narrow ensembles with one wide network so).

Losses are negative log-likelihoods (NLL) of the gold label, nats, of mean probabilities. A probability below the
smallest normal float32 (1.2e-38) counts as that, so no loss is above 87.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from scoring.compare.intervals.over_runs import Estimate, difference, jackknife, mean_over_runs
from scoring.compare.ranks import Floats
from scoring.hashing import derive_seed

if TYPE_CHECKING:
    from scoring.compare.predictions.probabilities import Predictions

FLOOR = float(np.finfo(np.float32).tiny)
DRAWS = 32
"""Ensembles of a size that are averaged, if there are more."""
ROUNDING = 1e-12


@dataclass(frozen=True)
class Ensembling:
    """Losses of one architecture's R runs and their ensembles, means over N examples.

    Attributes:
        place: of the architecture among all of the predictions, which decides its colour in figures.
        sizes, losses: k = 1, 2, 4, ... R, and the NLL of ensembles of k runs, mean over all or ``DRAWS`` of them.
        single: mean NLL of single runs, with Student's interval for other runs.
        whole: NLL of the ensemble of all runs, with its jackknife interval.
        infinite: NLL of infinitely many runs: the jackknife of the ensembles of R and R - 1 runs, which removes what
            falls as 1 / R (Quenouille 1956, Biometrika 43:353); its interval is widened by ``change``. None below
            three runs, and where ``change`` is over half of the step from ``whole``: the series has then not begun
            to converge, and no number would be honest.
        change: what removing the 1 / R^2 part too would change; 0 where there is no ``infinite``.
        bias, variance: split of ``single``: the NLL of the normalised geometric mean of the runs' probabilities, and
            the mean Kullback-Leibler divergence from it to the runs (Heskes 1998, Neural Computation 10:1425), which
            add up exactly. Both are for infinitely many runs by the same first jackknife step; labels' noise is in
            the bias. None below two runs.
    """

    architecture: str
    place: int
    runs: int
    sizes: tuple[int, ...]
    losses: tuple[float, ...]
    single: Estimate
    whole: Estimate
    infinite: Estimate | None
    change: float
    bias: Estimate | None
    variance: Estimate | None


def ensembling(predictions: Predictions, architecture: str, seed: int = 0) -> Ensembling:
    """Losses of ensembles of the runs of one architecture; predictions must have labels.

    Args:
        seed: decides which ensembles are drawn; the same run numbers for all architectures of R runs.
    """
    assert predictions.labels_N is not None, "losses need labels"
    own = predictions.only([architecture])
    runs = len(own.owner_M)
    members = _members(runs, seed)
    shares_DR = np.concatenate(list(members.values()))
    arithmetic_D, geometric = np.zeros(len(shares_DR)), np.zeros(runs + 1)
    for rows, probabilities_RBC in own.blocks():
        gold_B = predictions.labels_N[rows]
        gold_RB = probabilities_RBC[:, np.arange(len(gold_B)), gold_B]
        arithmetic_D -= _log(shares_DR @ gold_RB).sum(axis=1)
        geometric += _geometric_losses(_log(probabilities_RBC), gold_B)
    arithmetic_D /= len(own)
    geometric /= len(own)
    by_size = dict(
        zip(members, np.split(arithmetic_D, np.cumsum([len(each) for each in members.values()])[:-1]))
    )
    single_R = by_size[1]
    sizes = sorted({1, runs, *(2**i for i in range(runs.bit_length()) if 2**i < runs)})
    found = Ensembling(
        architecture=architecture,
        place=predictions.architectures.index(architecture),
        runs=runs,
        sizes=tuple(sizes),
        losses=tuple(float(by_size[size].mean()) for size in sizes),
        single=mean_over_runs(single_R),
        whole=Estimate(float(by_size[runs][0])),
        infinite=None,
        change=0.0,
        bias=None,
        variance=None,
    )
    if runs == 1:
        return found
    without_R = by_size[runs - 1]
    first = _infinite(found.whole.value, without_R)
    change = (
        math.inf
        if runs == 2
        else abs(_second_order(found.whole.value, without_R, by_size[runs - 2]) - first.value)
    )
    honest = change <= abs(first.value - found.whole.value) / 2 + ROUNDING
    bias = _infinite(float(geometric[0]), geometric[1:])
    # Mean losses without one run each: the variance is what they lose to the geometric mean of the same runs.
    single_without_R = (single_R.sum() - single_R) / (runs - 1)
    variance = _infinite(float(single_R.mean() - geometric[0]), single_without_R - geometric[1:])
    return replace(
        found,
        whole=jackknife(found.whole.value, [without_R]),
        infinite=first.widened(change) if honest else None,
        change=change if honest else 0.0,
        bias=bias,
        variance=variance,
    )


def left_by_ensembling(narrow: Ensembling, wide: Ensembling) -> Estimate:
    """What the narrow architecture's ensemble loses to one run of the wide one, nats: its bias, if above 0.

    The infinite ensemble, or, where that cannot be told, that of all runs there are.
    """
    best = narrow.whole if narrow.infinite is None else narrow.infinite
    return difference(best, wide.single, narrow.runs - 1, wide.runs - 1).widened(narrow.change)


def _members(runs: int, seed: int) -> dict[int, Floats]:
    """Size -> weights of ensembles of that size, (D, R); of sizes 1, R - 1 and R there are all."""
    rng = np.random.default_rng(derive_seed("ensembling", seed, runs))
    sizes = {1, runs, *(2**i for i in range(runs.bit_length())), runs - 1, runs - 2}
    found = {}
    for size in sorted(size for size in sizes if 1 <= size <= runs):
        if size == runs - 1 or math.comb(runs, size) <= DRAWS or size == 1:
            chosen = [list(each) for each in combinations(range(runs), size)]
            if size == runs - 1:
                chosen.reverse()  # the i-th is without run i
        else:
            # Windows of permutations, so that every run takes part about as often.
            chosen = []
            while len(chosen) < DRAWS:
                order = rng.permutation(runs)
                chosen += [list(order[start : start + size]) for start in range(0, runs - size + 1, size)]
        weights = np.zeros((len(chosen), runs))
        for row, each in enumerate(chosen):
            weights[row, each] = 1 / size
        found[size] = weights
    return found


def _geometric_losses(logs_RBC: Floats, gold_B: npt.NDArray[np.int64]) -> Floats:
    """Summed NLL of the normalised geometric mean of all runs, and of all but each, (R + 1,)."""
    runs, rows = logs_RBC.shape[:2]
    total_BC = logs_RBC.sum(axis=0)
    found = np.empty(runs + 1)
    for out in range(runs + 1):
        if out == 0:
            mean_BC = total_BC / runs
        elif runs == 1:
            found[out] = math.nan
            continue
        else:
            mean_BC = (total_BC - logs_RBC[out - 1]) / (runs - 1)
        # Mean logs of probabilities are at most 0 and one of them is near 0 at worst 87 below: no overflow.
        found[out] = (np.log(np.exp(mean_BC).sum(axis=1)) - mean_BC[np.arange(rows), gold_B]).sum()
    return found


def _infinite(whole: float, without_R: Floats) -> Estimate:
    """The first jackknife step with its standard error."""
    runs = len(without_R)
    return jackknife(whole, [without_R]).at(runs * whole - (runs - 1) * float(without_R.mean()))


def _second_order(whole: float, without_R: Floats, without_two: Floats) -> float:
    """The limit if the loss is a + b / k + c / k^2 in the size k of the ensemble."""
    runs = len(without_R)
    one, two = float(without_R.mean()), float(without_two.mean())
    return (runs**2 * whole - 2 * (runs - 1) ** 2 * one + (runs - 2) ** 2 * two) / 2


def _log(probabilities: Floats) -> Floats:
    found: Floats = np.log(np.maximum(probabilities, FLOOR))
    return found
