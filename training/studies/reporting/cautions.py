"""What a reader must know before believing the tables: seeds, cells that are missing, values that are not finite."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import product

from scoring.errors import name_some
from scoring.reports.section import Section
from training.studies.outcomes import FEWEST, Outcome
from training.studies.reporting.results import Results, asked_for, world_of
from training.studies.ways import ALL, RANDOM


def cautions(results: Results) -> list[str]:
    """One sentence each; none if there is nothing to say."""
    found = [_few_seeds(results), _missing(results), _unequal(results), _not_finite(results)]
    found += [_without_random(results)]
    return [each for each in found if each is not None]


def caution_section(results: Results) -> Section:
    """The same as a section."""
    found = cautions(results)
    nothing = "Every cell of the grid is finished, with three seeds or more and finite values."
    if "cells" not in results.about:
        nothing = "Three seeds or more and finite values; without study.json nobody knows whether cells are missing."
    return Section("cautions", "Cautions", found or [nothing], document={"cautions": found})


def _few_seeds(results: Results) -> str | None:
    seeds = len(results.seeds)
    if seeds >= FEWEST:
        return None
    return (
        f"The study has {seeds} {'seed' if seeds == 1 else 'seeds'}. Verdicts need {FEWEST}, so there are none: what "
        "differs here may be chance."
    )


def _missing(results: Results) -> str | None:
    """Cells of the grid that are not in the table: not trained yet, or failed."""
    keys = ("variant", "model", "regime", "way", "budget", "seed")
    present = set(zip(*(results.table[name].to_pylist() for name in keys)))
    asked = results.about.get("cells")
    if not isinstance(asked, int) or len(present) >= asked:
        return None
    ways = {(way, budget) for _, _, _, way, budget, _ in present}
    seeds = {key[-1] for key in present}
    gaps = [
        (*world, *way, seed)
        for world, way, seed in product(results.worlds, sorted(ways, key=str), sorted(seeds))
        if (*world, *way, seed) not in present
    ]
    told = f"{asked - len(present)} of {asked} cells are missing, not finished or failed"
    # Gaps in the grid that is seen are all that is missing only if their number is.
    if len(gaps) == asked - len(present):
        told += f": {name_some([_name(gap) for gap in gaps])}"
    return told + ". Run the study again to continue it; means below are of the seeds that are there."


def _name(cell: Iterable[object]) -> str:
    *words, seed = cell
    return " / ".join(str(word) for word in words if word is not None) + f" / seed {seed}"


def _unequal(results: Results) -> str | None:
    """Ways with fewer seeds than the study."""
    short = [each for each in results.everything if len(each.values) < len(results.seeds)]
    if not short:
        return None
    return (
        f"Not every mean is of all {len(results.seeds)} seeds: {name_some(list(dict.fromkeys(map(_outcome, short))))}. "
        "Differences are of the seeds that both sides have."
    )


def _not_finite(results: Results) -> str | None:
    bad = [each for each in results.everything if not all(map(math.isfinite, each.values.values()))]
    if not bad:
        return None
    return (
        f"{results.metric} is not finite in {len(bad)} of {len(results.everything)} cells, as when training "
        f"diverges; they have no verdict: {name_some(list(dict.fromkeys(map(_outcome, bad))))}."
    )  # fmt: skip


def _without_random(results: Results) -> str | None:
    alone = [each for each in results.everything if asked_for(each) and each.against_random is None]
    if not alone:
        return None
    return f"No {RANDOM} share of the same size stands beside {name_some(list(dict.fromkeys(map(_outcome, alone))))}."


def _outcome(each: Outcome) -> str:
    budget = "" if each.budget is None or each.way == ALL else f" at {each.budget}"
    variant, model, regime = world_of(each)
    return f"{each.way}{budget} ({', '.join(str(word) for word in (variant, model, regime) if word)})"
