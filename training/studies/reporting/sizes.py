"""What a selection of documents is worth in model size: over-scaling and effective size, of a corpus study."""

from __future__ import annotations

import math

from scoring.errors import InputError
from scoring.reports.section import Cell, Listing, Section
from training.studies.reporting.results import Results
from training.studies.sizes import (
    MEAN,
    StudyEffectiveSize,
    StudyOverScaling,
    study_effective_sizes,
    study_over_scaling,
)

KIND = "corpus"
TOLD = (
    "Over-scaling: 100 is what the step to the next larger model does on all documents, below 0 the selection harms; "
    "effective size: the parameters of a model on all documents with the same mean loss. Intervals of 95 % over seeds; "
    "nothing is extrapolated beyond the sizes that were trained."
)


def size_section(results: Results) -> Section | None:
    """None for other studies, or where no two sizes were trained on everything."""
    if results.about.get("kind") != KIND or len(results.models) < 2 or results.metric != "loss":
        return None
    scaling: list[StudyOverScaling] = []
    sizes: list[StudyEffectiveSize] = []
    sentences = [TOLD]
    for models in _kinds(results):
        try:
            scaling += study_over_scaling(results.table, models=models)
            sizes += study_effective_sizes(results.table, models=models)
        except InputError as error:
            sentences.append(f"Of {', '.join(models)} it cannot be told: {error}")
    if not scaling:
        return Section("sizes", "Worth in model size", sentences[1:])
    listings = [
        Listing(
            ["way", "budget", "model", "next larger", "over-scaling, %"], [_scaled(each) for each in scaling]
        ),
        Listing(["way", "budget", "model", "parameters", "effective size"], [_sized(each) for each in sizes]),
    ]
    return Section("sizes", "Worth in model size", sentences, listings)


def _kinds(results: Results) -> list[list[str]]:
    """Models of one family and one optimizer are sizes of one kind; a mixture of experts is none of a dense one."""
    told = results.about.get("study", {}).get("models", {})
    found: dict[tuple[str, str], list[str]] = {}
    for name in results.models:
        model, _, recipe = (name, "", "") if name in told else name.rpartition(" ")
        about = told.get(model, {})
        found.setdefault((about.get("family", ""), recipe), []).append(name)
    return list(found.values())


def _scaled(each: StudyOverScaling) -> list[Cell]:
    told = [each.way, each.budget, each.model, each.larger]
    if each.over_seeds is None:
        return [*told, "the larger model is not better"]
    over = each.over_seeds
    return [
        *told,
        f"{over.value:+.0f} ({over.low:+.0f} to {over.high:+.0f})" if math.isfinite(over.low) else over.value,
    ]


def _sized(each: StudyEffectiveSize) -> list[Cell]:
    found = each.by_split.get(MEAN) or next(iter(each.by_split.values()))
    told: list[Cell] = [each.way, each.budget, each.model, each.N]
    if found.place != "inside":
        return [*told, found.place]
    return [*told, f"{found.size:,.0f} ({_end(found.low)} to {_end(found.high)})"]


def _end(size: float) -> str:
    if math.isnan(size):
        return "unknown"
    return (
        "below the smallest" if size == 0 else f"{size:,.0f}" if math.isfinite(size) else "above the largest"
    )
