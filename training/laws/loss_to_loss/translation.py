"""A law carried over to another corpus: the source's law through the map to the target, without a law of the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from scoring.errors import InputError, unknown_name
from training.laws.cautions import Caution
from training.laws.fit import Fit, predictions
from training.laws.form import Array
from training.laws.forms.kaplan import kaplan_offset
from training.laws.inputs import complete
from training.laws.loss_to_loss.loss_map import LossMap, mapped
from training.laws.loss_to_loss.map_bootstrap import PARAMETERS, MapBootstrap, ends
from training.laws.uncertainty.bootstrap import Bootstrap
from training.laws.uncertainty.delta_method import is_known
from training.laws.uncertainty.interval import Interval, level_checked, percentile_interval


def translate(parameters: Mapping[str, float], loss_map: LossMap) -> dict[str, float]:
    """The law of the target from that of the source, both Kaplan with offset: no run of the target's law is needed.

    A K^(1/(kappa alpha)), B K^(1/(kappa beta)), kappa alpha, kappa beta and E1: the compute-optimal N stays the same.
    """
    columns = {name: np.array([value]) for name, value in parameters.items()}
    own = {name: np.array([getattr(loss_map, name)]) for name in PARAMETERS}
    return {name: float(value[0]) for name, value in _translated(columns, own).items()}


@dataclass(frozen=True)
class TranslatedLaw:
    """y(N, D) = K (L(N, D) - E0)^kappa + E1 with the law L of the source, and B resamples of all of it.

    ``parameters`` are those of the same law in the form of L, where that is Kaplan with offset.
    """

    of: MapBootstrap = field(repr=False)
    law: Fit = field(repr=False)
    source: Bootstrap = field(repr=False)
    samples: Mapping[str, Array] = field(repr=False)
    parameters: Mapping[str, float]

    def interval(self, parameter: str, level: float = 0.95) -> Interval:
        """Interval of one parameter of the target's law."""
        if parameter not in self.parameters:
            raise unknown_name("parameter", "the translated law", parameter, self.parameters)
        return self.derived(lambda p: p[parameter], level)

    def derived(self, quantity: Callable[[Mapping[str, Array]], Array], level: float = 0.95) -> Interval:
        """Interval of what follows from the parameters, as of ``Bootstrap.derived``."""
        own = {name: np.array([value]) for name, value in self.parameters.items()}
        value, one = float(np.ravel(quantity(own))[0]), self.of.loss_map

        def of_source(p: Mapping[str, Array]) -> Array:
            return quantity(
                _translated(p, {name: np.full(len(p["E"]), getattr(one, name)) for name in PARAMETERS})
            )

        if not is_known(self.law, of_source):
            return Interval(value, -np.inf, np.inf, level)
        return percentile_interval(value, quantity(self.samples), level)

    def predict(
        self, inputs: Mapping[str, npt.ArrayLike], level: float = 0.95, noise: bool = True
    ) -> tuple[Array, Array, Array]:
        """Losses of the target and the ends of their intervals; ``noise`` for new runs, as of ``MapBootstrap``.

        The noise is that of pairs around the map, which holds that of a run of the target.
        """
        level_checked(level)
        columns = complete(inputs, self.law.form.inputs)
        full = dict(zip(columns, np.broadcast_arrays(*columns.values())))
        found = np.exp(predictions(self.law, self.source.theta_BP, full))
        known = self.source.known(lambda theta: predictions(self.law, theta, full))
        x = np.moveaxis(np.where(known, found, np.nan), 0, -1)
        samples = mapped(x, *(self.of.samples[name] for name in PARAMETERS))
        if noise:
            samples = self.of.with_noise(samples, 3)
        return self.of.loss_map.predict(self.law.predict(inputs)), *ends(samples, level)

    @property
    def cautions(self) -> tuple[Caution, ...]:
        """Those of the map and of the source's law."""
        return self.of.cautions


def translated_law(bootstrapped: MapBootstrap) -> TranslatedLaw:
    """The law of the target with intervals, from the bootstrap of a map between series of a table."""
    law, source = bootstrapped.loss_map.source_law, bootstrapped.source
    if law is None or source is None:
        raise InputError(
            "translated_law: the map must come from a table (relate), for it needs the source's law."
        )
    samples: Mapping[str, Array] = {}
    parameters: Mapping[str, float] = {}
    if law.form.name == kaplan_offset().name:
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            samples = _translated(source.samples, bootstrapped.samples)
        parameters = translate(law.parameters, bootstrapped.loss_map)
    return TranslatedLaw(bootstrapped, law, source, samples, parameters)


def _translated(law: Mapping[str, Array], loss_map: Mapping[str, Array]) -> dict[str, Array]:
    missing = [name for name in kaplan_offset().names if name not in law]
    if missing:
        raise InputError(f"translate: a Kaplan law with offset is needed, {missing[0]} is missing.")
    alpha, beta = loss_map["kappa"] * law["alpha"], loss_map["kappa"] * law["beta"]
    return {
        "A": law["A"] * loss_map["K"] ** (1 / alpha),
        "B": law["B"] * loss_map["K"] ** (1 / beta),
        "E": loss_map["E1"],
        "alpha": alpha,
        "beta": beta,
    }
