"""Variance decomposition: how much of a score is the example, the architecture's own view of it, chance between runs.

    y_iar = mu + e_i + a_a + r_ar + (ea)_ia + eps_iar        example i, architecture a, run r of a

Examples and runs are samples, runs are nested in architectures, and the architectures are exactly those compared. With
t_ia = e_i + (ea)_ia, the mean of what endless runs of a would say of example i, the components are

    example      variance over examples of mean_a t_ia
    interaction  variance over examples of t_ia - mean_a t_ia, mean over the A architectures
    noise        variance over examples of eps_iar, mean over architectures: each may have its own

They add up to the variance over examples of a single run of an architecture drawn from those compared. These are
finite-population components (Cornfield and Tukey 1956, Ann. Math. Stat. 27:907) except that the interaction is divided
by A, not A - 1, without which the shares of one run would not add up to 1. If the architectures are a sample of more,
see ``VarianceComponents.random_architectures``: the interaction becomes A / (A - 1) times as large, at the expense of
the example, and the total is the same.

The default is ranks (scaled to (0, 1)), where architectures and runs have no main effect; ``of="values"`` takes scores
as they are and gives the main effects too (``scoring.compare.variance.main_effects``). Estimators and intervals:
``scoring.compare.variance.moments``. Kwok et al. 2024 (arXiv 2401.01867) name the three parts; reliability
coefficients follow Cronbach et al. 1972 and Brennan 2001, Generalizability Theory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from scoring.compare.ranks import Floats
from scoring.compare.run_scores import RunScores
from scoring.compare.variance.main_effects import MainEffects, main_effects
from scoring.compare.variance.moments import Estimate, VarianceMoments, variance_moments
from scoring.errors import InputError, bad_value

Of = Literal["ranks", "values"]
OWNER = "variance_components"


@dataclass(frozen=True)
class VarianceComponents:
    """The decomposition of one score.

    Attributes:
        score: its name.
        of: ``ranks`` or ``values``.
        runs: architecture -> runs, of those that take part.
        left_out: architectures with one run beside others with several: their noise cannot be known.
        components: ``example``, then ``interaction`` (two architectures or more), ``noise``; or, where every
            architecture has one run, ``example`` (what two architectures share) and ``interaction and noise``, which
            one run cannot tell apart. Squared units of the score, or of ranks scaled to (0, 1): at most 1/12 in all.
        main: of raw values: main effects.
        moments: what everything follows from.
    """

    score: str
    of: Of
    runs: dict[str, int]
    left_out: tuple[str, ...]
    components: dict[str, Estimate]
    main: MainEffects | None
    moments: VarianceMoments

    @property
    def merged(self) -> bool:
        """One run per architecture, so that interaction and noise are one component."""
        return self.moments.merged

    @property
    def examples_only(self) -> tuple[str, ...]:
        """Architectures with fewer than three runs, which show no deviations that the examples of a run share."""
        names = tuple(self.runs)
        return tuple(names[number] for number in self.moments.blind)

    def shares(self, runs: int = 1) -> dict[str, Estimate]:
        """Shares of the variance over examples of the mean of ``runs`` runs of one architecture; empty if it is 0.

        A negative estimate counts as 0, and the shares still add up to 1. With one run per architecture only
        ``runs=1`` is known.
        """
        _check_count("runs", runs, "shares")
        if self.merged and runs > 1:
            raise InputError(
                f"shares: runs must be 1 where every architecture has one run, got {runs}; train more runs."
            )
        forms = self._forms(runs)
        whole_K = np.sum(list(forms.values()), axis=0)
        found = {name: self.moments.ratio(form_K, whole_K) for name, form_K in forms.items()}
        if any(np.isnan(share.value) for share in found.values()):
            return {}
        total = sum(share.value for share in found.values())
        cut = {name: each.value / total for name, each in found.items()}
        return {
            name: Estimate(cut[name], min(each.low, cut[name]), max(each.high, cut[name]), each.truncated)
            for name, each in found.items()
        }

    def noise_of(self, architecture: str) -> Estimate:
        """Variance that a single run adds, of one architecture."""
        return self.moments.linear(self._unit("noise", architecture))

    def reliability_of(self, architecture: str, runs: int = 1) -> Estimate:
        """Reliability of the mean of ``runs`` runs within one architecture: truth / (truth + noise / runs).

        On ranks without ties and with ``runs=1`` it is the mean Spearman correlation of two runs.
        """
        _check_count("runs", runs, "reliability_of")
        truth_K = self._unit("truth", architecture)
        return self.moments.ratio(truth_K, truth_K + self._unit("noise", architecture) / runs)

    def generalisability(self, runs: int = 1, new_architectures: int | None = None) -> Estimate:
        """Generalisability coefficient of example means, in [0, 1] (E rho^2, relative decisions; Brennan 2001).

        By default of the mean over the architectures compared with ``runs`` runs each, as the squared correlation with
        the mean of endless runs of them: example / (example + noise / (A runs)). With ``new_architectures=k`` of the
        mean over k architectures drawn from the many that those compared stand for, as the squared correlation with
        the mean of all of those; the interval does not contain the choice of architectures.
        """
        _check_count("runs", runs, "generalisability")
        if self.merged:
            raise InputError(
                "generalisability: every architecture must have two runs or more, got one; train more runs."
            )
        count = len(self.runs)
        forms = self._forms(1)
        example_K, noise_K = forms["example"], forms["noise"]
        if new_architectures is None:
            return self.moments.ratio(example_K, example_K + noise_K / (count * runs))
        _check_count("new_architectures", new_architectures, "generalisability")
        if count < 2:
            raise InputError("generalisability: new_architectures needs two architectures or more, got 1.")
        example_K, interaction_K = self._random_forms()
        error_K = interaction_K / new_architectures + noise_K / (new_architectures * runs)
        return self.moments.ratio(example_K, example_K + error_K)

    def random_architectures(self) -> dict[str, Estimate]:
        """Example and interaction if the architectures are a random sample of more; empty with one, or one run each.

        The example is then the mean covariance of two architectures. Intervals are over examples and runs: a few
        architectures say little about all.
        """
        if self.merged or len(self.runs) < 2:
            return {}
        example_K, interaction_K = self._random_forms()
        return {
            "example": self.moments.linear(example_K),
            "interaction": self.moments.linear(interaction_K),
        }

    def _random_forms(self) -> tuple[Floats, Floats]:
        forms, count = self._forms(1), len(self.runs)
        return forms["example"] - forms["interaction"] / (count - 1), forms["interaction"] * (
            count / (count - 1)
        )

    def _forms(self, runs: int) -> dict[str, Floats]:
        return component_forms(len(self.runs), runs, merged=self.merged)

    def _unit(self, kind: Literal["truth", "noise"], architecture: str) -> Floats:
        if self.merged:
            raise InputError(f"{OWNER}: {architecture!r} must have two runs or more for its noise, got 1.")
        if architecture not in self.runs:
            raise bad_value("architecture", OWNER, architecture, f"one of {', '.join(self.runs)}")
        count, number = len(self.runs), list(self.runs).index(architecture)
        unit_K = np.zeros(1 + 2 * count)
        unit_K[1 + number + (count if kind == "noise" else 0)] = 1.0
        return unit_K


def variance_components(scores: RunScores, score: str, of: Of = "ranks") -> VarianceComponents:
    """Decompose the variance of one score over examples, architectures and runs.

    Args:
        scores: all cells; read one architecture at a time, twice.
        score: its name.
        of: ``ranks``, or ``values`` as they are.

    Raises:
        InputError: a name that is not there, infinite values with ``of="values"``, one run of one architecture.
    """
    if of not in ("ranks", "values"):
        raise bad_value("of", OWNER, of, "'ranks' or 'values'")
    several = [name for name, runs in scores.runs.items() if len(runs) > 1]
    names = several or list(scores.architectures)
    if not several and len(names) < 2:
        raise InputError(
            f"{OWNER}: there must be two runs of an architecture, or two architectures, got one run of {names[0]!r}."
        )

    def read(architecture: str) -> Floats:
        if of == "ranks":
            return scores.ranks(score, architecture)
        values_RN = scores.values(score, architecture)
        if not np.isfinite(values_RN).all():
            count = int((~np.isfinite(values_RN)).sum())
            raise bad_value(
                f"{score!r} of {architecture}", OWNER, f"{count:,} infinities", "finite for of='values'; use of='ranks'"
            )  # fmt: skip
        return values_RN

    moments = variance_moments(read, names, ranked=of == "ranks")
    return VarianceComponents(
        score=score,
        of=of,
        runs={name: len(scores.runs[name]) for name in names},
        left_out=tuple(name for name in scores.architectures if name not in names),
        components={
            name: moments.linear(form_K)
            for name, form_K in component_forms(len(names), 1, merged=moments.merged).items()
        },
        main=main_effects(moments) if of == "values" else None,
        moments=moments,
    )


def component_forms(architectures: int, runs: int, *, merged: bool) -> dict[str, Floats]:
    """Component -> its weights on ``VarianceMoments.theta_K``, for the mean of ``runs`` runs of one architecture."""
    kinds = 1 if merged else 2
    shared_K = np.zeros(1 + kinds * architectures)
    truth_K, noise_K = shared_K.copy(), shared_K.copy()
    shared_K[0] = 1.0
    truth_K[1 : 1 + architectures] = 1 / architectures
    noise_K[1 + architectures :] = 1 / (architectures * runs)
    if merged:
        return {"example": shared_K, "interaction and noise": truth_K - shared_K}
    if architectures == 1:
        return {"example": truth_K, "noise": noise_K}
    return {"example": shared_K, "interaction": truth_K - shared_K, "noise": noise_K}


def _check_count(parameter: str, count: int, owner: str) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise bad_value(parameter, owner, count, "a whole number from 1")
