"""Is a selection better than the base at one scale: the predicted gap, its interval, a word only where it is firm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from training.laws.cautions import Caution, few_runs
from training.laws.selections.learning_curves import LearningCurve
from training.laws.selections.seed_noise import SeedNoise, seed_noise
from training.laws.uncertainty.interval import Interval, percentile_interval
from training.studies.paired import Verdict


@dataclass(frozen=True)
class Gap:
    """What the laws predict at the scale ``at``: losses of both, their difference (below zero: selection ahead).

    Intervals are of the laws, not of single runs. ``signal_to_noise`` is the relative gap over the relative standard
    deviation of a single run: below about 2 one pair of runs will often show the opposite.
    """

    at: Mapping[str, float]
    base: Interval
    selection: Interval
    difference: Interval
    relative: Interval
    noise: SeedNoise
    measured: bool
    verdict: Verdict
    cautions: tuple[Caution, ...]

    @property
    def signal_to_noise(self) -> float:
        """|relative gap| / noise; infinite without noise, NaN where it is unknown."""
        if self.noise.sd == 0:
            return float("inf") if self.relative.value else float("nan")
        return abs(self.relative.value) / self.noise.sd


def gap(base: LearningCurve, selection: LearningCurve, at: Mapping[str, float], level: float = 0.95) -> Gap:
    """The gap at one scale, with its verdict.

    ``better`` or ``worse`` only where the interval of the difference excludes zero and nothing forbids it: fewer runs
    than a bootstrap can stand on (at most parameters + 3), or, beyond the measured range, a law that its inputs do not
    explain, or one that has no more different scales than parameters, so that nothing has tested its shape.
    """
    (own, own_B), (other, other_B) = (curve.samples(at) for curve in (selection, base))
    own_B, other_B = own_B[:, 0], other_B[:, 0]
    value, against = float(own[0]), float(other[0])
    with np.errstate(invalid="ignore"):
        difference = percentile_interval(value - against, own_B - other_B, level)
        relative = percentile_interval(value / against - 1, own_B / other_B - 1, level)
    measured = all(bool(np.all(curve.measured(at))) for curve in (base, selection))
    forbidding = [c for curve in (base, selection) for c in against_verdict(curve, measured)]
    word: Verdict = "cannot tell"
    if not forbidding and not (difference.low <= 0 <= difference.high):
        word = "better" if difference.high < 0 else "worse"
    cautions = list(forbidding)
    if not measured:
        said = "the interval holds only if both laws go on as they are"
        cautions.append(Caution("extrapolation", f"at this scale not both selections were measured; {said}."))
    return Gap(
        dict(at),
        percentile_interval(against, other_B, level),
        percentile_interval(value, own_B, level),
        difference,
        relative,
        seed_noise([base, selection]),
        measured,
        word,
        tuple(cautions),
    )


def against_verdict(curve: LearningCurve, measured: bool) -> list[Caution]:
    """Reasons for which no verdict is given from this curve, whatever its interval."""
    found = []
    few = few_runs(curve.fitted)
    if few:
        found.append(Caution(few.code, f"{curve.name}: {few.text}"))
    if not measured:
        scales, size = len(np.unique(curve.settings_N)), len(curve.fitted.form.free)
        if scales <= size:
            said = f"{curve.name}: {scales} scales for {size} free parameters; nothing tested the shape of its law."
            found.append(Caution("few_runs", said))
        unrelated = (c for c in curve.fitted.cautions if c.code == "unrelated")
        found += [Caution(c.code, f"{curve.name}: {c.text}") for c in unrelated]
    return found
