"""Bootstrap of a loss-to-loss map: the runs of both laws and their pairs are resampled together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scoring.errors import bad_value
from training.laws.cautions import WIDEST_FACTOR, Caution
from training.laws.fit import Fit
from training.laws.fitting.solve import solve
from training.laws.form import Array
from training.laws.loss_to_loss.loss_map import LossMap, mapped
from training.laws.loss_to_loss.pairing import Rows
from training.laws.uncertainty.bootstrap import Bootstrap, refit
from training.laws.uncertainty.delta_method import natural_samples
from training.laws.uncertainty.interval import Interval, level_checked, percentile_interval

PARAMETERS = ("K", "kappa", "E0", "E1")


@dataclass(frozen=True)
class MapBootstrap:
    """B maps of resampled runs: ``samples`` of K, kappa, E0 and E1, (B,), NaN where a resample has no map.

    Intervals are equal-tailed percentiles, and hold the uncertainty of the floors. A resample has no map where a loss
    of it lies below its resampled floor, or where all its pairs are one; such count as beyond both ends.
    """

    loss_map: LossMap
    samples: Mapping[str, Array] = field(repr=False)
    source: Bootstrap | None = field(default=None, repr=False)
    seed: int = 0

    def interval(self, parameter: str, level: float = 0.95) -> Interval:
        """Interval of K, kappa, E0 or E1."""
        if parameter not in PARAMETERS:
            raise bad_value("parameter", "a loss-to-loss map", parameter, f"one of {', '.join(PARAMETERS)}")
        return percentile_interval(getattr(self.loss_map, parameter), self.samples[parameter], level)

    def predict(
        self, x: npt.ArrayLike, level: float = 0.95, noise: bool = True
    ) -> tuple[Array, Array, Array]:
        """y at the losses x, with the ends of its interval; NaN and infinite where x lies below its floor.

        With ``noise`` for the loss of a new run: residuals of the pairs in ln y, drawn with replacement and widened by
        sqrt(P / (P - p)), are added. They hold the noise of x as well as of y, so x is taken as it is. (Not residuals
        of what lies above the floor, to which the map is fitted: noise does not vanish as losses near their floor.)
        """
        level_checked(level)
        at = np.asarray(x, dtype=np.float64)
        samples = mapped(at[..., None], *(self.samples[name] for name in PARAMETERS))
        if noise:
            samples = self.with_noise(samples, 2)
        return self.loss_map.predict(at), *ends(samples, level)

    def with_noise(self, samples: Array, stream: int) -> Array:
        """Samples (..., B) of y for new runs."""
        one = self.loss_map
        residuals = np.log(one.y_P / one.predict(one.x_P))
        widened = residuals * np.sqrt(one.pairs / max(1, one.pairs - len(one.fitted.form.free)))
        drawn = np.random.default_rng([self.seed, stream]).choice(widened, samples.shape)
        return np.asarray(samples * np.exp(drawn))

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Those of the map and its laws; kappa below zero; K or kappa whose interval spans more than a factor of 3."""
        found = list(self.loss_map.cautions)
        kappa = self.interval("kappa")
        against = kappa.high < 0
        if against:
            text = (
                f"kappa is below zero ({kappa.low:.3g} to {kappa.high:.3g}): the losses run against each other, as no "
                "map of losses that fall with scale does."
            )
            found.append(Caution("misfit", text))
        for name in ("K",) if against else ("K", "kappa"):
            factor = self.interval(name).factor
            if not factor <= WIDEST_FACTOR:
                said = f"a factor of {factor:.1f}" if factor < 1e3 else "all sizes"
                found.append(Caution("wide", f"{name}: its 95 % bootstrap interval spans {said}."))
        return tuple(found)

    def cautions_at(self, x: npt.ArrayLike) -> tuple[Caution, ...]:
        """The same, and which of the losses x lie outside of those that the map was fitted to."""
        at, seen = np.ravel(np.asarray(x, dtype=np.float64)), self.loss_map.x_P
        outside = at[~((at >= seen.min()) & (at <= seen.max()))]
        if len(outside) == 0:
            return self.cautions
        worst = float(outside[np.argmax(np.abs(outside - np.clip(outside, seen.min(), seen.max())))])
        text = (
            f"{len(outside)} of {len(at)} losses lie outside the {seen.min():.4g} to {seen.max():.4g} of the pairs, "
            f"as far as {worst:.4g}; the interval is right only if the map goes on as it is."
        )
        return (*self.cautions, Caution("extrapolation", text))


def bootstrap_map(
    loss_map: LossMap, resamples: int = 1_000, *, starts: int = 2, seed: int = 0
) -> MapBootstrap:
    """Resample runs, fit both laws again, and with their floors the map.

    What is drawn with replacement are pairs, runs of the source alone and runs of the target alone, each as many as
    there are: a paired run is in its law as often as in the map. A map made of bare losses has pairs alone, and its
    given floors stay. With a fitted floor the map is fitted again, else it is a weighted regression.
    """
    if resamples < 1:
        raise bad_value("resamples", "bootstrap_map", resamples, "at least 1")
    rng = np.random.default_rng(seed)
    copies_BP = _drawn(rng, loss_map.pairs, resamples)
    joined = loss_map.joined
    source = target = None
    if joined is not None and loss_map.source_law is not None:
        source = _refit(loss_map.source_law, joined.source_rows, copies_BP, rng, starts, seed)
    if joined is not None and loss_map.target_law is not None:
        target = _refit(loss_map.target_law, joined.target_rows, copies_BP, rng, starts, seed)
    E0 = source.known_samples("E") if source else np.full(resamples, loss_map.E0)
    if loss_map.floor_fitted:
        samples = _with_floor(loss_map, copies_BP, E0)
    else:
        E1 = target.known_samples("E") if target else np.full(resamples, loss_map.E1)
        K, kappa = _regressions(loss_map, copies_BP, E0, E1)
        samples = {"K": K, "kappa": kappa, "E0": E0, "E1": E1}
    return MapBootstrap(loss_map, samples, source, seed)


def ends(samples: Array, level: float) -> tuple[Array, Array]:
    """Ends of the percentile intervals of samples (..., B); what is not finite lies beyond both."""
    bad, tail = ~np.isfinite(samples), (1 - level) / 2
    low = np.quantile(np.where(bad, -np.inf, samples), tail, axis=-1, method="inverted_cdf")
    high = np.quantile(np.where(bad, np.inf, samples), 1 - tail, axis=-1, method="inverted_cdf")
    return np.asarray(low), np.asarray(high)


def _drawn(rng: np.random.Generator, count: int, resamples: int) -> Array:
    """How often each of ``count`` is drawn in each resample, (B, count)."""
    if count == 0:
        return np.zeros((resamples, 0))
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)


def _refit(
    law: Fit,
    rows_of_pairs: tuple[Rows, ...],
    copies_BP: Array,
    rng: np.random.Generator,
    starts: int,
    seed: int,
) -> Bootstrap:
    """The law of resamples that hold its paired runs as often as their pairs, and draw the others anew."""
    pair_of = np.full(len(law.y_N) + law.left_out, -1)
    for p, rows in enumerate(rows_of_pairs):
        pair_of[rows] = p
    pair_of = pair_of[law.rows_N]
    alone = np.flatnonzero(pair_of < 0)
    copies = copies_BP[:, pair_of]
    copies[:, alone] = _drawn(rng, len(alone), len(copies_BP))
    return refit(law, copies, starts=starts, seed=seed)


def _regressions(loss_map: LossMap, copies_BP: Array, E0_B: Array, E1_B: Array) -> tuple[Array, Array]:
    """K and kappa of every resample: weighted least squares of ln(y - E1) on ln(x - E0)."""
    drawn = copies_BP > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(drawn, np.log(loss_map.x_P - E0_B[:, None]), 0.0)
        y = np.where(drawn, np.log(loss_map.y_P - E1_B[:, None]), 0.0)
        share = copies_BP / copies_BP.sum(1, keepdims=True)
        x_mean, y_mean = (share * x).sum(1), (share * y).sum(1)
        dx, dy = x - x_mean[:, None], y - y_mean[:, None]
        spread = (share * dx * dx).sum(1)
        kappa = np.where(spread > 1e-20, (share * dx * dy).sum(1) / spread, np.nan)
        K = np.exp(y_mean - kappa * x_mean)
    return K, kappa


def _with_floor(loss_map: LossMap, copies_BP: Array, E0_B: Array) -> dict[str, Array]:
    """K, kappa and E1 of every resample, fitted together at its E0."""
    fitted = loss_map.fitted
    copies = copies_BP[:, fitted.rows_N]
    points = fitted.solutions_SP[:2]
    solved = solve(fitted.problem, points, copies, held={"E0": E0_B}, warm=len(points))
    found = natural_samples(fitted, solved.best_BP)
    bad = ~np.isfinite(solved.values_B) | ((copies_BP > 0).sum(1) < 3)
    return {
        **{name: np.where(bad, np.nan, found[name]) for name in ("K", "kappa", "E1")},
        "E0": E0_B,
    }
