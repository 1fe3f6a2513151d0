"""Log-projection from two pilot sizes (projektor, Kang et al. 2023, stage 2): a line in ln N through two results."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from training.laws.form import Array
from training.laws.uncertainty.interval import Interval, level_checked


def project(acc0: npt.ArrayLike, acc1: npt.ArrayLike, n0: float, n1: float, n: npt.ArrayLike) -> Array:
    """[ln(n / n0) acc1 - ln(n / n1) acc0] / ln(n1 / n0): the result at n from those at the pilot sizes n0 < n1.

    Exact where results grow by the same amount for every doubling of data. It is a straight line that no accuracy
    follows for ever: it passes 1 at some n, and is not cut off there.
    """
    if not 0 < n0 < n1 < np.inf:
        raise bad_value("n0", "project", (n0, n1), "above 0 and below n1")
    size = np.asarray(n, dtype=np.float64)
    if not ((size > 0) & np.isfinite(size)).all():
        raise bad_value("n", "project", size.tolist(), "above 0")
    step = np.log(n1 / n0)
    found = (np.log(size / n0) * np.asarray(acc1) - np.log(size / n1) * np.asarray(acc0)) / step
    return np.asarray(found, dtype=np.float64)


def project_pilots(
    pilots0: npt.ArrayLike,
    pilots1: npt.ArrayLike,
    n0: float,
    n1: float,
    n: float,
    level: float = 0.95,
    *,
    noise: bool = True,
) -> Interval:
    """The projection of the mean results of repeated pilots, (R0,) and (R1,), with its interval.

    The projection is linear in the two means, so its variance is that of the delta method exactly: the squared
    coefficients times s^2 / R of each size, with Welch and Satterthwaite's degrees of freedom. With ``noise`` for the
    result of one new run at n, whose variance is taken to be that of the larger pilots; without, for the mean of such
    runs. Results of the two sizes are independent: different seeds, or paired ones would have to be differenced. One
    pilot at a size says nothing about noise, so the interval is infinite. It assumes the line; no number of pilots at
    two sizes can show that it bends.
    """
    from scipy.special import stdtrit

    level_checked(level)
    first, second = np.asarray(pilots0, dtype=np.float64), np.asarray(pilots1, dtype=np.float64)
    for name, results in (("pilots0", first), ("pilots1", second)):
        if results.ndim != 1 or len(results) == 0 or not np.isfinite(results).all():
            raise bad_value(name, "project_pilots", results.tolist(), "at least one finite result")
    value = float(project(first.mean(), second.mean(), n0, n1, n))
    if min(len(first), len(second)) < 2:
        return Interval(value, -np.inf, np.inf, level)
    step = np.log(n1 / n0)
    weights = np.log(n / n1) / step, np.log(n / n0) / step
    spread = float(first.var(ddof=1)), float(second.var(ddof=1))
    shares = [
        weights[0] ** 2 / len(first) * spread[0],
        (weights[1] ** 2 / len(second) + (1.0 if noise else 0.0)) * spread[1],
    ]
    variance = sum(shares)
    if variance == 0:
        return Interval(value, value, value, level)
    freedom = variance**2 / (shares[0] ** 2 / (len(first) - 1) + shares[1] ** 2 / (len(second) - 1))
    half = float(stdtrit(freedom, 0.5 + level / 2)) * np.sqrt(variance)
    return Interval(value, value - half, value + half, level)
