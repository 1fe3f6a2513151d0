"""Studies written down: a YAML file, or a Python file that makes an object.

    kind: pruning
    data: {source: train.parquet, text: text, label: intent}
    test: test
    models: linear
    scores: {scorers: [el2n@mean, aum], model: linear, train: {epochs: 5}}
    select: [hardest by el2n@mean, {take: stratified, by: aum, drop_hardest: 0.1}]
    keep: [75%, 50%, 25%]
    epochs: 10
    variants: {clean: [], noisy: [{uniform_noise: 0.1}]}

Keys are the fields of the class of that kind (``data`` and ``test`` as for ``Examples.load``, with ``source``). Paths
that exist beside the study file are read from there; ``${NAME}`` in a path is an environment variable.
"""

from __future__ import annotations

import os
import runpy
from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from pathlib import Path
from typing import Any

from scoring.data.readers import BUILT_IN
from scoring.errors import InputError, bad_value, unknown_name
from training.cell_data import DataRequest
from training.studies.study import Study

OWNER = "study"

KINDS: Mapping[str, str] = {
    "augmentation": "training.studies.augmentation:Augmentation",
    "corpus": "training.studies.corpus:CorpusStudy",
    "online": "training.studies.online:Online",
    "pruning": "training.studies.pruning:Pruning",
}
"""Kind -> its class, a frozen dataclass with ``read(given, folder)``."""

OBJECT = "study"
"""The name that a Python file gives its study."""


def read_study(path: str | Path) -> Study:
    """The study of a file: ``.yaml`` or ``.yml``, or ``.py``, which is run and must set ``study``.

    Raises:
        InputError: What is wrong with it, in one sentence. FileNotFoundError: there is no such file.
    """
    place = Path(path)
    if not place.is_file():
        raise FileNotFoundError(f"{OWNER}: there is no file {str(place)!r}.")
    if place.suffix == ".py":
        made: Any = runpy.run_path(str(place)).get(OBJECT)
        if not all(hasattr(made, name) for name in ("kind", "prepare", "cells", "train", "rows")):
            raise InputError(f"{OWNER}: {str(place)!r} must set {OBJECT} to a study, such as Pruning(...).")
        written: Study = made
        return written
    if place.suffix not in (".yaml", ".yml"):
        raise bad_value("file", OWNER, str(place), "a .yaml or .py file")
    import yaml

    try:
        given = yaml.safe_load(place.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{OWNER}: {str(place)!r} is not YAML: {' '.join(str(error).split())}.") from None
    except UnicodeDecodeError:
        raise InputError(f"{OWNER}: {str(place)!r} must be text in UTF-8.") from None
    if not isinstance(given, Mapping):
        raise bad_value("the content", OWNER, type(given).__name__, "keys and values, such as kind: pruning")
    return make_study(given, place.parent)


def make_study(given: Mapping[str, Any], folder: Path | None = None) -> Study:
    """The study of a mapping, as YAML gives it; relative paths are looked for in ``folder`` first."""
    content = {str(key): value for key, value in given.items()}
    kind = str(content.pop("kind", "pruning"))
    if kind not in KINDS:
        raise unknown_name("kind", OWNER, kind, KINDS)
    module, _, name = KINDS[kind].partition(":")
    cls: Any = getattr(import_module(module), name)
    made: Study = cls.read(content, Path() if folder is None else folder)
    return made


def read_fields(cls: Any, given: Mapping[str, Any], folder: Path, data: tuple[str, ...]) -> Any:
    """An object of a dataclass from keys and values; keys named in ``data`` are read as data.

    The key ``train`` is the field ``train_settings``.
    """
    known = ["train" if each.name == "train_settings" else each.name for each in fields(cls)]
    for name in given:
        if name not in known:
            raise unknown_name("key", OWNER, name, [*known, "kind"])
    values = dict(given)
    for name in data:
        if values.get(name) is not None:
            values[name] = read_data(values[name], folder, name)
    for name, locate in (
        ("scores", _located_scores),
        ("embeddings", _located),
        ("variants", _located_sources),
    ):
        if name in values:
            values[name] = locate(values[name], folder)
    if "train" in values:
        settings = values.pop("train")
        if not isinstance(settings, Mapping):
            raise bad_value("train", OWNER, settings, "settings and their values, such as {lr: 0.01}")
        values["train_settings"] = dict(settings)
    try:
        return cls(**values)
    except TypeError as error:
        if "required" in str(error):
            missing = str(error).rpartition(":")[2].strip()
            raise InputError(f"{OWNER}: the keys {missing} are needed.") from None
        raise InputError(f"{OWNER}: {error}.") from None


def read_data(given: object, folder: Path, name: str) -> DataRequest | str | float:
    """Data of a study: a source, or ``source`` with options of ``Examples.load``; a test may name a split."""
    if name == "test" and isinstance(given, float):
        return given
    if isinstance(given, str):
        place = located(given, folder)
        return given if name == "test" and not Path(place).exists() else DataRequest(place)
    if not isinstance(given, Mapping) or not isinstance(given.get("source"), str):
        raise bad_value(name, OWNER, given, "a source, or {source: ..., label: ...} as for Examples.load")
    options = {str(key): value for key, value in given.items() if key != "source"}
    return DataRequest(located(given["source"], folder), options)


def _located(given: Any, folder: Path) -> Any:
    return located(given, folder) if isinstance(given, str) else given


def _located_scores(given: Any, folder: Path) -> Any:
    """Score tables, by themselves or in requests."""
    if isinstance(given, Mapping):
        return {name: _located(each, folder) if name == "table" else each for name, each in given.items()}
    if isinstance(given, list):
        return [_located_scores(each, folder) for each in given]
    return _located(given, folder)


def _located_sources(given: Any, folder: Path) -> Any:
    """Data that interventions bring along: ``source``, or ``data`` itself."""
    if isinstance(given, Mapping):
        return {
            name: _located(each, folder) if name in ("data", "source") and isinstance(each, str)
            else _located_sources(each, folder)
            for name, each in given.items()
        }  # fmt: skip
    return [_located_sources(each, folder) for each in given] if isinstance(given, list) else given


def located(source: str, folder: Path) -> str:
    """A path with environment variables filled in, beside the study file if it is there."""
    if source in BUILT_IN:
        return source
    text = os.path.expandvars(source)
    if "$" in text:
        raise InputError(f"{OWNER}: {source!r} names an environment variable that is not set.")
    beside = folder / text
    return str(beside) if beside.exists() else text
