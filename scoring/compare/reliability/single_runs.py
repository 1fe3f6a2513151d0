"""Seed-to-seed reliability: would another training run have ranked the examples the same way?

Kwok et al. 2024 (arXiv 2401.01867) find that rankings from one run are unstable for many scores; this is the check.
Averages over more runs are measured by ``run_curve``, which needs twice as many, or predicted by ``spearman_brown``,
which fails for scores with many ties such as forgetting counts; ``Reliability.tied`` says how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from scoring.compare.intervals.over_pairs import Interval, pair_interval
from scoring.compare.kept_sets import kept_count
from scoring.compare.ranks import Floats, NanPolicy, chance_in_top, hard_high, spearman, usable_rows
from scoring.compare.reliability.spearman_brown import MANY_TIES, spearman_brown
from scoring.describe import tied_fraction
from scoring.errors import bad_value
from scoring.meaning import Meaning


@dataclass(frozen=True)
class Reliability:
    """How well single runs of one score agree; correlations are Spearman's, overlaps are shares of the kept set."""

    name: str
    runs: int
    rows: int
    rho: float
    """Mean over all pairs of runs; NaN when a run gives every example the same score."""
    rho_lowest: float
    rho_highest: float
    keep: float
    overlap: float
    """Mean share of the kept hardest that two runs have in common; by chance it is ``keep``."""
    tied: float
    """Fraction of rows whose value another row of the same run has too, mean over runs."""
    interval: Interval | None
    """95 % of ``rho`` over runs (``over_pairs``); None with fewer than three runs or where it is NaN."""

    def of_mean(self, runs: int) -> float | None:
        """Predicted correlation of two means over ``runs`` runs each; None where ties make the formula wrong."""
        return None if self.tied > MANY_TIES else spearman_brown(self.rho, runs)


def pair_correlations(values_RN: npt.ArrayLike, *, nan: NanPolicy = "error") -> Floats:
    """Spearman of every pair of runs, (R, R), over the rows that both runs scored."""
    runs = np.asarray(values_RN, dtype=np.float64)
    if runs.ndim != 2 or len(runs) < 2:
        raise bad_value("values_RN", "reliability", runs.shape, "of shape (runs, rows) with at least 2 runs")
    rho = np.eye(len(runs))
    for i, j in combinations(range(len(runs)), 2):
        both = usable_rows({f"run {i}": runs[i], f"run {j}": runs[j]}, nan, "reliability")
        rho[i, j] = rho[j, i] = spearman(runs[i][both], runs[j][both])
    return rho


def reliability(
    values_RN: npt.ArrayLike,
    *,
    name: str = "score",
    meaning: Meaning = "hard",
    keep: float = 0.3,
    nan: NanPolicy = "error",
) -> Reliability:
    """Agreement of R single runs of one score.

    Args:
        values_RN: one row per run, one column per example, (R, N) with R >= 2.
        name: what to call the score.
        meaning: what a high value means; the overlap is that of the ``keep`` hardest.
        keep: fraction in (0, 1) for the overlap of kept sets, at least one row.
        nan: ``error``, or ``drop``: pairs of runs are compared on the rows that both have.
    """
    if not 0 < keep < 1:
        raise bad_value("keep", "reliability", keep, "a fraction between 0 and 1, both excluded")
    runs = np.atleast_2d(np.asarray(values_RN, dtype=np.float64))
    rho_RR = pair_correlations(runs, nan=nan)
    rho = rho_RR[np.triu_indices(len(runs), 1)]
    overlaps = []
    for a, b in combinations(runs, 2):
        both = ~np.isnan(a) & ~np.isnan(b)
        k = kept_count(keep, int(both.sum()))
        in_a, in_b = (chance_in_top(hard_high(run[both], meaning, name), k) for run in (a, b))
        overlaps.append(float(in_a @ in_b) / k)
    return Reliability(
        name=name,
        runs=len(runs),
        rows=int((~np.isnan(runs)).any(axis=0).sum()),
        rho=float(rho.mean()),
        rho_lowest=float(rho.min()),
        rho_highest=float(rho.max()),
        keep=keep,
        overlap=float(np.mean(overlaps)),
        tied=float(np.mean([tied_fraction(run) for run in runs])),
        interval=pair_interval(rho_RR),
    )


def reliabilities(
    runs: Mapping[str, npt.ArrayLike],
    meanings: Mapping[str, Meaning],
    *,
    keep: float = 0.3,
    nan: NanPolicy = "error",
) -> list[Reliability]:
    """``reliability`` of several scores, the most reliable first; constant scores come last."""
    found = [
        reliability(values, name=name, meaning=meanings[name], keep=keep, nan=nan)
        for name, values in runs.items()
    ]
    return sorted(found, key=lambda r: (np.isnan(r.rho), -r.rho if not np.isnan(r.rho) else 0.0, r.name))
