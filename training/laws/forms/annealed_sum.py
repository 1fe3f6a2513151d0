"""The sum over all changes of the rate in the multi-power law, by quadrature: about 100 terms a point, not 24,000.

For a loss at step t the law sums f(k) = 1 - (1 + C lr_k^-gamma (S1(t) - S1(k-1)))^-beta over steps k <= t, weighted
by lr_k - lr_(k-1) (Luo et al. 2025, equation 4). Steps without a change contribute nothing. Where the schedule is
smooth, f is smooth in k, ever more so the further k lies before t; so the steps are cut into blocks at most twice as
long as they are far from t (in S1) and over which lr at most doubles, and a block of more than ``NODES`` steps is
replaced by ``NODES`` of them, near Chebyshev's points, with weights that make the sum exact for every f that is a
polynomial of degree ``NODES`` - 1 on it. Other steps count by themselves, so the sum is right for any schedule; rough
ones only cost more. Predicted losses are off by less than 1e-8 of themselves (tests compare with the whole sum).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from training.laws.annealing.schedules import Schedule
from training.laws.form import Array

NODES = 6
LONGEST = 2.0
"""Length of a block over its distance to t."""
SMOOTH = 1e-8
"""A schedule is smooth on a block if its polynomial through the nodes misses no rate by more than this share."""
NO_CHANGE = 1e-13
"""Changes below this share of the highest rate are rounding."""
LOWEST = 1e-12
"""Rates count as at least this share of the highest one: what falls to 0 then has its limit."""

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Terms:
    """M terms of the sums of n points, in the order of the points: point i has terms ``starts_n[i]`` to the next.

    ``weights_M`` add up changes of the rate, ``ln_lr_M`` is ln lr_k, ``ln_span_M`` is ln(S1(t) - S1(k - 1)).
    """

    starts_n: Rows
    weights_M: Array
    ln_lr_M: Array
    ln_span_M: Array


class Blocks:
    """Blocks of steps of one schedule, made when first asked for."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        highest = schedule.lr_T.max()
        self.lr = np.maximum(schedule.lr_T, LOWEST * highest)
        self.changes = np.where(np.abs(schedule.changes_T) > NO_CHANGE * highest, schedule.changes_T, 0.0)
        self.before = schedule.S1_T - schedule.lr_T  # S1(k - 1)
        self.known: dict[tuple[int, int], tuple[Rows, Array] | None] = {}

    @cached_property
    def segments(self) -> list[tuple[int, int]]:
        """[a, b) over which the rate only rises or only falls; a kink between the two is no place for a polynomial."""
        sign = np.sign(self.changes)
        cuts = [0, *(np.flatnonzero(np.diff(sign)) + 1).tolist(), len(sign)]
        return [(a, b) for a, b in itertools.pairwise(cuts) if sign[a] != 0]

    def rule(self, a: int, b: int) -> tuple[Rows, Array] | None:
        """Steps and weights that stand for the block [a, b); None where the schedule is not smooth enough."""
        if (a, b) not in self.known:
            self.known[a, b] = self._rule(a, b)
        return self.known[a, b]

    def _rule(self, a: int, b: int) -> tuple[Rows, Array] | None:
        lr = self.lr[a:b]
        if lr.max() > 2 * lr.min():
            return None
        points = np.cos(np.pi * (np.arange(NODES)[::-1] + 0.5) / NODES)
        nodes = np.unique(np.round((b - a - 1) / 2 * (1 + points)).astype(np.int64))
        basis = _lagrange(nodes, b - a)
        if np.abs(basis @ lr[nodes] - lr).max() > SMOOTH * lr.min():
            return None
        return a + nodes, self.changes[a:b] @ basis

    def terms(self, t: int) -> tuple[Rows, Array]:
        """Steps and weights of the sum at step t."""
        steps, weights = [], []
        here = self.schedule.S1_T[t]
        stack = [segment for segment in self.segments if segment[0] <= t]
        while stack:
            a, b = stack.pop()
            if b - a > NODES:
                nearest = here - self.before[b - 1]
                far = b <= t + 1 and self.before[b - 1] - self.before[a] <= LONGEST * nearest
                rule = self.rule(a, b) if far else None
                if rule is None:
                    middle = (a + b) // 2
                    stack.extend(half for half in ((a, middle), (middle, b)) if half[0] <= t)
                else:
                    steps.append(rule[0])
                    weights.append(rule[1])
            else:
                alone = np.arange(a, min(b, t + 1))
                steps.append(alone)
                weights.append(self.changes[alone])
        none = np.zeros(0)
        return np.concatenate([none.astype(np.int64), *steps]), np.concatenate([none, *weights])


def annealed_terms(points: list[tuple[Schedule, Rows]]) -> Terms:
    """The terms of all points: several schedules, each with the steps at which losses are wanted."""
    counts, weights, ln_lr, ln_span = [], [], [], []
    for schedule, steps in points:
        blocks = Blocks(schedule)
        for t in steps.tolist():
            k, weight = blocks.terms(t)
            if len(k) == 0:  # nothing changed so far; every point has at least one term
                k, weight = np.array([t]), np.zeros(1)
            span = np.maximum(schedule.S1_T[t] - blocks.before[k], LOWEST * schedule.S1_T[t])
            counts.append(len(k))
            weights.append(weight)
            ln_lr.append(np.log(blocks.lr[k]))
            ln_span.append(np.log(span))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    return Terms(starts, np.concatenate(weights), np.concatenate(ln_lr), np.concatenate(ln_span))


def _lagrange(nodes_m: Rows, size: int) -> Array:
    """Values (size, m) at 0 ... size - 1 of the polynomials that are 1 at one node and 0 at the others."""
    x = np.arange(size, dtype=np.float64)[:, None]
    at = nodes_m.astype(np.float64) / max(
        1, size - 1
    )  # on [0, 1], where differences have a product that is not tiny
    x = x / max(1, size - 1)
    columns = []
    for j in range(len(at)):
        others = np.delete(at, j)
        columns.append(np.prod((x - others) / (at[j] - others), axis=1))
    return np.stack(columns, axis=1)
