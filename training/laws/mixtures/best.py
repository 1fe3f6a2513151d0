"""The mixture of lowest predicted loss, how sure that is, and how far it lies from what was trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scoring.errors import InputError, bad_value, unknown_name
from training.laws.cautions import Caution
from training.laws.evaluations.correlations import resample_weights
from training.laws.form import Array
from training.laws.mixtures.fitting import MixtureLaw
from training.laws.mixtures.predictors import Samples
from training.laws.mixtures.search import exchange, random_mixtures, within_caps
from training.laws.uncertainty.interval import Interval, level_checked, percentile_interval

REFINED = 4
"""So many of the best random mixtures are refined."""
USUAL = 0.95


@dataclass(frozen=True)
class BestMixture:
    """A mixture (M,) and its predicted loss, the weighted mean over the losses of the law.

    ``predicted`` has the interval of the law at this mixture; being chosen as the lowest, it is too low by about
    ``optimism``. ``gain`` is by how much it is predicted to beat ``reference``, the best of the mixtures trained; it is
    too high by about as much, so the caution ``flat`` asks that its whole interval lies above the optimism.
    ``range_M2`` is where the best mixtures of resampled laws lie. ``distance`` is the share of data that would have to
    move to make it a mixture that was trained, ``usual_distance`` the same between trained ones and their neighbours
    (95 % of them are nearer).
    """

    domains: tuple[str, ...]
    proportions_M: Array
    predicted: Interval
    optimism: float
    gain: Interval
    reference_M: Array
    range_M2: Array
    distance: float
    usual_distance: float
    cautions: tuple[Caution, ...]


def best_mixture(
    law: MixtureLaw,
    weights: Mapping[str, float] | None = None,
    caps: Mapping[str, float] | None = None,
    *,
    samples: int = 10_000,
    resamples: int = 100,
    level: float = 0.95,
    seed: int = 0,
) -> BestMixture:
    """Minimise the predicted loss over mixtures: the best of ``samples`` random ones, refined by exchanges.

    Args:
        weights: Of each loss in the mean; equal by default.
        caps: Largest share of some domains, see :func:`token_caps`.
        resamples: Laws fitted to resampled mixtures, for the intervals; of a slow regressor take fewer.

    Errors: caps that sum to less than one.
    """
    level_checked(level)
    share_T, caps_M = _weights(law, weights), _caps(law, caps)
    candidates = np.concatenate(
        [random_mixtures(samples, caps_M, seed), within_caps(law.proportions_NM, caps_M)]
    )

    def loss(r_KM: Array) -> Array:
        found: Array = np.stack([p.predict(r_KM) for p in law.predictors], axis=1) @ share_T
        return found

    order = np.argsort(loss(candidates), kind="stable")
    ends = [exchange(loss, candidates[k], caps_M) for k in order[:REFINED]]
    best, value, _ = min(ends, key=lambda end: end[1])
    pool = np.concatenate([best[None], candidates, *(tried for _, _, tried in ends)])

    trained = loss(law.proportions_NM)
    reference = law.proportions_NM[int(trained.argmin())]
    copies = resample_weights(len(law.proportions_NM), resamples, seed)
    laws = [predictor.resampled(copies) for predictor in law.predictors]

    def resampled_loss(r_KM: Array) -> Array:
        found: Array = sum((w * sample(r_KM) for w, sample in zip(share_T, laws)), np.zeros(1))
        return found

    at_best, at_reference = resampled_loss(np.stack([best, reference])).T
    chosen, lowest = _best_of_resamples(resampled_loss, pool, resamples)
    tail = (1 - level) / 2
    # on the safe side where a pool of random mixtures is coarse: the best itself is always in its range
    ends_M2 = np.quantile(np.concatenate([chosen, best[None]]), [tail, 1 - tail], axis=0).T
    distance, usual = _distances(best, law.proportions_NM)
    gain = percentile_interval(float(trained.min()) - value, at_reference - at_best, level)
    optimism = float((loss(chosen) - lowest).mean())
    return BestMixture(
        law.domains,
        best,
        percentile_interval(value, at_best, level),
        optimism,
        gain,
        reference,
        np.stack([np.minimum(ends_M2[:, 0], best), np.maximum(ends_M2[:, 1], best)], axis=1),
        distance,
        usual,
        (*law.cautions, *_cautions(law, best, distance, usual, gain, optimism)),
    )


def token_caps(
    available: Mapping[str, float], budget: float, epochs: float | Mapping[str, float] = 1.0
) -> dict[str, float]:
    """The largest share of every domain in a run of ``budget`` tokens that repeats its tokens at most ``epochs`` times.

    Repeats are worth less than new tokens (Muennighoff et al. 2023), little less up to 4 epochs; a mixture law knows
    nothing of that.
    """
    if not budget > 0:
        raise bad_value("budget", "token_caps", budget, "above 0")
    found = {}
    for name, tokens in available.items():
        allowed = epochs[name] if isinstance(epochs, Mapping) else epochs
        if not (tokens >= 0 and allowed > 0):
            raise bad_value(name, "token_caps", (tokens, allowed), "tokens from 0 and epochs above 0")
        found[name] = min(1.0, tokens * allowed / budget)
    return found


def _best_of_resamples(sample: Samples, pool: Array, resamples: int) -> tuple[Array, Array]:
    """The mixture of the pool that every resample prefers, (B, M), and its loss there, (B,); a piece at a time."""
    lowest, chosen = np.full(resamples, np.inf), np.zeros((resamples, pool.shape[1]))
    for first in range(0, len(pool), 4_096):
        piece = pool[first : first + 4_096]
        values = sample(piece)
        at = values.argmin(axis=1)
        better = values[np.arange(resamples), at] < lowest
        lowest[better], chosen[better] = values[better, at[better]], piece[at[better]]
    return chosen, lowest


def _weights(law: MixtureLaw, weights: Mapping[str, float] | None) -> Array:
    if weights is None:
        return np.full(len(law.targets), 1 / len(law.targets))
    for name, weight in weights.items():
        if name not in law.targets:
            raise unknown_name("weight", "best_mixture", name, law.targets)
        if not (weight >= 0 and np.isfinite(weight)):
            raise bad_value(f"the weight of {name}", "best_mixture", weight, "a number from 0")
    found = np.array([weights.get(name, 0.0) for name in law.targets], dtype=np.float64)
    if not found.any():
        raise bad_value("weights", "best_mixture", dict(weights), "above 0 for some loss")
    shares: Array = found / found.sum()
    return shares


def _caps(law: MixtureLaw, caps: Mapping[str, float] | None) -> Array:
    for name, cap in (caps or {}).items():
        if name not in law.domains:
            raise unknown_name("cap", "best_mixture", name, law.domains)
        if not cap >= 0:
            raise bad_value(f"the cap of {name}", "best_mixture", cap, "a share from 0")
    found = np.array([min(1.0, (caps or {}).get(name, 1.0)) for name in law.domains])
    if found.sum() < 1 - 1e-12:
        raise InputError(
            f"best_mixture: the caps allow {found.sum():.1%} of the data in all; more tokens or epochs are needed."
        )
    return found


def _distances(best: Array, trained_NM: Array) -> tuple[float, float]:
    """Half the summed differences to the nearest trained mixture; and what 95 % of those have among themselves."""
    from scipy.spatial.distance import cdist

    distance = float(np.abs(trained_NM - best).sum(axis=1).min()) / 2
    among = cdist(np.unique(trained_NM, axis=0), np.unique(trained_NM, axis=0), "cityblock") / 2
    if len(among) < 2:
        return distance, 0.0
    np.fill_diagonal(among, np.inf)
    return distance, float(np.quantile(among.min(axis=1), USUAL))


def _cautions(
    law: MixtureLaw, best: Array, distance: float, usual: float, gain: Interval, optimism: float
) -> tuple[Caution, ...]:
    found = []
    most = law.proportions_NM.max(axis=0)
    beyond = [
        f"{name} at {share:.1%} (trained up to {top:.1%})"
        for name, share, top in zip(law.domains, best, most)
        if share > top + 1e-9
    ]
    if beyond:
        found.append(Caution("extrapolation", f"the best mixture has {', '.join(beyond)}."))
    elif distance > usual:
        found.append(
            Caution(
                "extrapolation",
                f"the best mixture is {distance:.1%} of the data away from any that was trained; train it before "
                "relying on it.",
            )
        )
    # the interval does not know that this mixture was chosen for its low prediction; the optimism does
    if not gain.low > max(0.0, optimism):
        text = (
            "it may not beat the best mixture trained: the gain is no more than chance and the choice give."
        )
        found.append(Caution("flat", text))
    return tuple(found)
