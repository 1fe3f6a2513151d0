"""Bootstrap of several laws at once: the scales stay, the noise is drawn anew, and what was run in pairs stays paired.

Runs of a learning curve stand at a few chosen scales. Drawing runs leaves some scales out, and estimates the noise at
the ends, which decide, from the few runs there: 12 runs of a law with 3 parameters covered the truth in 73 to 82 % of
cases instead of 95. Here every resample keeps all runs (a residual bootstrap: Efron 1979, section 7; Davison and
Hinkley 1997, section 6.2.3), with the losses

    ln y* = ln f(x) + t s r / sqrt(1 - h),    s = -1 or 1 with equal chance,

r and h residual and leverage of a run drawn from all runs of the law, t the ratio of Student's to the normal quantile
with n - P degrees of freedom, for the noise that n runs leave uncertain. This supposes that the relative noise of a run
is the same at every scale (for the objective ``square``: the absolute noise). Runs of several laws that were made with
one seed get sign and residual from one other such pair, so noise that they have in common cancels in their difference.

A law that misses the means of its settings by more than their runs differ (lack of fit, tested where settings have
several runs) is wrong by an amount that more runs would not lower: then whole settings are off, ``misfit.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.laws.fit import Fit
from training.laws.form import Array

Labels = npt.NDArray[np.str_]

CERTAIN = 1e-3
"""A run that decides a parameter alone has leverage 1 and no residual; 1 - h counts as no less than this."""


def noise_of(fitted: Fit, units: int | None = None) -> Array:
    """t r / sqrt(1 - h) of every run, (N,), actual - predicted, where the objective measures it.

    With ``units``, so many groups that share their noise, r / (1 - h) and units - 1 degrees of freedom (the weights of
    HC3, MacKinnon and White 1985): a group is then a draw, and its residuals are what the fit left of it.
    """
    from scipy.special import ndtri, stdtrit

    jacobian = fitted.problem.jacobian(fitted.theta_P) * np.sqrt(fitted.weights_N)[:, None]
    q, _ = np.linalg.qr(jacobian)
    left_N = np.maximum(1 - (q * q).sum(1), CERTAIN)
    freedom = len(left_N) - jacobian.shape[1] if units is None else units - 1
    widening = float(stdtrit(max(1, freedom), 0.975) / ndtri(0.975))
    return np.asarray(-widening * fitted.residuals_N / left_N ** (0.5 if units is None else 1.0))


def pooled_draws(
    noise: Mapping[str, Array], units: Mapping[str, Labels], resamples: int, seed: int
) -> dict[str, Array]:
    """Noise of B resamples for every law, (B, N): of each unit that of another one, drawn with replacement.

    A unit is one run of each of some laws, by name; its noise comes from a unit of all these laws (and perhaps more).
    """
    names, places = _places(units)
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], (resamples, len(names)))
    row_of = {law: np.full(len(names), -1) for law in units}
    for law, place in places.items():
        row_of[law][place] = np.arange(len(place))
    member_UL = np.stack([row_of[law] >= 0 for law in sorted(units)], 1)
    donors = np.empty((resamples, len(names)), dtype=np.int64)
    for pattern in np.unique(member_UL, axis=0):
        own = np.flatnonzero((member_UL == pattern).all(1))
        pool = np.flatnonzero(member_UL[:, pattern].all(1))
        donors[:, own] = pool[rng.integers(0, len(pool), (resamples, len(own)))]
    return {law: signs[:, place] * noise[law][row_of[law][donors[:, place]]] for law, place in places.items()}


def grouped_draws(
    noise: Mapping[str, Array], units: Mapping[str, Labels], resamples: int, seed: int
) -> dict[str, Array]:
    """The same for groups of runs, within and across laws: all keep their own noise under one sign.

    The wild cluster bootstrap (Cameron, Gelbach and Miller 2008): it keeps what runs of a group have in common.
    """
    names, places = _places(units)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (resamples, len(names)))
    return {law: signs[:, place] * noise[law] for law, place in places.items()}


def losses_with(fitted: Fit, noise_BN: Array) -> Array:
    """The losses of resamples, (B, N), in the order of the fit's runs."""
    if fitted.minimised.of_logs:
        return np.asarray(fitted.y_N * np.exp(fitted.residuals_N + noise_BN))
    return np.asarray(fitted.y_N + fitted.residuals_N + noise_BN)


def unit_names(keys: Sequence[Sequence[object]], law: str) -> Labels:
    """Names of the units of one law's runs from their settings, one tuple per run: paired with other laws by name.

    Several runs of one setting, which nothing tells apart, are units of this law alone: there is no saying which of
    them belongs with which run of another law.
    """
    named = [repr(tuple(key)) for key in keys]
    seen: dict[str, int] = {}
    found = []
    for name in named:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if named.count(name) == 1 else f"{law}: {name} {seen[name]}")
    return np.array(found, dtype=np.str_)


def _places(units: Mapping[str, Labels]) -> tuple[Labels, dict[str, npt.NDArray[np.int64]]]:
    """All names of units, sorted, and the place of every run's among them."""
    laws = sorted(units)
    names, place = np.unique(np.concatenate([units[law] for law in laws]), return_inverse=True)
    ends = np.cumsum([len(units[law]) for law in laws])[:-1]
    return names, dict(zip(laws, np.split(place, ends)))
