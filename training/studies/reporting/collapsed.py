"""Collapse: ways that do no better than a guess, and classes of which nothing was kept."""

from __future__ import annotations

import math
from typing import Any

from scoring.errors import name_some
from scoring.reports.section import Cell, Listing, Section
from training.studies.outcomes import Outcome
from training.studies.reporting.classes import groupings
from training.studies.reporting.results import KEPT, Results, world_of
from training.studies.reporting.verdicts import place_of

CLASS = "class"


def collapse_section(results: Results) -> Section | None:
    """Ways that do no better than a guess, and ways that kept nothing of a class; None if neither can be known."""
    guess = chance_level(results)
    lost = lost_classes(results)
    if guess is None and lost is None:
        return None
    sentences: list[str] = []
    document: dict[str, Any] = {}
    if guess is not None:
        low = [each for each in results.everything if each.mean <= guess[each.split]]
        told_low = f": {name_some([_place(results, each) for each in low])}" if low else ""
        sentences.append(
            f"{len(low)} of {len(results.everything)} cells do no better on average than guessing one of the classes "
            f"evenly ({', '.join(f'{level:.3g}' for level in dict.fromkeys(guess.values()))}){told_low}."
        )
        document["at_chance"] = [_place(results, each) for each in low]
    listings = []
    if lost is not None:
        (rows, asked), done = lost, results.words.done
        sentences.append(
            f"In {len(rows)} of {asked} choices (variant, way, budget) nothing was {done} of some class in some seed."
        )
        if rows:
            header = ["variant", "way", "budget", "classes lost", "which"]
            shown: list[list[Cell]] = [[*row[:4], name_some(row[4])] for row in rows]
            listings.append(
                Listing(header, shown, f"Classes of which nothing was {done} (mean number over seeds)")
            )
        document["lost"] = [dict(zip(("variant", "way", "budget", "mean", "classes"), row)) for row in rows]
    return Section("collapse", "Collapse", sentences, listings, document=document)


def chance_level(results: Results) -> dict[str, float] | None:
    """Split -> 1 / C for the C classes of its examples, where the metric is accuracy; None if they are not known."""
    if results.metric != "accuracy":
        return None
    found = {
        split: 1 / len(groups[CLASS])
        for split in results.splits
        if CLASS in (groups := groupings(results, split))
    }
    return found if len(found) == len(results.splits) else None


def lost_classes(results: Results) -> tuple[list[tuple[Any, ...]], int] | None:
    """Choices that lost a class: variant, way, budget, how many on average over seeds, which in any seed."""
    rows = results.rows(KEPT, "representation").to_pylist()
    if not rows:
        return None
    choices: dict[tuple[Any, ...], dict[int, set[str]]] = {}
    for row in rows:
        if row["way"] in results.ways:
            seeds = choices.setdefault((row["variant"], row["way"], row["budget"]), {})
            lost = seeds.setdefault(row["seed"], set())
            if row["value"] == -1:
                lost.add(row["group"].partition(":")[2])
    found = [
        (*key, math.fsum(map(len, seeds.values())) / len(seeds), sorted(set[str]().union(*seeds.values())))
        for key, seeds in choices.items()
        if any(seeds.values())
    ]
    return found, len(choices)


def _place(results: Results, each: Outcome) -> str:
    where = place_of(results, each.split, results.told(world_of(each)))
    return f"{each.way}{f' at {each.budget}' if each.budget else ''}{f' ({where})' if where else ''}"
