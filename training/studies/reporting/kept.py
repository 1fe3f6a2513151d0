"""What every way kept: shares of the classes against before, and rows that interventions planted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from scoring.reports.section import Cell, Listing, Section
from scoring.reports.text import number
from training.laws.analysis.names import file_stem
from training.studies.reporting.results import KEPT, Results

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = {"planted": "planted rows", "wrong": "wrong labels"}
"""Metrics of the train split, and what they are shares of."""
MOST_CLASSES, MOST_WAYS, MOST_BUDGETS = 30, 12, 4
FEW_WAYS = 6
"""With more of them beside each other, two budgets are shown, not four."""


def share_sections(results: Results) -> list[Section]:
    """The shares of planted rows, and of wrong labels, among what was chosen, where there are any."""
    found = [_share_section(results, metric, what) for metric, what in SHARES.items()]
    return [each for each in found if each is not None]


def _share_section(results: Results, metric: str, what: str) -> Section | None:
    shares = _means(results.rows(KEPT, metric).to_pylist())
    base = {key[0]: value for key, (value, _) in shares.items() if key[1] not in results.ways}
    variants = [
        variant for variant in dict.fromkeys(key[0] for key in shares)
        if base.get(variant, 0) > 0 or any(value > 0 for key, (value, _) in shares.items() if key[0] == variant)
    ]  # fmt: skip
    if not variants:
        return None
    listings, sentences = [], []
    for variant in variants:
        rows: list[list[Cell]] = []
        found = {(way, budget): each for (name, way, budget), each in shares.items() if name == variant}
        for way in results.ways:
            if any(name == way for name, _ in found):
                rows.append([way, *(_share(found.get((way, budget))) for budget in results.budgets)])
        of = f"of all {number(base[variant])}" if variant in base else f"among what was {results.words.done}"
        listings.append(
            Listing(["way", *results.budgets], rows, f"{variant or 'data'}: share of {what}, {of}")
        )
        sentences.append(_extremes(variant, what, found, base.get(variant), results.ways))
    return Section(
        metric, f"{what[:1].upper()}{what[1:]} among what was {results.words.done}", sentences, listings,
        document={metric: [[*key, *value] for key, value in shares.items() if key[0] in variants]},
    )  # fmt: skip


def _extremes(
    variant: str | None,
    what: str,
    found: Mapping[tuple[str, str | None], tuple[float, float]],
    base: float | None,
    ways: Sequence[str],
) -> str:
    chosen = {key: value for key, (value, _) in found.items() if key[0] in ways and value == value}
    if not chosen:
        return f"{variant or 'data'}: nothing was chosen."
    low, high = min(chosen, key=lambda key: chosen[key]), max(chosen, key=lambda key: chosen[key])
    rate = "" if base is None else f"; of all it is {number(base)}, which random shares keep on average"
    return (
        f"{variant or 'data'}: the share of {what} lies between {number(chosen[low])} ({low[0]} at {low[1]}) and "
        f"{number(chosen[high])} ({high[0]} at {high[1]}){rate}."
    )


def representation_section(results: Results) -> Section | None:
    """How the shares of classes changed; None where the table does not say."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in results.rows(KEPT, "representation").to_pylist():
        if row["way"] in results.ways:
            key = (row["variant"], row["way"], row["budget"], row["group"].partition(":")[2])
            found.setdefault(key, []).append(row["value"])
    if not found:
        return None
    means = {key: math.fsum(values) / len(values) for key, values in found.items()}
    figures: dict[str, Any] = {}
    done = results.words.done
    sentences = [
        f"Share of a class among what was {done} against its share in all that could be: 0 is no change, -1 is nothing "
        f"{done}, 1 is twice its share; means over seeds."
    ]
    for variant in dict.fromkeys(key[0] for key in means):
        mine = {key[1:]: value for key, value in means.items() if key[0] == variant}
        most = max(mine, key=lambda key: abs(mine[key]))
        sentences.append(
            f"{variant or 'data'}: the largest change is {number(mine[most])}, of {most[2]} under {most[0]} at "
            f"{most[1]}."
        )
        classes = _largest([key[2] for key in mine], mine)
        for page in range(0, len(results.ways), MOST_WAYS):
            ways = results.ways[page : page + MOST_WAYS]
            name = file_stem("representation", variant or "", str(page // MOST_WAYS + 1) if page else "")
            figures[name] = partial(
                _draw,
                mine,
                classes,
                ways,
                spread_out(results.budgets, MOST_BUDGETS if len(ways) <= FEW_WAYS else 2),
                variant,
            )
    return Section("representation", "Representation of classes", sentences, figures=figures)


def _draw(
    means: Mapping[tuple[str, str, str], float],
    classes: Sequence[str],
    ways: Sequence[str],
    budgets: Sequence[str],
    variant: str | None,
) -> Figure:
    from training.studies.reporting.plots.heat_map import representation_map

    panels = {
        budget: np.array([[means.get((way, budget, name), math.nan) for way in ways] for name in classes])
        for budget in budgets
    }
    count = len({key[2] for key in means})
    shown = f", the {len(classes)} of {count} classes that change most" if len(classes) < count else ""
    title = f"Representation of classes{f', {variant}' if variant else ''}{shown}"
    return representation_map(classes, ways, panels, title=title)


def _largest(classes: Sequence[str], means: Mapping[tuple[str, str, str], float]) -> list[str]:
    """At most so many classes, those of the largest change, in the order of the table."""
    order = list(dict.fromkeys(classes))
    size = dict.fromkeys(order, 0.0)
    for (_, _, name), value in means.items():
        size[name] = max(size[name], abs(value))
    chosen = set(sorted(order, key=lambda name: -size[name])[:MOST_CLASSES])
    return [name for name in order if name in chosen]


def spread_out(budgets: Sequence[str], most: int = MOST_BUDGETS) -> list[str]:
    """At most so many budgets, the first and the last among them."""
    if len(budgets) <= most:
        return list(budgets)
    places = np.linspace(0, len(budgets) - 1, most).round().astype(int)
    return [budgets[place] for place in places]


def _means(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[Any, ...], tuple[float, float]]:
    """(variant, way, budget) -> mean and sd over seeds, of rows over all examples; models and regimes share choices."""
    found: dict[tuple[Any, ...], dict[int, list[float]]] = {}
    for row in rows:
        if row["group"] == "":
            seeds = found.setdefault((row["variant"], row["way"], row["budget"]), {})
            seeds.setdefault(row["seed"], []).append(row["value"])
    means = {key: [math.fsum(each) / len(each) for each in seeds.values()] for key, seeds in found.items()}
    return {
        key: (float(np.mean(each)), round(float(np.std(each, ddof=1)), 12) if len(each) > 1 else math.nan)
        for key, each in means.items()
    }


def _share(found: tuple[float, float] | None) -> Cell:
    if found is None:
        return None
    return number(found[0]) if math.isnan(found[1]) else f"{number(found[0])} ± {number(found[1])}"
