"""What is advised, for people and for machines."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scoring.reports.section import Listing, Section
from scoring.reports.text import escape, number
from training.advice.noise_check import NoiseCheck
from training.advice.rules import RULES, Choice, Finding

UNSEEN = (
    "Wrong labels that follow a rule (weak supervision, one annotator's habit) are learned by the model "
    "and not seen by this "
    "estimate, and examples that are truly ambiguous are counted as wrong; a hundred random rows checked "
    "by people (checked=) "
    "tell more."
)


@dataclass(frozen=True)
class Recommendation:
    """For one kept share.

    Attributes:
        keep: The share.
        choice: What to keep, and ``because`` the rule that settled it.
        way: As study files and ``tamis select`` write it: ``take``, ``by``, options, ``balance``.
        findings: All that was found, in the order of the rules.
    """

    keep: float
    choice: Choice
    because: str
    way: Mapping[str, Any]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Advice:
    """The recommendations with what they rest on; ``study`` is the study file that was written, or None."""

    name: str
    rows: int
    classes: int
    parameters: int | None
    noise: NoiseCheck | None
    recommendations: tuple[Recommendation, ...]
    normalise: str
    study: str | None = None

    def sentences(self) -> list[str]:
        """The answer, one sentence per kept share first."""
        said = [f"Keep {each.keep:.0%}: {each.choice} ({_told(each)})." for each in self.recommendations]
        if self.noise is not None:
            said.append(noise_sentence(self.noise))
            if self.noise.share is not self.noise.checked or self.noise.checked is None:
                said.append(UNSEEN)
        said.append(self.normalise)
        if self.study is not None:
            said.append(f"To be sure, run the small study: tamis study {self.study}")
        return said

    def section(self) -> Section:
        """For reports."""
        header = ("keep", "rule", "says", "measured", "threshold", "evidence")
        rows = [
            (f"{each.keep:.0%}", found.rule, found.says, found.value, found.threshold, found.evidence)
            for each in self.recommendations
            for found in each.findings
        ]
        rules = [(rule.name, "hint" if rule.hint else "decides", rule.when, rule.source) for rule in RULES]
        listings = [Listing(header, rows, "Evidence")]
        if self.noise is not None and self.noise.planted:
            planted = [
                (
                    each.rate,
                    each.estimate,
                    each.rise,
                    each.expected,
                    each.recovered,
                    each.recall,
                    each.elsewhere,
                )
                for each in self.noise.planted
            ]
            names = (
                "planted",
                "then estimated",
                "rise",
                "expected",
                "recovered",
                "of planted suspected",
                "of others",
            )
            listings.append(Listing(names, planted, "Flips planted on purpose"))
        listings.append(Listing(("rule", "role", "when", "source"), rules, "Rules"))
        return Section(
            "advice", f"Before pruning {self.name}", self.sentences(), listings, document=self.to_dict()
        )

    def text(self) -> str:
        """For the terminal."""
        lines = [f"{self.name}: {self.rows:,} examples, {self.classes} classes", "", *self.sentences()]
        for each in self.recommendations:
            lines += ["", f"Keep {each.keep:.0%}, because of: {each.because}"]
            for found in each.findings:
                measured = "-" if found.value is None else number(found.value)
                lines.append(
                    f"  {found.rule}: {found.says} (measured {measured}, threshold "
                    f"{number(found.threshold)}): {found.evidence}"
                )
        return "\n".join(lines) + "\n"

    def markdown(self) -> str:
        """As a page."""
        section = self.section()
        lines = [f"# {escape(section.title)}", ""]
        for sentence in section.sentences:
            lines += [f"- {escape(sentence)}"]
        for listing in section.listings:
            lines += [
                "",
                f"## {escape(listing.caption)}",
                "",
                f"| {' | '.join(map(escape, listing.header))} |",
            ]
            lines += [f"|{'---|' * len(listing.header)}"]
            lines += [f"| {' | '.join(escape(number(value)) for value in row)} |" for row in listing.rows]
        return "\n".join(lines) + "\n"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON; numbers that are none are null."""
        noise = self.noise
        found: dict[str, Any] = {
            "name": self.name, "rows": self.rows, "classes": self.classes, "parameters": self.parameters,
            "noise": None if noise is None else {
                "model": noise.model, "accuracy": noise.accuracy, "estimate": _interval(noise.estimate),
                "sees_planted": noise.sees, "share": _interval(noise.share), "checked_rows": noise.checked_rows,
                "checked": _interval(noise.checked),
                "planted": [{**each.__dict__, "recovered": each.recovered} for each in noise.planted],
            },
            "recommendations": [
                {
                    "keep": each.keep, "choice": each.choice, "because": each.because, "way": dict(each.way),
                    "findings": [dict(found.__dict__) for found in each.findings],
                }
                for each in self.recommendations
            ],
            "study": self.study, "sentences": self.sentences(),
        }  # fmt: skip
        cleaned: dict[str, Any] = _plain(found)
        return cleaned


def noise_sentence(noise: NoiseCheck) -> str:
    """What is known of wrong labels."""
    estimate = noise.estimate
    told = (
        f"Wrong labels: {estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%} by "
        f"chance alone) estimated from a "
    )
    told += f"cross-fitted {noise.model} that is right on {noise.accuracy:.1%}; "
    if noise.planted:
        rose = "; ".join(
            f"{each.rate:.1%} flipped on purpose raised it by {each.rise:.1%} ({each.recovered:.2f} times "
            "what it should)"
            for each in noise.planted
        )
        told += f"{rose}: random wrong labels {'are' if noise.sees else 'are not reliably'} seen here"
    else:
        told += "nothing was planted to test it, so it cannot be relied on"
    if noise.checked is not None:
        checked = noise.checked
        told += (
            f"; people found {checked.value:.1%} ({checked.low:.1%} to {checked.high:.1%}) in "
            f"{noise.checked_rows:,} rows"
        )
    return f"{told}."


def _told(each: Recommendation) -> str:
    found = next((finding for finding in each.findings if finding.rule == each.because), None)
    return each.because if found is None else found.evidence


def _interval(given: Any) -> list[float] | None:
    return None if given is None else [given.value, given.low, given.high]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
