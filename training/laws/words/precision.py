"""How well a law is known among its own runs, as a share of what it predicts."""

from __future__ import annotations

import numpy as np

from training.laws.fit import Fit
from training.laws.form import Array
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.delta_method import covariance_factor


def law_precision(fitted: Fit, boot: Bootstrap | None = None, level: float = 0.95) -> float:
    """Half the width of the law's interval over its prediction, the median over runs that count; NaN if none.

    Of the bootstrap where one is given, else of the delta method: the spread of J theta, J the derivatives of the
    residuals, times Student's quantile.
    """
    if boot is not None:
        return _half_width(boot, level, noise=False)
    from scipy.special import stdtrit

    jacobian = fitted.problem.jacobian(fitted.theta_P)
    factor_PP = covariance_factor(fitted)
    if not np.isfinite(factor_PP).all():
        return float("nan")
    spread: Array = np.sqrt(((jacobian @ factor_PP) ** 2).sum(1))
    if not fitted.minimised.of_logs:
        spread = spread * np.exp(fitted.scales.outcome) / fitted.predict(fitted.inputs)
    freedom = max(1, fitted.runs - len(fitted.form.free))
    return float(np.median(spread[fitted.weights_N > 0]) * stdtrit(freedom, 0.5 + level / 2))


def run_precision(boot: Bootstrap | None, level: float = 0.95) -> float:
    """The same for a new run at the place of one that was measured; NaN without a bootstrap."""
    return float("nan") if boot is None else _half_width(boot, level, noise=True)


def _half_width(boot: Bootstrap, level: float, noise: bool) -> float:
    centre, low, high = boot.predict(boot.fitted.inputs, level, noise=noise)
    return float(np.median(((high - low) / 2 / np.abs(centre))[boot.fitted.weights_N > 0]))
