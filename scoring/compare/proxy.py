"""May a small model score for a large one? What its scores keep, beside what the large one's own next runs would keep.

A proxy cannot agree with a target better than the target with itself, so every overlap stands beside that ceiling
and beside chance, and correlations are also given corrected for attenuation (Spearman 1904). That wide networks agree
across widths, up to noise that falls with width, is the finding of Vyas et al. 2023 (arXiv 2305.18411).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoring.compare.agreement.attenuation import disattenuated
from scoring.compare.intervals.over_runs import Estimate, jackknife
from scoring.compare.kept_sets import kept_count
from scoring.compare.ranks import Floats, average_ranks, chance_in_top
from scoring.compare.reliability.self_overlap import OverlapScale, self_overlap
from scoring.compare.run_scores import RunScores
from scoring.errors import bad_value, unknown_name

Verdict = Literal["yes", "cannot tell", "no"]
OWNER = "proxy_check"
MARGIN = 0.05
"""A proxy will do if it loses at most this share of the kept set beyond what the target's own runs lose."""
LEAST_CEILING = 0.5
"""... of a target that agrees with itself at least half-way from chance to 1: else its kept set is mostly noise or
ties, and whatever agrees with it as badly would pass."""


@dataclass(frozen=True)
class ProxyCheck:
    """One score, one proxy and the target.

    Attributes:
        place: of the proxy among all architectures, which decides its colour in figures.
        rho_single: mean Spearman correlation of single runs of the proxy with the target's mean over runs.
        rho_mean: Spearman of the two means over runs.
        rho_corrected: mean correlation between single runs of both, corrected for attenuation by
            ``reliability_proxy`` and ``reliability_target``, the mean correlations between two runs of each: 1 where
            both order examples alike but for noise. NaN where a reliability is unknown or very low.
        kept: size of the kept sets: the hardest by the means over runs, ties at the cut broken at random.
        overlap: share of the target's kept set that is in the proxy's; by chance it is ``chance``.
        ceiling: expected overlap of two means over as many fresh runs of the target each (``self_overlap``).
        shortfall: ceiling - overlap.
        margin: the largest shortfall that will do.

    Intervals are jackknife ones over the runs of both; they need two runs of the proxy and three of the target. They
    speak of other runs on these examples. As a set changes by whole examples, they are wide for a few hundred examples
    (96 to 100 % of them held the truth in simulations): few examples end in "cannot tell" rather than in error. Ties at
    the cut count as disagreement, in overlap and ceiling alike.
    """

    score: str
    proxy: str
    target: str
    place: int
    proxy_runs: int
    target_runs: int
    rho_single: float
    rho_mean: float
    rho_corrected: Estimate
    reliability_proxy: float
    reliability_target: float
    kept: int
    chance: float
    overlap: Estimate
    ceiling: Estimate
    shortfall: Estimate
    margin: float

    @property
    def verdict(self) -> Verdict:
        """By the intervals of shortfall and ceiling alone."""
        low, high = self.shortfall.interval
        if not self.shortfall.firm:
            return "cannot tell"
        if low > self.margin:
            return "no"
        return "yes" if high <= self.margin and self.target_is_firm else "cannot tell"

    @property
    def target_is_firm(self) -> bool:
        """Whether the target agrees with itself well enough to pass anything (``LEAST_CEILING``)."""
        least = self.chance + LEAST_CEILING * (1 - self.chance)
        return self.ceiling.firm and self.ceiling.interval[0] >= least

    @property
    def reason(self) -> str:
        """Why the verdict is what it is."""
        if not self.shortfall.firm:
            return "an interval needs two runs of the proxy and three of the target"
        low, high = self.shortfall.interval
        if high <= self.margin and not self.target_is_firm:
            return "the target's own kept set is mostly noise or ties"
        found = f"{100 * low:.1f} to {100 * high:.1f} points are lost beyond the target's own noise"
        return f"{found}, {100 * self.margin:.3g} would do"


def proxy_checks(
    scores: RunScores, proxies: Sequence[str], *, keep: float = 0.3, margin: float = MARGIN, seed: int = 0
) -> list[ProxyCheck]:
    """Every score of every proxy against the target, the last of ``proxies``: score by score, proxies in their order.

    A score that is infinite somewhere is averaged as ranks.

    Raises:
        InputError: fewer than two architectures, one that is not there or twice, ``keep`` or ``margin`` out of range.
    """
    for name in proxies:
        if name not in scores.runs:
            raise unknown_name("proxy", OWNER, name, scores.architectures)
    if len(proxies) < 2 or len(set(proxies)) < len(proxies):
        raise bad_value(
            "proxies", OWNER, list(proxies), "two or more different architectures, the target last"
        )
    for option, value in (("keep", keep), ("margin", margin)):
        if not 0 < value < 1:
            raise bad_value(option, OWNER, value, "between 0 and 1, both excluded")
    kept = kept_count(keep, len(scores))
    if kept == len(scores):
        raise bad_value("keep", OWNER, keep, f"small enough to leave out one of {len(scores)} examples")
    scale = OverlapScale(kept / len(scores))
    return [
        check
        for score in scores.scores
        for check in _of_score(scores, score, proxies, kept, scale, margin, seed)
    ]


def _of_score(
    scores: RunScores,
    score: str,
    proxies: Sequence[str],
    kept: int,
    scale: OverlapScale,
    margin: float,
    seed: int,
) -> list[ProxyCheck]:
    *small, target = proxies
    finite = all(np.isfinite(scores.values(score, name)).all() for name in proxies)
    read = scores.values if finite else scores.ranks
    target_RN = read(score, target)
    mean_1N = _scaled_ranks(target_RN.mean(axis=0))
    ceiling, ceiling_without = self_overlap(target_RN, kept, scale, seed)
    own_set, own_sets = _kept_sets(target_RN, kept)
    target_rho = _spearman_matrix(scores.ranks(score, target), scores.ranks(score, target))
    found = []
    for name in small:
        proxy_QN = read(score, name)
        its_set, its_sets = _kept_sets(proxy_QN, kept)
        overlap = float(its_set @ own_set) / kept
        of_proxy, of_target = its_sets @ own_set / kept, own_sets @ its_set / kept
        rho = _spearman_matrix(scores.ranks(score, name), scores.ranks(score, target))
        proxy_rho = _spearman_matrix(scores.ranks(score, name), scores.ranks(score, name))
        found.append(
            ProxyCheck(
                score=score,
                proxy=name,
                target=target,
                place=scores.architectures.index(name),
                proxy_runs=len(proxy_QN),
                target_runs=len(target_RN),
                rho_single=float(_spearman_matrix(scores.ranks(score, name), mean_1N).mean()),
                rho_mean=float(_spearman_matrix(_scaled_ranks(proxy_QN.mean(axis=0)), mean_1N)[0, 0]),
                rho_corrected=_corrected(proxy_rho, rho, target_rho),
                reliability_proxy=_pair_mean(proxy_rho),
                reliability_target=_pair_mean(target_rho),
                kept=kept,
                chance=scale.share,
                overlap=jackknife(overlap, [of_proxy, of_target]).within(0, 1),
                ceiling=jackknife(ceiling, [ceiling_without]).within(0, 1),
                shortfall=jackknife(ceiling - overlap, [ceiling - of_proxy, ceiling_without - of_target]),
                margin=margin,
            )
        )
    return found


def _kept_sets(values_RN: Floats, kept: int) -> tuple[Floats, Floats]:
    """Kept set of the mean over runs, (N,), and of the means without each run, (R, N); of one run there are none."""
    total_N = values_RN.sum(axis=0)
    without = [chance_in_top(total_N - run_N, kept) for run_N in values_RN] if len(values_RN) > 1 else []
    return chance_in_top(total_N, kept), np.array(without).reshape(-1, values_RN.shape[1])


def _scaled_ranks(values_N: Floats) -> Floats:
    """Ranks in (0, 1) with mean 1/2, as those of ``RunScores``, (1, N)."""
    found: Floats = (average_ranks(values_N)[None] - 0.5) / len(values_N)
    return found


def _spearman_matrix(a_RN: Floats, b_QN: Floats) -> Floats:
    """Spearman of all runs of one with all of the other, (R, Q), from scaled ranks; NaN where a run is constant."""
    rows = a_RN.shape[1]

    def variance(ranks_RN: Floats) -> Floats:
        found: Floats = np.einsum("rn,rn->r", ranks_RN, ranks_RN) - rows / 4
        return np.where(found > 1e-9 * rows, found, np.nan)

    covariance = a_RN @ b_QN.T - rows / 4  # the mean of scaled ranks is 1/2
    found: Floats = np.clip(covariance / np.sqrt(np.outer(variance(a_RN), variance(b_QN))), -1, 1)
    return found


def _pair_mean(rho_RR: Floats) -> float:
    """Mean over pairs of different runs; NaN of one run."""
    upper = rho_RR[np.triu_indices(len(rho_RR), 1)]
    return float(upper.mean()) if len(upper) else float("nan")


def _corrected(proxy_QQ: Floats, between_QR: Floats, target_RR: Floats) -> Estimate:
    def value(q: list[int], r: list[int]) -> float:
        own, its = _pair_mean(proxy_QQ[np.ix_(q, q)]), _pair_mean(target_RR[np.ix_(r, r)])
        return float(disattenuated(between_QR[np.ix_(q, r)].mean(), own, its))

    every_q, every_r = list(range(len(proxy_QQ))), list(range(len(target_RR)))
    return jackknife(
        value(every_q, every_r),
        [
            [value([i for i in every_q if i != out], every_r) for out in every_q]
            if len(every_q) > 2
            else [np.nan],
            [value(every_q, [i for i in every_r if i != out]) for out in every_r]
            if len(every_r) > 2
            else [np.nan],
        ],
    )
