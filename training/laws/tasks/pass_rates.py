"""PassUntil: how often a small model passes, found by sampling until it does, and the law over model size."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution
from training.laws.fit import fit
from training.laws.form import Array
from training.laws.forms.pass_rates import pass_until
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.interval import Interval, level_checked
from training.laws.uncertainty.outcome_bootstrap import refit_outcomes


def pass_rate(passes: int, samples: int, level: float = 0.95) -> Interval:
    """r / K, the estimate of PassUntil after sampling until the r-th pass at the K-th sample (Hu et al. 2024).

    It is the maximum-likelihood estimate, and too high by about 1 / r of itself where passes are rare; see
    ``unbiased`` of :func:`fit_pass_rates`. The interval is exact: at its ends the r-th pass comes this early, or this
    late, with chance (1 - level) / 2.
    """
    from scipy.special import betaincinv

    level_checked(level)
    if not 1 <= passes <= samples or passes != int(passes) or samples != int(samples):
        raise bad_value("passes", "pass_rate", passes, f"a whole number from 1 to the {samples} samples")
    tail = (1 - level) / 2
    low = float(betaincinv(passes, samples - passes + 1, tail))
    high = float(betaincinv(passes, samples - passes, 1 - tail)) if samples > passes else 1.0
    return Interval(passes / samples, low, high, level)


@dataclass(frozen=True)
class PassLaw:
    """-ln PU = c N^-alpha fitted to the pass rates of M models, in ascending N, each the mean over P problems.

    Intervals are over problems, which all models share.
    """

    N_M: Array
    rate_M: Array
    problems: int
    bootstrap: Bootstrap = field(repr=False)

    def interval(self, parameter: str, level: float = 0.95) -> Interval:
        """Interval of ``c`` or ``alpha``."""
        return self.bootstrap.interval(parameter, level)

    def predict(self, N: npt.ArrayLike, level: float = 0.95) -> tuple[Array, Array, Array]:
        """The pass rate of models of N parameters and the ends of its interval, each of the shape of ``N``.

        Of the law on other problems of this kind; how far a single model strays from the law is not part of it.
        """
        return self.bootstrap.predict({"N": N}, level, noise=False)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Those of the fit to M models, and what the resamples of problems show."""
        return (*self.bootstrap.fitted.cautions, *self.bootstrap.cautions)


def fit_pass_rates(
    N: npt.ArrayLike,
    passes: npt.ArrayLike,
    samples: npt.ArrayLike,
    *,
    unbiased: bool = False,
    resamples: int = 1_000,
    seed: int = 0,
) -> PassLaw:
    """Fit the law of PassUntil to M models on P problems: ``passes`` r and ``samples`` K are (M, P), r / K the rates.

    Least squares of ln of the mean rate, so that errors of one share count alike at all sizes; a line through
    ln(-ln PU) over ln N, the usual picture, would give nearly all weight to models that nearly always pass. Every
    problem was sampled for every model. ``unbiased`` takes (r - 1) / (K - 1) for the rates (Haldane 1945), which
    matters for r up to 10 or so; it is right only where sampling went on until r passes, r of at least 2. A problem
    that never passed within its samples has rate 0; a model for which that is every problem is an error: sample on
    until it passes.
    """
    sizes = np.asarray(N, dtype=np.float64)
    r, K = np.asarray(passes, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    if r.ndim != 2 or r.shape != K.shape or len(r) != len(sizes) or r.shape[1] < 2:
        raise bad_value(
            "passes", "fit_pass_rates", r.shape, f"({len(sizes)}, P) with P of at least 2, like samples"
        )
    if not ((r >= 0) & (r <= K) & (K >= 1)).all():
        raise InputError("fit_pass_rates: passes must be from 0 to samples, and samples at least 1.")
    if resamples < 1:
        raise bad_value("resamples", "fit_pass_rates", resamples, "at least 1")
    order = np.argsort(sizes, kind="stable")
    if unbiased and not ((r >= 2) & (K > 1)).all():
        raise InputError(
            "fit_pass_rates: unbiased rates need at least 2 passes of every model on every problem."
        )
    sizes, rate_MP = sizes[order], ((r - 1) / (K - 1) if unbiased else r / K)[order]
    rate_MP = rate_MP[:, np.lexsort(rate_MP)]
    rate_M, problems = rate_MP.mean(1), rate_MP.shape[1]
    if not (rate_M > 0).all():
        raise InputError(f"fit_pass_rates: the model with N = {sizes[rate_M == 0][0]:.4g} never passed.")
    fitted = fit(pass_until(), {"N": sizes}, rate_M, objective="log_square", seed=seed)
    copies = np.random.default_rng(seed).multinomial(
        problems, np.full(problems, 1 / problems), size=resamples
    )
    means_BM = copies @ rate_MP.T / problems
    possible = (means_BM > 0).all(1)
    if possible.mean() < 0.95:
        raise InputError(
            "fit_pass_rates: resamples of the problems leave a model without any pass; sample until more of them pass."
        )
    return PassLaw(
        sizes, rate_M, problems, refit_outcomes(fitted, means_BM[possible][:, fitted.rows_N], seed=seed)
    )
