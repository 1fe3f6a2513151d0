"""Coverage: the share of problems that at least one of k attempts solves, and its law over k."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import SPARE_RUNS, Caution
from training.laws.fit import fit
from training.laws.form import Array
from training.laws.forms.pass_rates import coverage as coverage_form
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.interval import Interval
from training.laws.uncertainty.outcome_bootstrap import refit_outcomes

POINTS = 24
"""At so many k, evenly on a log scale, the law is fitted by default."""


def pass_at_k(samples: npt.ArrayLike, correct: npt.ArrayLike, k: npt.ArrayLike) -> Array:
    """1 - C(n - c, k) / C(n, k): the unbiased chance that one of k attempts is right (Chen et al. 2021, equation 1).

    For P problems with ``samples`` n (one number for all, or (P,)) and ``correct`` c, (P,), the result is (P,) for one
    k and (P, K) for K. 1 - (1 - c / n)^k would be too low. NaN where k > n: there is no unbiased estimate. The product
    of 1 - k / i over i from n - c + 1 to n is summed in logarithms, so no binomial overflows and small chances keep
    all their digits.
    """
    c = _counts("correct", correct, 0)
    n = np.broadcast_to(_counts("samples", samples, 1), c.shape)
    ks = _counts("k", k, 1)
    if c.ndim != 1 or ks.ndim > 1:
        raise bad_value("correct", "pass_at_k", c.shape, "one number per problem, and k one number or a list")
    if (c > n).any():
        raise InputError(f"pass_at_k: {int((c > n).sum())} problems have more correct than samples.")
    found = np.full((len(c), ks.size), np.nan)
    for size in np.unique(n):
        rows = n == size
        for column, tried in enumerate(ks.reshape(-1)):
            if tried > size:
                continue
            with np.errstate(divide="ignore", invalid="ignore"):  # i = k: a right one among any k attempts
                terms = np.log1p(-tried / np.arange(size, tried - 1, -1, dtype=np.float64))
            none = np.concatenate([[0.0], np.cumsum(terms)])  # ln of the chance of no right one, by c
            found[rows, column] = -np.expm1(none[np.minimum(c[rows], size - tried + 1)])
    return found if ks.ndim else found[:, 0]


def _counts(name: str, values: npt.ArrayLike, least: int) -> npt.NDArray[np.int64]:
    given = np.asarray(values, dtype=np.float64)
    if (
        given.size == 0
        or not np.isfinite(given).all()
        or (given != np.round(given)).any()
        or (given < least).any()
    ):
        raise bad_value(name, "pass_at_k", given.tolist(), f"whole numbers from {least}")
    return given.astype(np.int64)


@dataclass(frozen=True)
class CoverageLaw:
    """coverage(k) = exp(-a k^-b) fitted to the mean over P problems at K values of k.

    ``low_K`` and ``high_K`` hold the 95 % interval of the measured coverage; all intervals are over problems: what
    another set of problems of the same kind would give, not more attempts at the same ones.
    """

    k_K: Array
    coverage_K: Array
    low_K: Array
    high_K: Array
    problems: int
    bootstrap: Bootstrap = field(repr=False)

    def interval(self, parameter: str, level: float = 0.95) -> Interval:
        """Interval of ``a`` or ``b``."""
        return self.bootstrap.interval(parameter, level)

    def predict(self, k: npt.ArrayLike, level: float = 0.95) -> tuple[Array, Array, Array]:
        """Coverage by the law and the ends of its interval, each of the shape of ``k``."""
        return self.bootstrap.predict({"k": k}, level, noise=False)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """What the resamples show, bounds, and few problems; the points of one curve are no independent runs."""
        fitted = self.bootstrap.fitted
        found = [c for c in fitted.cautions if c.code in ("at_bound", "starts_disagree")]
        size = len(fitted.form.free)
        if self.problems <= size + SPARE_RUNS:
            text = f"{self.problems} problems for {size} free parameters; the law is that of these problems."
            found.append(Caution("few_runs", text))
        return (*found, *self.bootstrap.cautions)


def fit_coverage(
    samples: npt.ArrayLike,
    correct: npt.ArrayLike,
    k: npt.ArrayLike | None = None,
    *,
    resamples: int = 1_000,
    seed: int = 0,
) -> CoverageLaw:
    """Fit the law of Brown et al. 2024 to attempts at P problems: least squares of coverage over k.

    ``k`` is by default 24 values, evenly on a log scale, up to the smallest number of samples; there is no unbiased
    coverage beyond. Points of all k come from the same problems, so their errors go together: intervals are of a
    bootstrap over problems, which refits the law to every resample. The law is a summary of how hard the problems are
    (a power over k takes a heavy tail of hard ones, Schaeffer et al. 2025) and may end beyond the k that was measured.
    """
    c = _counts("correct", correct, 0)
    least = int(np.min(_counts("samples", samples, 1)))
    tried = np.unique(np.round(np.geomspace(1, least, POINTS)) if k is None else _counts("k", k, 1))
    if tried.max() > least:
        raise bad_value(
            "k", "fit_coverage", int(tried.max()), f"at most the {least} samples of every problem"
        )
    if len(tried) < 3 or len(c) < 2 or resamples < 1:
        given = f"{len(tried)}, {len(c)} and {resamples}"
        raise InputError(f"fit_coverage: at least 3 k, 2 problems and 1 resample are needed, got {given}.")
    chance_PK = pass_at_k(samples, c, tried)
    # rows in an order of their own, so that the order of problems changes nothing
    chance_PK = chance_PK[np.lexsort(chance_PK.T)]
    mean_K = chance_PK.mean(0)
    if not mean_K.any():
        raise InputError("fit_coverage: no attempt at any problem is right, so there is nothing to fit.")
    problems = len(c)
    copies = np.random.default_rng(seed).multinomial(
        problems, np.full(problems, 1 / problems), size=resamples
    )
    means_BK = copies @ chance_PK / problems
    fitted = fit(coverage_form(), {"k": tried}, mean_K, objective="square", seed=seed)
    drawn = refit_outcomes(fitted, means_BK[:, fitted.rows_N], seed=seed)
    low, high = np.quantile(means_BK, [0.025, 0.975], axis=0)
    return CoverageLaw(tried.astype(np.float64), mean_K, low, high, problems, drawn)
