"""Bootstrap of a fitted law: all resamples are fitted together, as weights on the same runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from training.laws.cautions import WIDEST_FACTOR, Caution
from training.laws.fit import Fit, predictions
from training.laws.fitting.solve import solve
from training.laws.form import Array
from training.laws.inputs import complete
from training.laws.uncertainty.delta_method import (
    UNKNOWN,
    has_spare_runs,
    is_known,
    natural_samples,
    standard_error,
    standard_errors,
)
from training.laws.uncertainty.interval import Interval, level_checked, percentile_interval


@dataclass(frozen=True)
class Bootstrap:
    """B refits of a law; every interval is the equal-tailed percentile interval of what they say.

    ``objectives_B`` are the minimised objectives of the resamples. Refits start from the minima of the fit and move
    only where resamples pull them: what the runs do not see at all (other model sizes where all runs had one, anything
    where there are no more runs than parameters) is recognised by the delta method, and has infinite ends. Not where it
    is the outcomes that were resampled (``of_outcomes``), whose noise is not that of residuals.
    """

    fitted: Fit
    theta_BP: Array = field(repr=False)
    objectives_B: Array = field(repr=False)
    seed: int = 0
    of_outcomes: bool = False

    @cached_property
    def samples(self) -> dict[str, Array]:
        """Every parameter in natural units, (B,)."""
        return natural_samples(self.fitted, self.theta_BP)

    def interval(self, parameter: str, level: float = 0.95) -> Interval:
        """Interval of one parameter in natural units."""
        return percentile_interval(self.fitted.parameters[parameter], self.known_samples(parameter), level)

    def known_samples(self, parameter: str) -> Array:
        """Samples (B,) of one parameter in natural units, NaN if the runs say nothing of it."""
        self.fitted.form.parameter(parameter)
        error = standard_errors(self.fitted).get(parameter, 0.0)  # as fitted, where all are of order one
        if self.of_outcomes or (has_spare_runs(self.fitted) and error <= UNKNOWN):
            return self.samples[parameter]
        return np.full(len(self.theta_BP), np.nan)

    def derived(self, quantity: Callable[[Mapping[str, Array]], Array], level: float = 0.95) -> Interval:
        """Interval of what follows from the parameters: ``derived(lambda p: p["beta"] / (p["alpha"] + p["beta"]))``."""
        own = {name: np.array([value]) for name, value in self.fitted.parameters.items()}
        value = float(np.ravel(quantity(own))[0])
        if not self.of_outcomes and not is_known(self.fitted, quantity):
            return Interval(value, -np.inf, np.inf, level)
        return percentile_interval(value, quantity(self.samples), level)

    def predict(
        self, inputs: Mapping[str, npt.ArrayLike], level: float = 0.95, noise: bool = True
    ) -> tuple[Array, Array, Array]:
        """Prediction and the ends of its interval, each of the shape of the inputs, in natural units.

        With ``noise`` for a new run: a residual of the fit, drawn by weight and widened by sqrt(n / (n - p)) for
        the freedom that p parameters took, is added to every resample. Without it, for the law itself.
        """
        level_checked(level)
        columns = dict(
            zip(
                self.fitted.form.inputs,
                np.broadcast_arrays(*complete(inputs, self.fitted.form.inputs).values()),
            )
        )
        ln_samples = predictions(self.fitted, self.theta_BP, columns)
        centre = np.exp(predictions(self.fitted, self.fitted.theta_P[None], columns))[0]
        of_logs = self.fitted.minimised.of_logs
        samples = ln_samples if of_logs else np.exp(ln_samples)
        if noise:
            runs, size = len(self.fitted.y_N), len(self.fitted.form.free)
            widened = self.fitted.residuals_N * np.sqrt(runs / max(1, runs - size))
            chance = self.fitted.weights_N / self.fitted.weights_N.sum()
            # one residual per resample for all points: an interval does not depend on what else is asked, and bands are
            # smooth; drawn evenly over their distribution (systematic sampling), so that few resamples already show it
            order, size_B = np.argsort(widened, kind="stable"), len(samples)
            places = (np.random.default_rng([self.seed, 1]).permutation(size_B) + 0.5) / size_B
            at = np.searchsorted(np.cumsum(chance[order]), places)
            drawn = widened[order][np.minimum(at, runs - 1)]
            # residuals are prediction - actual, hence the sign
            samples = samples - drawn.reshape(-1, *[1] * (samples.ndim - 1))
        bad = ~np.isfinite(samples)
        sides = [((1 - level) / 2, -np.inf), ((1 + level) / 2, np.inf)]
        if bad.any():  # beyond both ends; between a number and infinity nothing can be interpolated
            ends = [
                np.quantile(np.where(bad, end, samples), at, axis=0, method="inverted_cdf")
                for at, end in sides
            ]
        else:
            ends = [np.quantile(samples, at, axis=0) for at, _ in sides]
        known = self.known(lambda theta: predictions(self.fitted, theta, columns))
        ends = [np.where(known, found, end) for found, (_, end) in zip(ends, sides)]
        low, high = np.exp(ends) if of_logs else ends
        return centre, low, high

    def known(self, ln_quantity: Callable[[Array], Array]) -> npt.NDArray[np.bool_]:
        """Whether the runs say anything of quantities, given by ln of them at points as fitted, (K, P) -> (K, ...).

        What reads ``theta_BP`` itself must ask: where this is False the refits stay where the fit was.
        """
        if self.of_outcomes:
            return np.ones(np.shape(ln_quantity(self.fitted.theta_P[None]))[1:], dtype=bool)
        return np.asarray(standard_error(self.fitted, ln_quantity) <= UNKNOWN)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Positive parameters, in reduced units, whose 95 % interval spans more than a factor of 3."""
        found = []
        for p, theta_B in zip(self.fitted.form.free, self.theta_BP.T):
            sample = np.exp(theta_B) if p.scale == "log" else theta_B
            factor = percentile_interval(1.0, sample, 0.95).factor
            if p.low >= 0 and not factor <= WIDEST_FACTOR:
                said = f"a factor of {factor:.1f}" if factor < 1e3 else "all sizes"
                text = f"{p.name}: its 95 % bootstrap interval spans {said}."
                found.append(Caution("wide", text, p.name))
        return tuple(found)


def bootstrap(
    fitted: Fit,
    resamples: int = 1_000,
    *,
    groups: npt.ArrayLike | None = None,
    starts: int = 4,
    seed: int = 0,
) -> Bootstrap:
    """Resample runs with replacement and fit again, each from the different minima of the fit, at most ``starts``.

    ``groups`` names for every run given to :func:`~training.laws.fit.fit` what is resampled as a whole (all runs of one
    model size, of one seed): runs that share noise are fewer than they look.
    """
    if resamples < 1:
        raise bad_value("resamples", "bootstrap", resamples, "at least 1")
    rng, runs = np.random.default_rng(seed), len(fitted.y_N)
    if groups is None:
        member = np.arange(runs)
    else:
        labels = np.asarray(groups)
        if labels.shape != (runs + fitted.left_out,):
            raise bad_value("groups", "bootstrap", labels.shape, f"one per run, ({runs + fitted.left_out},)")
        _, member = np.unique(labels[fitted.rows_N], return_inverse=True)
    count = int(member.max()) + 1
    if count < 2:
        raise bad_value("groups", "bootstrap", count, "at least 2 different groups")
    drawn = rng.multinomial(count, np.full(count, 1 / count), size=resamples)
    return refit(fitted, drawn[:, member].astype(np.float64), starts=starts, seed=seed)


def refit(fitted: Fit, copies_BN: Array, *, starts: int = 4, seed: int = 0) -> Bootstrap:
    """The bootstrap of resamples drawn elsewhere: how often each holds every run, in the order of the fit's own runs.

    For quantities of several laws whose runs are resampled together.
    """
    weights = copies_BN * fitted.weights_N
    points = fitted.solutions_SP[: max(1, starts)]
    solved = solve(fitted.problem, points, weights, warm=len(points))
    return Bootstrap(fitted, solved.best_BP, solved.values_B * fitted.problem.objective_unit, seed)
