"""What averaging over runs does to a reliability: Spearman (1910) and Brown (1910).

If an example's score in a run is its own value plus an error, a mean over n runs has the signal of one run and a share
1 / n of its error, so the odds rho / (1 - rho) of its reliability are n times those of one run:

    rho_n = n rho / (1 + (n - 1) rho).

That holds for Pearson's correlation. For Spearman's it is close where values are continuous, and wrong where many tie:
a mean of counts has fewer ties than the counts, which is another kind of gain.
"""

from __future__ import annotations

from scoring.errors import bad_value

MANY_TIES = 0.5
"""Above this share of tied rows single runs alone offer no prediction: the cautious rule, which nothing can check."""
MOST_TIE_LOSS = 0.15
"""Where ties take a larger share of the variance of ranks, Spearman-Brown is not used.

Measured: counts of which 20 to 80 % are one value (.2 to .8 of the variance) are off by .1 to .2; counts and rounded
numbers with less (.00 to .14) by .05 at most, as continuous scores are.
"""


def spearman_brown(rho: float, runs: float) -> float:
    """Reliability of a mean of ``runs`` measurements from that of one: n rho / (1 + (n - 1) rho)."""
    return runs * rho / (1 + (runs - 1) * rho)


def runs_needed(rho: float, target: float) -> float:
    """Runs whose mean reaches reliability ``target`` by Spearman-Brown; infinite for ``rho <= 0``."""
    if not 0 < target < 1:
        raise bad_value("target", "runs_needed", target, "between 0 and 1, both excluded")
    return float("inf") if rho <= 0 else max(1.0, target * (1 - rho) / (rho * (1 - target)))
