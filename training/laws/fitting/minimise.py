"""Many small minimisations at once: BFGS with bounds, one vectorised step for all starts and resamples, and a polish.

Laws have two to fourteen parameters, so the inverse Hessian is kept whole: L-BFGS with a memory as long as the run is
the same method and here saves nothing. Every problem is a small machine of its own (step length, bracket, direction);
a round evaluates the trial point of every unfinished problem once, so none waits for another one's line search.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.laws.form import Array

Rows = npt.NDArray[np.int64]
Function = Callable[[Array, Rows], tuple[Array, Array]]
"""Points (K, P) and the problems (K,) they belong to -> values (K,) and gradients (K, P)."""

ARMIJO, WOLFE = 1e-4, 0.9
TRIALS = 30
QUIET = 3
"""A problem is finished after so many accepted steps in a row that gain less than the tolerance."""
DIFFERENCE = 1e-6


@dataclass
class Minima:
    """What R minimisations reached: points (R, P), values (R,), gradients (R, P), and which finished by themselves."""

    points_RP: Array
    values_R: Array
    gradients_RP: Array
    finished_R: npt.NDArray[np.bool_]


def minimise(
    function: Function,
    starts_RP: Array,
    low_P: Array,
    high_P: Array,
    tolerance: float = 1e-14,
    most: int = 2_000,
    inverse_hessians_RPP: Array | None = None,
) -> Minima:
    """Minimise from every start within the bounds, until steps gain less than ``tolerance`` of the value.

    The inverse Hessian acts on the parameters that are not held at a bound by their gradient (Bertsekas 1982); steps
    are projected on the bounds. Step lengths meet the weak Wolfe conditions by bisection (Lewis and Overton 2013),
    which also serves objectives with kinks. Where the function is not finite the step is shortened; a start at which
    it is not finite stays where it is with value infinity. ``inverse_hessians_RPP`` are first guesses, zero where
    there is none.
    """
    x = np.clip(np.asarray(starts_RP, dtype=np.float64), low_P, high_P)
    count, size = x.shape
    f, g = function(x, np.arange(count))
    f = np.where(np.isfinite(f), f, np.inf)
    finished = ~np.isfinite(f)
    if size == 0:
        return Minima(x, f, g, np.isfinite(f))
    active = np.flatnonzero(~finished)
    H = np.zeros((count, size, size)) if inverse_hessians_RPP is None else inverse_hessians_RPP.copy()
    fresh: npt.NDArray[np.bool_] = np.asarray(~H.any((1, 2)))  # no curvature known yet
    t, lo, hi = np.ones(count), np.zeros(count), np.full(count, np.inf)
    trials, quiet = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    d = np.zeros_like(x)
    _direct(active, x, g, H, fresh, d, low_P, high_P)
    for _ in range(most):
        if len(active) == 0:
            break
        a = active
        trial = np.clip(x[a] + t[a, None] * d[a], low_P, high_P)
        step = trial - x[a]
        ft, gt = function(trial, a)
        slope = (g[a] * step).sum(1)
        finite = np.isfinite(ft) & np.isfinite(gt).all(1)
        lower = finite & (ft <= f[a] + ARMIJO * slope) & (slope < 0)
        clipped = (trial != x[a] + t[a, None] * d[a]).any(1)
        with np.errstate(invalid="ignore"):  # an infinite slope along a parameter that does not move
            flat = (gt * d[a]).sum(1) >= WOLFE * (g[a] * d[a]).sum(1)
        trials[a] += 1
        taken = lower & (flat | clipped | (trials[a] > TRIALS))
        still = ~taken & ((trials[a] > TRIALS) | (step == 0).all(1))

        short, long = a[~lower & ~taken], a[lower & ~taken]
        hi[short], lo[long] = t[short], t[long]
        shrink = np.where(finite[~lower & ~taken], 0.5, 0.1)
        t[short] = lo[short] + shrink * (hi[short] - lo[short])
        t[long] = np.where(np.isfinite(hi[long]), (lo[long] + hi[long]) / 2, 2 * t[long])

        k = a[taken]
        s, y = step[taken], gt[taken] - g[k]
        gain = f[k] - ft[taken]
        x[k], f[k], g[k] = trial[taken], ft[taken], gt[taken]
        _learn(k, s, np.where(s == 0, 0.0, y), H, fresh)
        quiet[k] = np.where(gain <= tolerance * np.abs(f[k]), quiet[k] + 1, 0)
        stuck = a[still]
        done = np.concatenate([k[quiet[k] >= QUIET], stuck[fresh[stuck]]])
        finished[done] = True
        fresh[stuck] = True  # once more from the steepest descent
        again = np.concatenate([k, stuck])
        t[again], lo[again], hi[again], trials[again] = 1.0, 0.0, np.inf, 0
        flatland = _direct(again, x, g, H, fresh, d, low_P, high_P)
        finished[flatland] = True
        active = active[~finished[active]]
    return Minima(x, f, g, finished & np.isfinite(f))


def _held(x: Array, g: Array, low: Array, high: Array) -> npt.NDArray[np.bool_]:
    """Parameters at a bound that the gradient pushes further out."""
    held: npt.NDArray[np.bool_] = ((x <= low) & (g > 0)) | ((x >= high) & (g < 0))
    return held


def _direct(
    k: Rows, x: Array, g: Array, H: Array, fresh: npt.NDArray[np.bool_], d: Array, low: Array, high: Array
) -> Rows:
    """Set the directions of problems ``k``; those without any slope left are returned."""
    pull = np.where(_held(x[k], g[k], low, high), 0.0, g[k])
    size = np.abs(pull).max(1)
    steepest = -pull / np.maximum(size, 1e-300)[:, None] * np.minimum(1.0, size)[:, None]
    curved = -np.einsum("kij,kj->ki", H[k], pull)
    curved = np.where(pull == 0, 0.0, curved)
    downhill = (curved * pull).sum(1) < 0
    reset = fresh[k] | ~downhill | ~np.isfinite(curved).all(1)
    fresh[k[reset]] = True
    d[k] = np.where(reset[:, None], steepest, curved)
    without: Rows = k[size == 0]
    return without


def _learn(k: Rows, s: Array, y: Array, H: Array, fresh: npt.NDArray[np.bool_]) -> None:
    """The BFGS update of the inverse Hessians of problems ``k`` (Nocedal and Wright 2006, equation 6.17)."""
    sy, yy = (s * y).sum(1), (y * y).sum(1)
    good = (
        (sy > 1e-12 * np.sqrt((s * s).sum(1) * yy)) & (yy > 0) & np.isfinite(sy / np.where(yy > 0, yy, 1.0))
    )
    k, s, y, sy, yy = k[good], s[good], y[good], sy[good], yy[good]
    first = fresh[k]
    H[k[first]] = np.eye(s.shape[1]) * (sy / yy)[first, None, None]
    fresh[k] = False
    rho = 1 / sy
    Hy = np.einsum("kij,kj->ki", H[k], y)
    outer = np.einsum("ki,kj->kij", Hy, s)
    scale = (1 + (y * Hy).sum(1) * rho) * rho
    H[k] += scale[:, None, None] * np.einsum("ki,kj->kij", s, s) - rho[:, None, None] * (
        outer + outer.transpose(0, 2, 1)
    )


def hessians(function: Function, points_RP: Array, gradients_RP: Array, rows_R: Rows) -> Array:
    """Second derivatives (R, P, P) by differences of the gradient, which is known at the points themselves."""
    count, size = points_RP.shape
    moves = DIFFERENCE * np.maximum(1.0, np.abs(points_RP))  # (R, P)
    shifted = points_RP[:, None, :] + np.eye(size) * moves[:, None, :]
    _, gradients = function(shifted.reshape(-1, size), np.repeat(rows_R, size))
    second = (gradients.reshape(count, size, size) - gradients_RP[:, None, :]) / moves[:, :, None]
    return np.asarray((second + second.transpose(0, 2, 1)) / 2)


def polish(
    function: Function, minima: Minima, low_P: Array, high_P: Array, tolerance: float = 1e-14, most: int = 20
) -> Minima:
    """Newton steps from the minima for as long as they promise and bring a gain of ``tolerance`` of the value."""
    x, f, g = minima.points_RP.copy(), minima.values_R.copy(), minima.gradients_RP.copy()
    active = np.flatnonzero(np.isfinite(f)) if x.shape[1] else np.zeros(0, dtype=np.int64)
    for _ in range(most):
        if len(active) == 0:
            break
        second = hessians(function, x[active], g[active], active)
        known = np.isfinite(second).all((1, 2))
        active, second = active[known], second[known]
        held = _held(x[active], g[active], low_P, high_P)
        pull = np.where(held, 0.0, g[active])
        second = np.where(held[:, :, None] | held[:, None, :], np.eye(x.shape[1]), second)
        curvature, axes = np.linalg.eigh(second)
        curvature = np.maximum(np.abs(curvature), 1e-14 * np.abs(curvature).max(1, keepdims=True) + 1e-300)
        step = -np.einsum("kij,kj->ki", axes, np.einsum("kji,kj->ki", axes, pull) / curvature)
        wanted = -(step * pull).sum(1) / 2 > tolerance * np.abs(f[active])
        active, step = active[wanted], step[wanted]
        gain = np.zeros(len(active))
        for length in (1.0, 0.5, 0.1, 0.01):
            left = np.flatnonzero(gain == 0)
            if len(left) == 0:
                break
            k = active[left]
            trial = np.clip(x[k] + length * step[left], low_P, high_P)
            ft, gt = function(trial, k)
            better = np.isfinite(ft) & np.isfinite(gt).all(1) & (ft < f[k])
            k = k[better]
            gain[left[better]] = f[k] - ft[better]
            x[k], f[k], g[k] = trial[better], ft[better], gt[better]
        active = active[gain > tolerance * np.abs(f[active])]
    return Minima(x, f, g, minima.finished_R)
