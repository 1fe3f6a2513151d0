"""A corpus study as a study file has it: which of its keys are data.

kind: corpus
data: {reviews: {source: reviews.parquet, text: text}, code: {source: code.parquet, text: java}}
held_out: {reviews: 0.05, code: 0.05, articles: articles.parquet}
tokens: 20000000
models: [64, 128, {width: 64, experts: 8, active: 2, router_loss: 0.01}]
scores:
  - {scorers: density, options: {encoder: minilm}}
  - {scorers: quality_classifier, options: {target: good.parquet}}
select: [inverse_propensity by density, highest by quality_classifier]
keep: [50% tokens, 25% tokens]
train: {length: 256, batch_tokens: 8192}
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.cell_data import DataRequest
from training.studies.corpus_scores import TARGET
from training.studies.study_file import read_data


def corpus_keys(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The keys of a study file with data as ``DataRequest``s: sources, held-out texts, targets of scores."""
    values = dict(given)
    if "data" in values:
        values["data"] = _sources(values["data"], folder)
    if isinstance(values.get("held_out"), Mapping):
        values["held_out"] = {
            str(name): each if isinstance(each, int | float) else _documents(each, folder, f"held_out {name}")
            for name, each in values["held_out"].items()
        }
    listed = values.get("scores", ())
    listed = [listed] if isinstance(listed, str | Mapping) else listed
    values["scores"] = [_with_target(each, folder) for each in listed]
    return values


def _sources(given: object, folder: Path) -> DataRequest | dict[str, DataRequest]:
    if isinstance(given, Mapping) and not isinstance(given.get("source"), str):
        return {str(name): _documents(each, folder, f"data {name}") for name, each in given.items()}
    return _documents(given, folder, "data")


def _documents(given: object, folder: Path, name: str) -> DataRequest:
    """Data whose labels are not read unless they are named."""
    found = read_data(given, folder, name)
    assert isinstance(found, DataRequest)
    return replace(found, options={"label": False, **found.options})


def _with_target(given: Any, folder: Path) -> Any:
    """A score request of a study file, with the target of its options as data."""
    options = given.get("options") if isinstance(given, Mapping) else None
    if not isinstance(options, Mapping) or TARGET not in options:
        return given
    return {
        **given,
        "options": {**options, TARGET: _documents(options[TARGET], folder, f"{TARGET} of scores")},
    }
