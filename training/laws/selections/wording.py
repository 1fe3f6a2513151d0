"""What a comparison of selections says in plain words: one paragraph per selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from training.laws.selections.crossing import Crossings
from training.laws.selections.learning_curves import LearningCurve
from training.laws.selections.multipliers import Multiplier
from training.laws.selections.verdict import Gap
from training.laws.words.quantities import digits, percent, size, with_interval

if TYPE_CHECKING:
    from training.laws.selections.comparison import SelectionResult

MOST_CAUTIONS = 3
WAYS = {"D": "data", "C": "compute", "N": "model size"}


def paragraph(result: SelectionResult, base: LearningCurve, metric: str, axis: str) -> str:
    """Verdict, what it is worth, where the curves cross, and what speaks against believing it."""
    said = [_gap(result.gap, result.name, base.name, metric, "at the largest scale that both measured")]
    said += _multipliers(result.multipliers, base.name)
    if result.crossings is not None:
        said.append(_crossings(result.crossings, base.name, axis))
    if result.target_gap is not None:
        said.append(_gap(result.target_gap, result.name, base.name, metric, "at the scale asked for"))
        said += _multipliers(result.target_multipliers or {}, base.name)
    if result.loss_map is not None and np.isfinite(result.loss_map.kappa.high):
        kappa, K = (with_interval(each) for each in (result.loss_map.kappa, result.loss_map.K))
        said.append(f"Above their floors the losses are related by kappa = {kappa} and K = {K}.")
    cautions = result.cautions
    said += [f"Caution: {_sentence(caution.text)}" for caution in cautions[:MOST_CAUTIONS]]
    if len(cautions) > MOST_CAUTIONS:
        more = len(cautions) - MOST_CAUTIONS
        said.append(f"And {more} more caution{'' if more == 1 else 's'}.")
    return " ".join(said)


def place(at: Mapping[str, float]) -> str:
    """``N = 1.4B, D = 28.8B``: N and D where both are known, else what is."""
    names = ["N", "D"] if {"N", "D"} <= set(at) else [name for name in at if name != "x"]
    return ", ".join(f"{name} = {size(at[name], name)}" for name in names)


def _gap(gap: Gap, name: str, base: str, metric: str, where: str) -> str:
    word = {"better": "better than", "worse": "worse than"}.get(gap.verdict)
    judged = (
        f"{name} is {word} {base}" if word else f"Whether {name} is better than {base} these runs cannot tell"
    )
    values = f"{metric} {digits(gap.selection.value)} against {digits(gap.base.value)}"
    noise = gap.noise
    if np.isfinite(gap.signal_to_noise):
        of = "the spread between seeds" if noise.source == "seeds" else "the spread of runs about their laws"
        beside = f"{digits(gap.signal_to_noise, 2)} times {of}, {percent(noise.sd)}"
    else:
        beside = "the noise of runs is not known"
    difference = _signed(gap)
    return f"{judged} {where} ({place(gap.at)}): predicted {values}, a difference of {difference}; {beside}."


def _signed(gap: Gap) -> str:
    found = gap.difference
    if not np.isfinite([found.low, found.high]).any():
        return f"{found.value:+.3g} (no interval)"
    return f"{found.value:+.3g} ({found.low:+.3g} to {found.high:+.3g})"


def _multipliers(found: Mapping[str, Multiplier], base: str) -> list[str]:
    """What can be had for what, one sentence for the factors and one for what has none."""
    finite = [each for each in found.values() if np.isfinite(each.value)]
    told = []
    for each in finite:
        beyond = ", extrapolating the law of the base" if each.reach != "measured" else ""
        told.append(f"{with_interval(each.interval)} times the {WAYS.get(each.way, each.way)}{beyond}")
    said = [f"It is worth {'; '.join(told)}." if told else ""]
    never = [each for each in found.values() if not np.isfinite(each.value)]
    if never:
        ways = " or ".join(WAYS.get(each.way, each.way) for each in never)
        known = [f"{digits(each.interval.low, 2)} times the {WAYS.get(each.way, each.way)}" for each in never
                 if 0 < each.interval.low < np.inf]  # fmt: skip
        allowed = f", though its intervals allow as little as {' and '.join(known)}" if known else ""
        said.append(f"By the law of {base} no amount of {ways} would reach it{allowed}.")
    return [sentence for sentence in said if sentence]


def _crossings(found: Crossings, base: str, axis: str) -> str:
    low, high = (size(end, axis) for end in found.measured)
    if found.verdict == "cannot tell":
        return f"Whether its curve crosses that of {base} between {axis} = {low} and {high} cannot be told."
    told = []
    for crossing in found.found:
        if crossing.share >= crossing.interval.level:
            extrapolated = "" if crossing.measured else ", beyond what was measured"
            told.append(
                f"it {crossing.direction} at {axis} = {with_interval(crossing.interval, axis)}{extrapolated}"
            )
    if told:
        return f"The curves cross: {', and '.join(told)}."
    ahead = "below" if found.gap_G[0] < 0 else "above"
    return f"Its curve lies {ahead} that of {base} from {axis} = {low} to {high}, with no crossing."


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
