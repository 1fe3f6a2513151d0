"""A learning-rate schedule as data: the rate of every update, and the sums over it that laws of loss curves read.

Step t = 0 ... T - 1 has rate ``lr_T[t]``; a loss at step t belongs to the sums up to and including t (Luo et al. 2025,
section 2; Tissue et al. 2024, section 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.form import Array
from training.optim import schedule_factor


@dataclass(frozen=True)
class Schedule:
    """Rates (T,) of all updates, the first ``warmup`` of which are warm-up."""

    lr_T: Array
    warmup: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        lr = np.array(self.lr_T, dtype=np.float64)
        if lr.ndim != 1 or len(lr) == 0:
            raise bad_value("lr", "schedule", lr.shape, "one rate per step, (T,) with T >= 1")
        if not np.isfinite(lr).all() or (lr < 0).any() or not lr.any():
            raise InputError("schedule: rates must be finite and at least 0, and not all 0.")
        if not 0 <= self.warmup < len(lr):
            raise bad_value("warmup", "schedule", self.warmup, f"from 0 to below the {len(lr)} steps")
        lr.setflags(write=False)
        object.__setattr__(self, "lr_T", lr)

    def __len__(self) -> int:
        return len(self.lr_T)

    @cached_property
    def S1_T(self) -> Array:
        """S1: the sum of the rates up to each step, warm-up included."""
        return np.cumsum(self.lr_T)

    @cached_property
    def changes_T(self) -> Array:
        """lr[t] - lr[t - 1]; 0 at step 0."""
        return np.diff(self.lr_T, prepend=self.lr_T[0])

    def S2(self, decay: float) -> Array:
        """S2 (T,): the sum up to each step of m_t = decay m_(t-1) + lr_(t-1) - lr_t (Tissue et al. 2024, equation 2).

        Warm-up is not annealing: it adds nothing to m, although it does to S1. (With it the law cannot be fitted: its
        rise from 0 would outweigh every fall.)
        """
        from scipy.signal import lfilter

        if not 0 <= decay < 1:
            raise bad_value("decay", "S2", decay, "from 0 to below 1")
        falls = -self.changes_T
        falls[: max(1, self.warmup)] = 0.0
        return np.asarray(np.cumsum(lfilter([1.0], [1.0, -decay], falls)))

    def at(self, steps: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Steps as whole numbers, checked: inside the schedule, and after the first positive rate."""
        given = np.asarray(steps, dtype=np.float64)
        if given.ndim != 1 or not np.isfinite(given).all() or (given != np.round(given)).any():
            raise InputError("schedule: steps must be a list of whole numbers.")
        whole = given.astype(np.int64)
        first = int(np.argmax(self.lr_T > 0))
        if ((whole < first) | (whole >= len(self))).any():
            raise InputError(
                f"schedule {self.name or 'given'}: steps must lie from {first}, its first positive rate, to "
                f"{len(self) - 1}, got {whole.min()} to {whole.max()}."
            )
        return whole


def constant(total: int, peak: float, *, warmup: int = 0, start: float | None = None) -> Schedule:
    """Warm-up, then ``peak`` throughout. Warm-up is linear from ``start`` (peak / warmup) at step 0 to ``peak`` at its
    last step, as in training; schedules that begin with a rate of 0 say ``start=0``."""
    _length(total, warmup)
    return Schedule(_warmed(np.full(total, float(peak)), peak, warmup, start), warmup, f"constant {total}")


def cosine(
    total: int, peak: float, end: float = 0.0, *, warmup: int = 0, start: float | None = None
) -> Schedule:
    """Half a cosine from ``peak`` after the warm-up to ``end`` at step ``total``, one after the last."""
    _length(total, warmup)
    rates = end + (peak - end) * _factors("cosine", total, warmup)
    return Schedule(_warmed(rates, peak, warmup, start), warmup, f"cosine {total}")


def wsd(
    total: int,
    peak: float,
    end: float,
    decay_start: int,
    *,
    decay: str = "exponential",
    warmup: int = 0,
    start: float | None = None,
) -> Schedule:
    """Warm-up, stable, decay (Hu et al. 2024): constant up to ``decay_start``, then down to ``end`` at step ``total``.

    ``decay`` is ``exponential``, a straight line in ln lr, ``linear``, or ``cosine``.
    """
    _length(total, warmup)
    if not warmup <= decay_start < total:
        raise bad_value("decay_start", "wsd", decay_start, f"from the warm-up ({warmup}) to below {total}")
    if decay == "exponential":
        if not end > 0:
            raise bad_value("end", "wsd with exponential decay", end, "above 0")
        falling = peak * (end / peak) ** (1 - _factors("linear", total - decay_start, 0))
    elif decay in ("linear", "cosine"):
        falling = end + (peak - end) * _factors(decay, total - decay_start, 0)
    else:
        raise unknown_name("decay", "wsd", decay, ("exponential", "linear", "cosine"))
    rates = np.concatenate([np.full(decay_start, float(peak)), falling])
    return Schedule(_warmed(rates, peak, warmup, start), warmup, f"wsd {decay} {decay_start} {total}")


def two_stage(
    total: int, peak: float, second: float, drop_at: int, *, warmup: int = 0, start: float | None = None
) -> Schedule:
    """``peak``, then ``second`` from step ``drop_at`` on (wsdcon of Luo et al. 2025)."""
    _length(total, warmup)
    if not warmup <= drop_at < total:
        raise bad_value("drop_at", "two_stage", drop_at, f"from the warm-up ({warmup}) to below {total}")
    rates = np.where(np.arange(total) < drop_at, float(peak), float(second))
    return Schedule(_warmed(rates, peak, warmup, start), warmup, f"two stages {drop_at} {total}")


def recorded(
    steps: npt.ArrayLike,
    lr: npt.ArrayLike,
    *,
    warmup: int = 0,
    start: float | None = None,
    hold: bool = False,
    name: str = "recorded",
) -> Schedule:
    """The schedule of a recorded curve, up to its last record: rates between records lie on a straight line.

    ``hold`` keeps a rate until the next record instead, for schedules of steps. Records that begin after step 0 need
    ``warmup``: a straight line to the first recorded rate, which then holds up to the record. Where the formula of the
    schedule is known use it: between two records the place of a sudden drop is not.
    """
    at, rates = np.asarray(steps, dtype=np.float64), np.asarray(lr, dtype=np.float64)
    if at.ndim != 1 or at.shape != rates.shape or len(at) == 0:
        raise bad_value("lr", "recorded schedule", rates.shape, f"one rate per recorded step, {at.shape}")
    order = np.argsort(at, kind="stable")
    at, rates = at[order], rates[order]
    if not np.isfinite(at).all() or (at != np.round(at)).any() or at[0] < 0 or (np.diff(at) <= 0).any():
        raise InputError("recorded schedule: steps must be whole numbers from 0, each once.")
    if at[0] > 0 and warmup < 1:
        raise InputError(
            f"recorded schedule: the records begin at step {int(at[0])}; say how many steps of warm-up came before."
        )
    if at[0] > 0 and warmup > at[0] + 1:
        raise bad_value("warmup", "recorded schedule", warmup, f"at most {int(at[0]) + 1}, the first record")
    every = np.arange(int(at[-1]) + 1)
    if hold:
        between = rates[np.maximum(np.searchsorted(at, every, side="right") - 1, 0)]
    else:
        between = np.interp(every, at, rates)
    if at[0] > 0:
        between = _warmed(between, float(rates[0]), warmup, start)
    return Schedule(between, warmup, name)


SCHEDULES: dict[str, Callable[..., Schedule]] = {
    "constant": constant,
    "cosine": cosine,
    "wsd": wsd,
    "two_stage": two_stage,
}


def schedule_named(name: str, **options: object) -> Schedule:
    """The schedule of this name: ``schedule_named("cosine", total=24_000, peak=3e-4, end=3e-5, warmup=2_160)``."""
    if name not in SCHEDULES:
        raise unknown_name("schedule", "laws", name, SCHEDULES)
    return SCHEDULES[name](**options)


def _length(total: int, warmup: int) -> None:
    if total < 1:
        raise bad_value("total", "schedule", total, "at least 1 step")
    if not 0 <= warmup < total:
        raise bad_value("warmup", "schedule", warmup, f"from 0 to below the {total} steps")


def _factors(name: str, total: int, warmup: int) -> Array:
    """(total,) of the factors by which training multiplies its peak rate."""
    return np.array([schedule_factor(name, step, total, warmup) for step in range(total)])


def _warmed(rates_T: Array, peak: float, warmup: int, start: float | None) -> Array:
    if warmup:
        rates_T[:warmup] = np.linspace(peak / warmup if start is None else start, peak, warmup)
    return rates_T
