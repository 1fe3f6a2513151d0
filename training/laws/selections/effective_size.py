"""Effective model size: how large a model trained on all data must be to do what this one does on a selection.

The revision of Sachdeva et al. 2024 ("How to Train Data-Efficient LLMs") gives samplers an effective model size; its
way of interpolating is not known to us. Here: linear in ln N between the two sizes trained on all data whose mean
metrics enclose that of the selection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value
from training.laws.cautions import Caution

OWNER = "effective_size"
Place = Literal["inside", "below the smallest", "above the largest", "not ordered"]


@dataclass(frozen=True)
class EffectiveSize:
    """``size``: parameters N; with ``low`` and ``high`` the 95 % t interval over seeds.

    ``place`` says where the metric lies among the sizes trained on all data. Outside of them nothing is extrapolated:
    ``size`` is 0 below the smallest and infinite above the largest, without an interval (NaN). ``not ordered``: a
    larger model was not better in the mean, so that a metric belongs to no one size; all are NaN. An end of the
    interval that is beyond the sizes is 0 or infinite.
    """

    size: float
    low: float
    high: float
    place: Place
    cautions: tuple[Caution, ...] = ()


def effective_size(
    values_S: npt.ArrayLike,
    full: Mapping[float, Sequence[float]],
    *,
    lower_is_better: bool = True,
) -> EffectiveSize:
    """The size of a full-data model with the metric of a selection.

    Args:
        values_S: The metric of models of one size on a selection, of S seeds.
        full: Number of parameters -> the metric of models trained on all data, of the same seeds in the same order.

    Between neighbouring sizes i and j, with means y_i, y_j and y = mean(values), ln N = ln N_i + (y - y_i) / b, slope
    b = (y_j - y_i) / (ln N_j - ln N_i). The interval is the delta method's: the t interval over seeds s of
    ln N + (values_s - f_s) / b, f_s being the interpolation of seed s at ln N. Noise that a seed gives to both cancels.
    With one seed it is all sizes.

    Raises:
        InputError: Fewer than two sizes, other numbers of seeds, values that are not finite.
    """
    values = np.asarray(values_S, dtype=np.float64)
    sizes = np.array(sorted(full), dtype=np.float64)
    if len(sizes) < 2 or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise bad_value("full", OWNER, sizes.tolist(), "at least two sizes above 0")
    if values.ndim != 1 or not len(values) or any(len(full[size]) != len(values) for size in full):
        raise InputError(f"{OWNER}: each size needs the metric of the same seeds as the selection.")
    full_KS = np.array([full[size] for size in sorted(full)], dtype=np.float64)
    if not (np.isfinite(full_KS).all() and np.isfinite(values).all()):
        raise InputError(f"{OWNER}: metrics must be finite.")
    sign = -1.0 if lower_is_better else 1.0
    gain_KS, gain_S = sign * full_KS, sign * values
    means, mean = gain_KS.mean(1), float(gain_S.mean())
    nan = float("nan")
    if (np.diff(means) <= 0).any():
        worse = [f"{b:,.0f}" for (a, b), step in zip(pairwise(sizes), np.diff(means)) if step <= 0]
        said = f"models of {', '.join(worse)} parameters on all data are not better than the next smaller."
        return EffectiveSize(nan, nan, nan, "not ordered", (Caution("unrelated", said),))
    if mean < means[0]:
        return EffectiveSize(0.0, nan, nan, "below the smallest")
    if mean > means[-1]:
        return EffectiveSize(np.inf, nan, nan, "above the largest")
    ln = np.log(sizes)
    i = min(int(np.searchsorted(means, mean, side="right")) - 1, len(sizes) - 2)
    slope = (means[i + 1] - means[i]) / (ln[i + 1] - ln[i])
    found = float(ln[i] + (mean - means[i]) / slope)
    share = (found - ln[i]) / (ln[i + 1] - ln[i])
    curve_S = (1 - share) * gain_KS[i] + share * gain_KS[i + 1]
    half = _half_width((gain_S - curve_S) / slope)
    low, high = found - half, found + half
    return EffectiveSize(
        float(np.exp(found)),
        0.0 if low < ln[0] else float(np.exp(low)),
        float("inf") if high > ln[-1] else float(np.exp(high)),
        "inside",
    )


def _half_width(values_S: npt.NDArray[np.float64]) -> float:
    """Half of the 95 % t interval of the mean; infinite for one value."""
    from scipy.special import stdtrit

    seeds = len(values_S)
    if seeds == 1:
        return float("inf")
    return float(stdtrit(seeds - 1, 0.975) * values_S.std(ddof=1) / np.sqrt(seeds))
