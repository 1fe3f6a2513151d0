"""The rules of the advice, one row each: what is measured, from where on it counts, and who says so.

A rule reads the evidence and gives a finding per kept share. The first finding that settles a share, in the order of
``RULES``, decides (``decide``); all others are printed beside it. Thresholds marked "of this project" were set by its
own small studies, and a study of one's own data is worth more than all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.advice.data_size import DataSize, smallest_kept
from training.advice.noise_check import AGREES, ENOUGH_CHECKED, NoiseCheck
from training.advice.score_trust import ScoreTrust

Choice = Literal["keep hard", "drop the hardest", "keep easy", "coverage", "random is safer"]
Says = Literal[
    "keep hard",
    "drop the hardest",
    "keep easy",
    "coverage",
    "random is safer",
    "cannot tell",
    "caution",
    "fine",
]

MOST_WRONG = 0.1
"""Wrong labels look hard: of the hardest share k up to e / k are wrong. Above this share hard-first is not advised."""
LEAST_RELIABLE, RELIABLE = 0.5, 0.8
SMALL_KEEP, CONTESTED_KEEP = 0.1, 0.3
FEWEST_PER_CLASS = 15
IMBALANCED = 2.0
SMALLEST_CLASS = 10
LEAST_RETAINED = 0.5
FEW_ALPHA, MANY_ALPHA = 2.0, 8.0


@dataclass(frozen=True)
class Evidence:
    """All that is known before pruning."""

    noise: NoiseCheck | None
    size: DataSize
    trust: ScoreTrust | None
    label_names: tuple[str, ...]
    labels_N: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Finding:
    """What a rule says of one kept share; ``value`` is what was measured, against ``threshold``."""

    rule: str
    says: Says
    value: float | None
    threshold: float
    evidence: str


@dataclass(frozen=True)
class Rule:
    """A rule: its condition in words and its source; ``hint`` rules never decide."""

    name: str
    when: str
    source: str
    read: Callable[[Evidence, float], Finding | None]
    hint: bool = False


def wrong_labels(evidence: Evidence, keep: float) -> Finding | None:
    """Noise against the kept share."""
    noise = evidence.noise
    if noise is None:
        return None
    share = noise.share
    if share is None:
        tried = ", ".join(f"{each.rate:.0%} planted, {each.rise:+.1%} found" for each in noise.planted)
        why = (
            f"the estimate does not follow flips planted on purpose ({tried})"
            if tried
            else "it was not put to the test"
        )
        told = (
            f"{noise.estimate.value:.1%} wrong labels are estimated, but {why}: nothing is known of the noise"
        )
        return Finding("wrong labels", "cannot tell", None, MOST_WRONG, told)
    by = f"people found in {noise.checked_rows:,} rows" if share is noise.checked else "estimated"
    told = f"wrong labels {share.value:.1%} ({share.low:.1%} to {share.high:.1%}), {by}; up to "
    worst, least = min(1.0, share.high / keep), min(1.0, share.low / keep)
    told += f"{worst:.0%} of the hardest {keep:.0%}"
    if worst <= MOST_WRONG:
        return Finding("wrong labels", "fine", worst, MOST_WRONG, told)
    if least > MOST_WRONG or (share.value / keep > MOST_WRONG and least > MOST_WRONG / 2):
        if not noise.findable:
            told += "; the model sees fewer, so its scores would not find them, and neither end is safe"
            return Finding("wrong labels", "random is safer", worst, MOST_WRONG, told)
        easy = keep + share.high > 1
        return Finding("wrong labels", "keep easy" if easy else "drop the hardest", worst, MOST_WRONG, told)
    return Finding("wrong labels", "cannot tell", worst, MOST_WRONG, f"{told}, which may be too many or not")


def unreliable_score(evidence: Evidence, keep: float) -> Finding | None:
    """Whether other runs would have ranked alike."""
    trust = evidence.trust
    if trust is None or trust.of_mean is None:
        if trust is None:
            return None
        told = f"whether other runs would rank alike by {trust.name} is not known: {trust.unknown}"
        return Finding("unreliable score", "caution", None, LEAST_RELIABLE, told)
    more = f"; {trust.runs_for} runs reach {RELIABLE}" if trust.runs_for and trust.of_mean < RELIABLE else ""
    told = (
        f"{trust.name}, mean of {trust.runs} runs: reliability {trust.of_mean:.2f} (one run "
        f"{trust.single:.2f}){more}"
    )
    says: Says = (
        "random is safer"
        if trust.of_mean < LEAST_RELIABLE
        else "caution"
        if trust.of_mean < RELIABLE
        else "fine"
    )
    return Finding("unreliable score", says, trust.of_mean, LEAST_RELIABLE, told)


def small_share(evidence: Evidence, keep: float) -> Finding | None:
    """Where little is kept, the hardest are too many of a kind."""
    if keep <= SMALL_KEEP:
        told = f"{keep:.0%} is kept: hard-first loses to random there even with clean labels (digits .838 against .912)"
        return Finding("small share", "random is safer", keep, SMALL_KEEP, told)
    if keep <= CONTESTED_KEEP:
        told = f"{keep:.0%} is kept: hard-first won there on clean digits (.982 against .961), and loses in other work"
        return Finding("small share", "caution", keep, SMALL_KEEP, told)
    return Finding("small share", "fine", keep, SMALL_KEEP, f"{keep:.0%} is kept")


def few_per_class(evidence: Evidence, keep: float) -> Finding | None:
    """Examples per class after pruning."""
    left = evidence.size.per_class(keep)
    told = f"{left:.0f} examples per class are left of {evidence.size.per_class():.0f}"
    says: Says = "coverage" if left < FEWEST_PER_CLASS else "fine"
    return Finding("few per class", says, left, FEWEST_PER_CLASS, told)


def imbalance(evidence: Evidence, keep: float) -> Finding | None:
    """Class counts; a rule for the balance, not for the end to keep."""
    size = evidence.size
    told = (
        f"classes of {size.smallest:,} to {int(size.counts_C.max()):,} examples ({size.ratio:.1f} to 1), "
        "as many-sided as "
        f"{size.effective_classes:.1f} equal ones of {size.classes}; the smallest keeps "
        f"{keep * size.smallest:.0f} in proportion"
    )
    says: Says = "caution" if size.ratio >= IMBALANCED or keep * size.smallest < SMALLEST_CLASS else "fine"
    return Finding("imbalance", says, size.ratio, IMBALANCED, told)


def lost_class(evidence: Evidence, keep: float) -> Finding | None:
    """What the hardest would keep of the class they treat worst."""
    if evidence.trust is None:
        return None
    labels_N = evidence.labels_N
    kept = max(1, round(keep * len(labels_N)))
    label, retained = smallest_kept(evidence.trust.hard_N, labels_N, kept)
    told = f"the hardest {keep:.0%} keep {retained:.0%} of the fair share of class {evidence.label_names[label]!r}"
    says: Says = "caution" if retained < LEAST_RETAINED else "fine"
    return Finding("lost class", says, retained, LEAST_RETAINED, told)


def examples_per_parameter(evidence: Evidence, keep: float) -> Finding | None:
    """The perceptron's crossing, as a hint."""
    alpha, left = evidence.size.alpha(), evidence.size.alpha(keep)
    if alpha is None or left is None:
        return None
    told = f"{alpha:.3g} examples per parameter, {left:.3g} after pruning; a perceptron would " + (
        "keep easy" if alpha <= FEW_ALPHA else "keep hard" if alpha >= MANY_ALPHA else "be near its crossing"
    )
    told += (
        ". A hint only: networks have more parameters than they use (clean digits at 0.25 keep hard at 50 %)"
    )
    return Finding("examples per parameter", "caution", alpha, FEW_ALPHA, told)


RULES: tuple[Rule, ...] = (
    Rule(
        "wrong labels",
        f"wrong labels / kept share > {MOST_WRONG:.0%} at the upper end; known where the estimate is above it and "
        "the lower end above half of it; cannot tell unless planted flips are recovered "
        f"{AGREES[0]:g} to {AGREES[1]:g} times or {ENOUGH_CHECKED} labels were checked by people",
        "digits with 10 % flips, 50 / 30 / 10 %: hard .955 / .752 / .020, random .935 / .912 / .796, "
        "without the hardest 12 % "
        ".961 / .962 / .902 (benchmarks/advice.py); Anand et al. 2023: drop the hardest where labels are "
        "noisy; Northcutt et "
        "al. 2021 for the estimate; threshold of this project",
        wrong_labels,
    ),
    Rule(
        "unreliable score",
        f"reliability of the mean over runs < {LEAST_RELIABLE}; caution below {RELIABLE}",
        "Kwok et al. 2024 (rankings of few runs); Anand et al. 2023 (EL2N: mean of 10 runs); thresholds "
        "of this project",
        unreliable_score,
    ),
    Rule(
        "small share",
        f"kept share <= {SMALL_KEEP:.0%}; caution up to {CONTESTED_KEEP:.0%}",
        "digits, clean, 10 %: hard .838 against random .912; Ayed and Hayou 2023: random wins up to 30 %; "
        "Zheng et al. 2023: "
        "coverage at 10 %; Anand et al. 2023: EL2N beats random only while 75 % or more are kept",
        small_share,
    ),
    Rule(
        "few per class",
        f"examples per class after pruning < {FEWEST_PER_CLASS}",
        "digits: hard wins with 36 per class and loses with 12; threshold of this project",
        few_per_class,
    ),
    Rule(
        "imbalance",
        f"largest over smallest class >= {IMBALANCED:g}, or fewer than {SMALLEST_CLASS} left of the smallest",
        "Sorscher et al. 2022 (keep at least half of a class's even share: balance floor); Anand et al. "
        "2023 (scores not "
        "normalised by class for imbalanced data, by class for balanced ones); thresholds of this project",
        imbalance,
        hint=True,
    ),
    Rule(
        "lost class",
        f"a class keeps < {LEAST_RETAINED:.0%} of its fair share among the hardest",
        "Sorscher et al. 2022 (scores amplify imbalance); Anand et al. 2023, section 5 (retention per class)",
        lost_class,
        hint=True,
    ),
    Rule(
        "examples per parameter",
        f"perceptron: easy up to {FEW_ALPHA:g}, hard from {MANY_ALPHA:g}",
        "Sorscher et al. 2022, theory; simulated at 100 parameters",
        examples_per_parameter,
        hint=True,
    ),
)  # fmt: skip


def decide(findings: list[Finding]) -> tuple[Choice, str]:
    """The choice for one kept share, and the rule that made it."""
    hints = {rule.name for rule in RULES if rule.hint}
    by_name = {finding.rule: finding for finding in findings if finding.rule not in hints}
    for rule in RULES:
        finding = by_name.get(rule.name)
        if finding is None or finding.says == "fine" or finding.says == "caution":
            continue
        choice: Choice = "random is safer" if finding.says == "cannot tell" else finding.says
        return choice, finding.rule
    if "wrong labels" not in by_name:
        return "random is safer", "no noise check"
    return "keep hard", "no rule against it"
