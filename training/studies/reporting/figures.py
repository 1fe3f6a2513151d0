"""Which figures a study has: curves, differences from random and, where there are any, courses of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from training.laws.analysis.names import file_stem
from training.studies.outcomes import Outcome, higher_is_better
from training.studies.reporting.comparisons import ALPHA, Comparison, interval_of_mean
from training.studies.reporting.kept import spread_out
from training.studies.reporting.plots.looks import MOST_WAYS, looks
from training.studies.reporting.results import BASELINES, Results, World, fixed, share_of
from training.studies.reporting.verdicts import place_of
from training.studies.ways import ALL

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Draw = Callable[[], "Figure"]
MOST_PANELS = 3
"""In a row of curves, and columns of differences in a figure."""
MOST_ROWS = 44
"""Of differences in a figure."""
MOST_COURSES = 4
"""Rows of courses of training in a figure."""


class Place(NamedTuple):
    """What one panel shows."""

    split: str
    world: World


class Picture(NamedTuple):
    """Panels that stand in one figure."""

    words: tuple[str, ...]
    """For the name of the file."""
    places: list[Place]
    columns: int


def pictures(results: Results) -> list[Picture]:
    """Per model: all splits of its only world in one figure, else one figure per split, a row per regime."""
    found = []
    for model in results.models:
        worlds = [world for world in results.worlds if world.model == model]
        name = (model,) if len(results.models) > 1 else ()
        if len(worlds) == 1:
            places = [Place(split, worlds[0]) for split in results.splits]
            found.append(Picture(name, places, min(len(places), MOST_PANELS)))
            continue
        variants = list(dict.fromkeys(world.variant for world in worlds))
        regimes = list(dict.fromkeys(results.regimes[world] for world in worlds))
        worlds.sort(key=lambda world: regimes.index(results.regimes[world]))
        full = len(worlds) == len(variants) * len(regimes) and 1 < len(variants) <= MOST_PANELS
        for split in results.splits:
            words = (*name, split) if len(results.splits) > 1 else name
            places = [Place(split, world) for world in worlds]
            found.append(Picture(words, places, len(variants) if full else min(len(worlds), MOST_PANELS)))
    return found


def curve_figures(results: Results) -> dict[str, Draw]:
    """``results-...``: at most ``MOST_WAYS`` ways in each, the baselines in all."""
    return {
        file_stem("results", *picture.words, part): partial(_curves, results, picture, ways)
        for picture in pictures(results)
        for part, ways in _parts(results)
    }


def difference_figures(results: Results, comparisons: Sequence[Comparison]) -> dict[str, Draw]:
    """``differences-...``: the stratified share first, then every way; as many figures as rows and places need."""
    found: dict[str, Draw] = {}
    by_way: dict[str, list[tuple[str, str]]] = {}
    compared = {(each.way, each.budget) for each in results.everything if each.against_random is not None}
    for way in results.ways:
        rows = [(way, budget) for budget in results.budgets if (way, budget) in compared]
        if rows:
            by_way[way] = rows
    pages: list[list[tuple[str, str]]] = []
    for rows in by_way.values():
        if pages and len(pages[-1]) + len(rows) <= MOST_ROWS:
            pages[-1] += rows
        else:
            pages.append(list(rows))
    adjusted = {id(each.outcome): each.holm < ALPHA for each in comparisons}
    for picture in pictures(results):
        chunk = picture.columns
        for first in range(0, len(picture.places), chunk):
            places = picture.places[first : first + chunk]
            line = str(first // chunk + 1) if len(picture.places) > chunk else ""
            for number, page in enumerate(pages):
                part = f"part{number + 1}" if len(pages) > 1 else ""
                stem = file_stem("differences", *picture.words, line, part)
                found[stem] = partial(_differences, results, places, page, adjusted)
    return found


def training_figures(results: Results) -> dict[str, Draw]:
    """``training-...``; none where nothing was measured before the end."""
    courses = _courses(results)
    if not courses:
        return {}
    found: dict[str, Draw] = {}
    for picture in pictures(results):
        places = [place for place in picture.places if any(key[:2] == place for key in courses)]
        for first in range(0, len(places), MOST_COURSES):
            page = str(first // MOST_COURSES + 1) if len(places) > MOST_COURSES else ""
            for part, ways in _parts(results):
                found[file_stem("training", *picture.words, page, part)] = partial(
                    _training, results, courses, places[first : first + MOST_COURSES], ways
                )
    return found


def _parts(results: Results) -> Iterator[tuple[str, list[str]]]:
    asked = [way for way in results.ways if way not in BASELINES]
    baselines = [way for way in results.ways if way in BASELINES]
    for first in range(0, max(1, len(asked)), MOST_WAYS):
        part = f"part{first // MOST_WAYS + 1}" if len(asked) > MOST_WAYS else ""
        yield part, baselines + asked[first : first + MOST_WAYS]


def _title(results: Results, place: Place) -> str:
    return place_of(results, place.split, results.told(place.world)) or place.split


def _curves(results: Results, picture: Picture, ways: Sequence[str]) -> Figure:
    from training.studies.reporting.plots.curves import Panel, result_curves

    panels = []
    for place in picture.places:
        found = results.of_world(*place)
        order = {budget: at for at, budget in enumerate(results.budgets)}
        points = {
            way: sorted(
                (_point(each) for each in found if each.way == way and not fixed(each)),
                key=lambda point: order[point.budget],
            )
            for way in ways
        }
        lines = {
            results.words.whole if each.way == ALL else each.way: each.mean
            for each in found
            if fixed(each) and math.isfinite(each.mean)
        }
        panels.append(Panel(_title(results, place), points, lines))
    return result_curves(
        panels, looks(ways), columns=picture.columns, metric=_metric(results), share=results.words.share,
        title=f"{results.metric} by what was {results.words.done}{_of(picture)}",
    )  # fmt: skip


def _point(each: Outcome) -> Any:
    from training.studies.reporting.plots.curves import Point

    return Point(str(each.budget), share_of(each), each.mean, *interval_of_mean(each))


def _differences(
    results: Results, places: Sequence[Place], rows: Sequence[tuple[str, str]], adjusted: dict[int, bool]
) -> Figure:
    from training.studies.reporting.plots.differences import Column, Mark, difference_plot

    columns = []
    for place in places:
        marks = {}
        for each in results.of_world(*place):
            difference = each.against_random
            if difference is not None and (each.way, str(each.budget)) in rows:
                marks[each.way, str(each.budget)] = Mark(
                    difference.mean,
                    difference.low,
                    difference.high,
                    each.verdict,
                    adjusted.get(id(each), False),
                )
        columns.append(Column(_title(results, place), marks))
    side = "right" if higher_is_better(results.metric) else "left"
    return difference_plot(rows, columns, title="Difference from random", metric=results.metric, better=side)


def _courses(results: Results) -> dict[tuple[Any, ...], Any]:
    """(split, world, budget, way) -> course, where the metric was measured before the end."""
    from training.studies.reporting.plots.training import Course

    values: dict[tuple[Any, ...], dict[float, dict[int, float]]] = {}
    for split in results.splits:
        for row in results.rows(split, results.metric).to_pylist():
            if row["group"] == "" and row["step"] is not None:
                world = World(row["variant"], row["model"], row["regime"])
                at = row["step"]
                if by_epochs(results, world) and row["steps"] and row["epochs"]:
                    at = row["epochs"] * row["step"] / row["steps"]
                found = values.setdefault((split, world, row["budget"], row["way"]), {})
                found.setdefault(at, {})[row["seed"]] = row["value"]
    if all(len(steps) == 1 for steps in values.values()):
        return {}
    from scipy.special import stdtrit

    courses = {}
    for key, steps in values.items():
        most = max(map(len, steps.values()))
        # A step that some seeds alone were measured at would bend the mean.
        whole = sorted(step for step, seeds in steps.items() if len(seeds) == most)
        each_KS = np.array([[steps[step][seed] for seed in sorted(steps[step])] for step in whole])
        half_K = np.full(len(whole), math.nan)
        if most > 1:
            half_K = float(stdtrit(most - 1, 1 - ALPHA / 2)) * each_KS.std(axis=1, ddof=1) / math.sqrt(most)
        mean_K = each_KS.mean(axis=1)
        courses[key] = Course(np.array(whole, dtype=np.float64), mean_K, mean_K - half_K, mean_K + half_K)
    return courses


def by_epochs(results: Results, world: World) -> bool:
    """Whether runs of a world have their epochs in common, and not their steps."""
    return "epoch" in results.regimes[world]


def _training(
    results: Results, courses: dict[tuple[Any, ...], Any], places: Sequence[Place], ways: Sequence[str]
) -> Figure:
    from training.studies.reporting.plots.training import Row, training_curves

    budgets = spread_out(results.budgets)
    rows = []
    for place in places:
        shown = {
            budget: {
                way: course for way in ways if (course := courses.get((*place, budget, way))) is not None
            }
            for budget in budgets
        }
        name = place_of(results, place.split, results.told(place.world))
        x = "epoch" if by_epochs(results, place.world) else "step"
        rows.append(Row(name, shown, courses.get((*place, None, ALL)), x))
    title = f"{results.metric} during training"
    return training_curves(rows, looks(ways), title=title, metric=_metric(results), whole=results.words.whole)


def _metric(results: Results) -> str:
    return results.metric if higher_is_better(results.metric) else f"{results.metric} (lower is better)"


def _of(picture: Picture) -> str:
    return f", {', '.join(picture.words)}" if picture.words else ""
