"""Variances over examples without bias, and how uncertain they are when examples and runs are both a sample.

Of architecture a let m_ia be the mean of example i over R_a runs (each run centred over the N examples) and w_ia the
variance of its runs. Then, with sums over examples divided by N - 1,

    truth_a   = sum m_ia^2 - w_ia / R_a                            what all runs of a share
    noise_a   = sum w_ia                                           what a single run adds
    shared    = sum (mean_a m_ia)^2 - sum_a w_ia / (A^2 R_a)       truth of the mean over the A architectures

are unbiased for any distribution and any R_a >= 2: they are the mean squares of an analysis of variance, solved per
architecture (equally weighted; Searle, Casella and McCulloch 1992, Variance Components).

Uncertainty. Both sides of the example x run table are random, and a run may move whole groups of examples at once, so
neither N nor N * R counts independent numbers. The covariance of an estimate is

    V = V_examples + max(0, V_runs - V_cells)                      (two-way; Cameron, Gelbach and Miller 2011)

V_examples from the influence of every example, V_runs from leaving out every run in turn (jackknife, within each
architecture), V_cells what V_runs would be if all cells of a run were independent: that part V_examples holds already.
Degrees of freedom by Satterthwaite (1946): N - 1 for examples, R_a - 1 for the runs of a. Leaving a run out of two
leaves no variance, so architectures with two runs add nothing to V_runs: their intervals hold for deviations that are
independent between examples, and ``VarianceMoments.blind`` names them.

Ranks. The examples of a run share its ranks, so an example also moves the ranks of all others; V_examples has the usual
second term of a rank statistic for that (the influence function of Spearman's rho; Croux and Dehon 2010, in
sample form with average ranks). V_cells takes account of the fixed sum of squares of the ranks of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from scoring.compare.ranks import Floats

LEVEL = 0.975


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval, all three cut at their natural bounds."""

    value: float
    low: float
    high: float
    truncated: bool = False
    """Whether the unbiased estimate was below zero and is given as 0."""


@dataclass(frozen=True)
class VarianceMoments:
    """Estimates theta, (K,), and their covariance, from which any linear form or ratio gets its interval.

    Attributes:
        theta_K: (shared, truth_1 .. truth_A, noise_1 .. noise_A), K = 1 + 2 A; with ``merged`` (shared by any two
            architectures, total_1 .. total_A), K = 1 + A.
        by_examples_KK: V_examples.
        beyond_AKK: V_runs - V_cells of every architecture; zero with fewer than three runs.
        examples: N.
        runs_A: R_a.
        run_means: per architecture the mean of every run over all examples, (R_a,).
        merged: one run per architecture, so that interaction and noise cannot be told apart.
    """

    theta_K: Floats
    by_examples_KK: Floats
    beyond_AKK: Floats
    examples: int
    runs_A: tuple[int, ...]
    run_means: tuple[Floats, ...]
    merged: bool

    @property
    def blind(self) -> list[int]:
        """Architectures whose runs are too few (below 3) to show deviations that examples share."""
        return [number for number, runs in enumerate(self.runs_A) if runs < 3]

    def linear(self, weights_K: Floats) -> Estimate:
        """A variance: weights . theta, cut at 0.

        Estimates of variances are skewed, so the interval is symmetric on the logarithm if it excludes zero anyway.
        """
        raw = float(weights_K @ self.theta_K)
        half = self.half_width(weights_K)
        if raw > half:
            return Estimate(raw, raw * float(np.exp(-half / raw)), raw * float(np.exp(half / raw)))
        return Estimate(max(raw, 0.0), 0.0, max(raw + half, 0.0), raw < 0)

    def ratio(self, above_K: Floats, below_K: Floats) -> Estimate:
        """A share or coefficient: above . theta / below . theta by the delta method, cut to [0, 1]; NaN for 0 / 0."""
        below = float(below_K @ self.theta_K)
        if below <= 0:
            return Estimate(float("nan"), float("nan"), float("nan"))
        raw = float(above_K @ self.theta_K) / below
        half = self.half_width((above_K - raw * below_K) / below)
        low, value, high = (min(max(each, 0.0), 1.0) for each in (raw - half, raw, raw + half))
        return Estimate(value, low, high, raw < 0)

    def half_width(self, gradient_K: Floats) -> float:
        """Half a 95 % interval of a function of theta with this gradient."""
        from scipy.special import stdtrit

        by_examples = float(gradient_K @ self.by_examples_KK @ gradient_K)
        by_runs_A = np.einsum("k,akl,l->a", gradient_K, self.beyond_AKK, gradient_K)
        beyond = max(float(by_runs_A.sum()), 0.0)
        total = by_examples + beyond
        if total <= 0:
            return 0.0
        denominator = (by_examples / total) ** 2 / (self.examples - 1)
        if beyond > 0:
            positive_A = np.maximum(by_runs_A, 0.0)
            parts_A = positive_A / positive_A.sum() * (beyond / total)
            denominator += float(np.sum(parts_A**2 / np.maximum(np.array(self.runs_A) - 1, 1)))
        return float(stdtrit(1 / denominator, LEVEL)) * float(np.sqrt(total))


def variance_moments(
    read: Callable[[str], Floats], architectures: Sequence[str], *, ranked: bool
) -> VarianceMoments:
    """Moments of one score; ``read(architecture)`` gives (R, N) and is called twice, runs are held one at a time.

    Args:
        read: scaled ranks ((average rank - 1/2) / N) if ``ranked``, else finite values.
        architectures: all with two runs or more; or two or more, all with one run.
        ranked: whether examples influence each other through their ranks.
    """
    first = [_means(read(name)) for name in architectures]
    run_means = tuple(means_R for means_R, _, _ in first)
    m_AN, w_AN = np.stack([m_N for _, m_N, _ in first]), np.stack([w_N for _, _, w_N in first])
    runs_A, count = tuple(len(means_R) for means_R in run_means), m_AN.shape[1]
    merged = max(runs_A) == 1
    assert len(architectures) > 1 if merged else min(runs_A) > 1, "one run beside several, or alone"
    terms_KN = _merged_terms(m_AN) if merged else _terms(m_AN, w_AN, runs_A)
    theta_K = terms_KN.mean(axis=1)
    beyond_AKK = np.zeros((len(runs_A), len(theta_K), len(theta_K)))
    if not merged:
        for number in reversed(range(len(runs_A))):  # the architecture that was read last is still in memory
            values_RN = read(architectures[number])
            beyond_AKK[number] = _one_architecture(values_RN, number, m_AN, w_AN[number], terms_KN, ranked)
    elif ranked:
        _add_merged_rank_effects(terms_KN, m_AN)
    scale = count / (count - 1)
    return VarianceMoments(
        theta_K=scale * theta_K,
        by_examples_KK=scale**2 * np.cov(terms_KN) / count,
        beyond_AKK=scale**2 * beyond_AKK,
        examples=count, runs_A=runs_A, run_means=run_means, merged=merged,
    )  # fmt: skip


def _means(values_RN: Floats) -> tuple[Floats, Floats, Floats]:
    """Means of the runs over examples (R,), of the examples over centred runs (N,), and w (N,); w is 0 for R = 1."""
    runs = len(values_RN)
    run_means = values_RN.mean(axis=1)
    m_N, w_N = np.zeros(values_RN.shape[1]), np.zeros(values_RN.shape[1])
    for values_N in values_RN:
        m_N += _centred(values_N)
    m_N /= runs
    if runs > 1:
        for values_N in values_RN:
            w_N += (_centred(values_N) - m_N) ** 2
        w_N /= runs - 1
    return run_means, m_N, w_N


def _centred(values_N: Floats) -> Floats:
    """Minus the mean; exactly 0 where all values are equal."""
    if values_N.min() == values_N.max():
        return np.zeros_like(values_N)
    centred: Floats = values_N - values_N.mean()
    return centred


def _terms(m_AN: Floats, w_AN: Floats, runs_A: tuple[int, ...]) -> Floats:
    """What every example adds to every estimate, (1 + 2 A, N); their means are the estimates."""
    runs_A1 = np.array(runs_A, dtype=np.float64)[:, None]
    shared_N = m_AN.mean(axis=0) ** 2 - (w_AN / runs_A1).sum(axis=0) / len(runs_A) ** 2
    terms: Floats = np.concatenate([shared_N[None], m_AN**2 - w_AN / runs_A1, w_AN])
    return terms


def _merged_terms(m_AN: Floats) -> Floats:
    """The same with one run each, (1 + A, N): the mean covariance of two architectures, and total variances."""
    count = len(m_AN)
    pairs_N = (m_AN.sum(axis=0) ** 2 - (m_AN**2).sum(axis=0)) / (count * (count - 1))
    terms: Floats = np.concatenate([pairs_N[None], m_AN**2])
    return terms


def _one_architecture(
    values_RN: Floats, number: int, m_AN: Floats, w_N: Floats, terms_KN: Floats, ranked: bool
) -> Floats:
    """V_runs - V_cells of one architecture, (K, K); adds to ``terms_KN`` what its ranks do to other examples."""
    (runs, count), architectures = values_RN.shape, len(m_AN)
    rows = [0, 1 + number, 1 + architectures + number]
    m_N, all_N = m_AN[number], m_AN.mean(axis=0)
    # Of the mean of all architectures the part that this one predicts: ranks constrain it.
    along = float(all_N @ m_N) / max(float(m_N @ m_N), np.finfo(np.float64).tiny) if ranked else 0.0
    left_out_R3, cells_33 = np.zeros((runs, 3)), np.zeros((3, 3))
    for run, values_N in enumerate(values_RN):
        delta_N = _centred(values_N) - m_N
        if ranked:
            noise_slope_N = 2 * delta_N / (runs - 1)
            truth_slope_N = 2 * m_N / runs - noise_slope_N / runs
            shared_slope_N = 2 * all_N / (architectures * runs) - noise_slope_N / (architectures**2 * runs)
            effects_3N = rank_effects(values_N, np.stack([shared_slope_N, truth_slope_N, noise_slope_N]))
            terms_KN[rows] += effects_3N
        if runs < 3:
            continue
        squares_N = delta_N**2
        noise_N = (w_N - squares_N * (runs / (runs - 1))) / (runs - 2)
        self_N = squares_N / (runs - 1) ** 2 - ((w_N + noise_N) / (runs - 1) - w_N / runs)
        cross_N, cross_all_N = -2 / (runs - 1) * m_N * delta_N, -2 / (runs - 1) * all_N * delta_N
        changes_3N = np.stack(
            [cross_all_N / architectures + self_N / architectures**2, cross_N + self_N, noise_N]
        )
        left_out_R3[run] = changes_3N.mean(axis=1)
        if ranked:
            # sum (m + delta)^2 is the same for all ranks without ties, so -2 m delta stands for delta^2 - its mean.
            fixed_N = (squares_N - w_N * ((runs - 1) / runs)) / (runs - 1)
            changes_3N[0] += (along * (fixed_N - cross_N)) / architectures
            changes_3N[1] += fixed_N - cross_N
        cells_33 += np.cov(changes_3N) / count
    found = np.zeros((len(terms_KN), len(terms_KN)))
    found[np.ix_(rows, rows)] = (runs - 1) / runs * (left_out_R3.T @ left_out_R3 - cells_33)
    return found


def _add_merged_rank_effects(terms_KN: Floats, m_AN: Floats) -> None:
    count = len(m_AN)
    for number, m_N in enumerate(m_AN):
        slopes_2N = np.stack([2 * (m_AN.sum(axis=0) - m_N) / (count * (count - 1)), 2 * m_N])
        terms_KN[[0, 1 + number]] += rank_effects(m_N + 0.5, slopes_2N)


def rank_effects(ranks_N: Floats, slopes_KN: Floats) -> Floats:
    """What an example does to sums of others through their ranks, (K, N), up to a constant per row.

    The scaled rank of j is mean_i [x_i < x_j] + [x_i = x_j] / 2, so example i adds to it for all j above i (half for
    ties), which moves the mean over j of a term with slope s_j by mean_j s_j ([x_i < x_j] + [x_i = x_j] / 2).
    """
    count = len(ranks_N)
    places_N = np.rint(2 * count * ranks_N).astype(np.int64)  # twice the average rank, minus 1
    found = np.empty_like(slopes_KN)
    for row, slopes_N in enumerate(slopes_KN):
        at_place = np.bincount(places_N, weights=slopes_N, minlength=2 * count)
        found[row] = (at_place.sum() - np.cumsum(at_place) + at_place / 2)[places_N] / count
    return found
