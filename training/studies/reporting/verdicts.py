"""What came out, in plain words: where a way beats random, where random beats it, and how much of that chance makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from scoring.reports.section import Cell, Listing, Section
from training.studies.outcomes import FEWEST, higher_is_better
from training.studies.paired import Verdict
from training.studies.reporting.comparisons import Comparison, Counts, count
from training.studies.reporting.results import Results, world_of
from training.studies.ways import STRATIFIED_RANDOM

MOST_NAMED = 8
"""Places, or ways, told in one sentence."""


def verdict_section(results: Results, comparisons: Sequence[Comparison]) -> Section:
    """The first answer of the report."""
    counts = count(comparisons)
    sentences = [f"{plain_sentence(results, comparisons)} {counts_sentence(results, counts)}"]
    if counts.tested:
        sentences.append(
            "Each verdict is made by itself, of a 95 % paired t interval over seeds that leaves out zero. Comparisons "
            "that share a random share depend on each other: the number called by chance is right on average, and "
            "spreads more than that of independent ones."
        )
    if baseline := _stratified(results):
        sentences.append(baseline)
    listings = []
    if comparisons and len(results.worlds) * len(results.splits) > 1:
        listings = [_by_way(results, comparisons), _by_place(results, comparisons)]
    return Section(
        "verdicts", "Does anything beat random?", sentences, listings,
        document={
            "metric": results.metric, "counts": {**asdict(counts), "by_chance": counts.by_chance},
            "comparisons": [comparison_document(each) for each in comparisons],
        },
    )  # fmt: skip


def plain_sentence(results: Results, comparisons: Sequence[Comparison]) -> str:
    """``Better than random: hardest by el2n at 75%. Worse than random: hardest by el2n at 10%.``"""
    if not comparisons:
        return "No way of choosing stands beside a random share of its size, so there is nothing to compare."
    if not any(each.tested for each in comparisons):
        return f"No verdicts: they need {FEWEST} seeds or more with finite values."
    better, worse = (_places(results, comparisons, verdict) for verdict in ("better", "worse"))
    said = f"Better than random: {better}." if better else "Nothing is called better than random."
    return f"{said} " + (f"Worse than random: {worse}." if worse else "Nothing is called worse than random.")


def counts_sentence(results: Results, counts: Counts) -> str:
    """How many comparisons, how many called, how many by chance, how many after adjusting."""
    if not counts.tested:
        return ""
    of = f"{results.metric}{'' if higher_is_better(results.metric) else ', lower is better'}"
    called = counts.better + counts.worse
    untested = f" {counts.untested} more could not be judged." if counts.untested else ""
    said = (
        f"Of {counts.tested} {'comparison' if counts.tested == 1 else 'comparisons'} ({of}) {counts.better} "
        f"{_is(counts.better)} called better and {counts.worse} worse; about {chance_words(counts.by_chance)} of "
        f"{counts.tested} would be called by chance if nothing differed from random."
    )
    if called:
        said += (
            f" Adjusted for their number, {counts.better_holm + counts.worse_holm} of these {called} remain by Holm "
            f"({counts.better_holm} better, {counts.worse_holm} worse), and {counts.better_bh + counts.worse_bh} at a "
            f"false discovery rate of 5 % ({counts.better_bh} better, {counts.worse_bh} worse)."
        )
    return said + untested


def chance_words(expected: float) -> str:
    """``1.2``, ``0.4``, ``12``."""
    return f"{expected:.0f}" if expected >= 10 else f"{expected:.1f}"


def comparison_document(each: Comparison) -> dict[str, Any]:
    """For machines."""
    outcome = each.outcome
    return {
        "split": outcome.split, "variant": outcome.variant, "model": outcome.model, "regime": outcome.regime,
        "way": outcome.way, "budget": outcome.budget, "mean": outcome.mean, "sd": outcome.sd,
        "difference": [each.difference.mean, each.difference.low, each.difference.high],
        "seeds": each.difference.seeds, "verdict": each.verdict, "p": each.p, "holm": each.holm, "bh": each.bh,
    }  # fmt: skip


def _places(results: Results, comparisons: Sequence[Comparison], verdict: Verdict) -> str:
    """Ways with the budgets and places where they are called so; where that is too much, with how often."""
    called = [each for each in comparisons if each.verdict == verdict]
    ways: dict[str, dict[str, list[str]]] = {}
    for each in called:
        outcome = each.outcome
        where = place_of(results, outcome.split, results.told(world_of(outcome)))
        ways.setdefault(outcome.way, {}).setdefault(where, []).append(str(outcome.budget))
    if len(called) <= MOST_NAMED:
        told = [
            f"{way} at "
            + " and ".join(
                f"{', '.join(each)}{f' ({where})' if where else ''}" for where, each in found.items()
            )
            for way, found in ways.items()
        ]
        return "; ".join(told)
    of = Counter(each.outcome.way for each in comparisons if each.tested)
    often = sorted(
        ((sum(map(len, found.values())), way) for way, found in ways.items()), key=lambda pair: -pair[0]
    )
    told = [f"{way} in {number} of {of[way]}" for number, way in often[:MOST_NAMED]]
    rest = len(often) - MOST_NAMED
    return "; ".join(told) + (f"; and {rest} more ways" if rest > 0 else "") + " (below, where)"


def place_of(results: Results, split: str, world: str) -> str:
    """A world, with the split where there are several."""
    return ", ".join(each for each in (split if len(results.splits) > 1 else "", world) if each)


def _stratified(results: Results) -> str | None:
    """What the class-stratified random share does beside the plain one."""
    found = [
        each.verdict
        for each in results.everything
        if each.way == STRATIFIED_RANDOM.name
        and each.against_random is not None
        and each.against_random.seeds >= FEWEST
    ]
    if not found:
        return None
    return (
        f"The class-stratified random share is better than the plain one in {found.count('better')} and worse in "
        f"{found.count('worse')} of {len(found)} comparisons; these are not among those above."
    )


def _by_way(results: Results, comparisons: Sequence[Comparison]) -> Listing:
    cells: dict[tuple[str, str | None], list[Comparison]] = {}
    for each in comparisons:
        cells.setdefault((each.outcome.way, each.outcome.budget), []).append(each)
    ways = [way for way in results.ways if any(name == way for name, _ in cells)]
    rows: list[list[Cell]] = []
    for way in ways:
        row: list[Cell] = [way]
        for budget in results.budgets:
            counts = count(cells.get((way, budget), []))
            row.append(
                f"{counts.better} / {counts.worse} of {counts.tested}" if (way, budget) in cells else None
            )
        rows.append(row)
    return Listing(
        ["way", *results.budgets], rows, "In how many places: better / worse than random of all compared"
    )


def _by_place(results: Results, comparisons: Sequence[Comparison]) -> Listing:
    rows: list[list[Cell]] = []
    for split in results.splits:
        for world in results.worlds:
            here = [
                each
                for each in comparisons
                if each.outcome.split == split and world_of(each.outcome) == world
            ]
            counts = count(here)
            name = place_of(results, split, results.told(world))
            rows.append(
                [name, len(here), counts.better, counts.worse, counts.tested - counts.better - counts.worse,
                 chance_words(counts.by_chance)]
            )  # fmt: skip
    header = ["where", "comparisons", "better", "worse", "cannot tell", "called by chance"]
    return Listing(header, rows, "Verdicts against random, place by place")


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
