"""What was asked for, as study.json and the table tell it, with the steps and epochs that runs really took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scoring.reports.section import Cell, Listing, Section
from scoring.reports.text import number
from training.studies.reporting.results import Results, compact

TOLD = ("data", "test", "models", "ways", "keep", "scores", "seeds", "regimes", "variants", "train", "leaked")
LEAKS = {
    "error": "none of the examples has an input that is in the test data too (else the study would have stopped)",
    "drop": "examples whose input is in the test data too were left out",
    "keep": "examples whose input is in the test data too were kept",
}


def asked_section(results: Results) -> Section:
    """Data, variants, models, ways, budgets, lengths of training, seeds."""
    asked = results.about.get("study", {})
    lines = [
        f"data: {_source(asked['data'])}" if "data" in asked else None,
        f"test: {_source(asked['test'])}; never scored and never trained on" if "test" in asked else None,
        f"leaks: {LEAKS.get(str(asked['leaked']), asked['leaked'])}" if "leaked" in asked else None,
        f"models: {', '.join(_model(results, each, asked.get('models')) for each in results.models)}",
        f"ways: {', '.join(results.ways)}",
        f"budgets: {', '.join(results.budgets) or 'none'}; and {results.words.whole}",
        f"seeds: {', '.join(map(str, results.seeds))}",
        *(f"scores: {compact(_given(each))}" for each in asked.get("scores") or ()),
        f"training: {compact(asked['train'])}" if asked.get("train") else None,
    ]
    lines += [f"{name}: {compact(value)}" for name, value in asked.items() if name not in TOLD and value]
    kind = results.kind
    cells, runs = results.about.get("cells"), results.about.get("runs")
    size = f" of {cells:,} cells, which are {runs:,} different runs" if cells and runs else ""
    article = "An" if kind[:1] in "aeiou" else "A"
    sentence = f"{article} {kind} study{size}."
    listings = [Listing(["asked for", ""], [list(line.partition(": ")[::2]) for line in lines if line])]
    if variants := _variants(asked.get("variants")):
        listings.append(variants)
    listings.append(_lengths(results))
    return Section(
        "asked", "What was asked", [sentence], listings,
        document={"kind": kind, "study": asked, "cells": cells, "runs": runs},
    )  # fmt: skip


def _source(about: object) -> str:
    if not isinstance(about, Mapping):
        return compact(about)
    rows = about.get("rows")
    return f"{about.get('name', '-')}{f', {rows:,} examples' if isinstance(rows, int) else ''}"


def _model(results: Results, name: str, models: object) -> str:
    about = models.get(name) if isinstance(models, Mapping) else None
    options = about.get("options") if isinstance(about, Mapping) else None
    rows = results.table.filter(pc.equal(results.table["model"], name))
    told = [compact(options)] if options else []
    told += [f"{size} parameters"] if (size := _range(rows["N"].unique().to_pylist())) != "-" else []
    return f"{name} ({', '.join(told)})" if told else name


def _given(request: Any) -> Any:
    """A request without what was left at nothing."""
    return (
        {name: value for name, value in request.items() if value} if isinstance(request, Mapping) else request
    )


def _variants(variants: object) -> Listing | None:
    if not isinstance(variants, Mapping) or not variants:
        return None
    rows: list[list[Cell]] = []
    for name, about in variants.items():
        about = about if isinstance(about, Mapping) else {}
        realised: Sequence[Any] = about.get("realised") or ()
        told = "; ".join(_realised(each) for each in realised)
        rows.append([str(name), about.get("rows"), about.get("planted"), told or "as they are"])
    return Listing(["variant", "examples", "planted", "what was really done"], rows, "Data variants")


def _realised(record: object) -> str:
    if not isinstance(record, Mapping):
        return compact(record)
    parts = [
        f"{key} {number(value) if isinstance(value, int | float | str) else compact(value, 60)}"
        for key, value in record.items()
        if key != "name"
    ]
    return f"{record.get('name', 'intervention')}: {', '.join(parts)}"


def _lengths(results: Results) -> Listing:
    """What runs really took, from the table; a range where it differs."""
    columns = ("variant", "model", "regime", "budget", "rows", "epochs", "steps")
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    order = {budget: at for at, budget in enumerate(results.budgets)}
    for row in _unique(results.table, columns):
        found.setdefault((row["variant"], row["regime"], row["budget"]), []).append(row)
    several = len({key[0] for key in found}) > 1
    rows: list[list[Cell]] = []
    for key in sorted(found, key=lambda key: (str(key[0]), str(key[1]), order.get(key[2], -1))):
        variant, regime, budget = key
        ranges: list[Cell] = [
            _range([row[name] for row in found[key]]) for name in ("rows", "steps", "epochs")
        ]
        rows.append([*([str(variant)] if several else []), regime, budget or "all", *ranges])
    header = [
        *(["variant"] if several else []),
        "equal for all",
        "budget",
        "examples",
        "steps",
        "epochs",
    ]
    return Listing(header, rows, "How long runs trained")


def _range(values: Sequence[Any]) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return "-"
    low, high = (f"{each:,.6g}" if each < 1e6 else f"{each:,.0f}" for each in (known[0], known[-1]))
    return low if low == high else f"{low} to {high}"


def _unique(table: pa.Table, columns: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        table.select(list(columns)).group_by(list(columns)).aggregate([]).to_pylist()
    )
    return found
