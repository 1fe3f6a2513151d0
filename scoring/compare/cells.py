"""Cells, (architecture, seed), on disk: which runs belong to which architecture, and their scores, run by run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scoring.checkpoints import RUN, RunDirectory
from scoring.compare.ranks import NanPolicy
from scoring.compare.run_scores import RunScores
from scoring.errors import InputError, OutputTakenError, bad_value, name_some, unknown_name
from scoring.examples import Examples
from scoring.find_runs import find_runs, model_of, place_of, read_runs
from scoring.plan import parse_columns
from scoring.run import OPTIONS, score
from scoring.scorer import Scorer
from scoring.sources.opening import RUN_OPTIONS

OWNER = "compare"
OWN = ("out", "per_run", "overwrite")
"""Options of ``score`` that ``score_cells`` decides."""


def find_architectures(paths: str | Path | Iterable[str | Path]) -> dict[str, Path]:
    """Architecture -> folder of its runs, in the order given, those of one path by name.

    A path is a folder of such folders (``runs`` with ``runs/mlp/seed-0`` ...), a folder that holds runs itself
    (``runs/mlp``, whose name is that of the folder), one run, or a Hugging Face model folder; ``"small=runs/mlp"``
    gives a name. The folds of a seed are one run. Runs of one architecture differ in their seed (and in the subset
    they were trained on, if they had one) and in nothing else; all architectures were trained on the same data.

    Raises:
        FileNotFoundError: A path does not exist.
        InputError: No runs, unfinished ones; two architectures of one name; runs of an architecture that differ in
            model, options, settings or data, or are the same run twice; architectures trained on different data.
    """
    found: dict[str, Path] = {}
    runs: dict[str, list[RunDirectory]] = {}
    for path in [paths] if isinstance(paths, str | Path) else list(paths):
        name, place = _named(path)
        for own, folder in _folders(place, name).items():
            if own in found:
                raise InputError(
                    f"{OWNER}: architectures must have different names, and {own!r} is both {str(found[own])!r} and "
                    f"{str(folder)!r}; give one a name of its own, as in other={folder}."
                )
            if folder.resolve() in [other.resolve() for other in found.values()]:
                raise InputError(f"{OWNER}: {str(folder)!r} must be one architecture, and is given twice.")
            found[own] = folder
            runs[own] = [run for run in find_runs(folder) if isinstance(run, RunDirectory)]
            _check_alike(own, runs[own])
    if not found:
        raise bad_value("paths", OWNER, [], "at least one folder of runs")
    _check_same_data(runs)
    return found


def score_cells(
    examples: Examples,
    scorers: str | Scorer | Sequence[str | Scorer],
    architectures: Mapping[str, str | Path],
    out: str | Path,
    *,
    nan: NanPolicy = "error",
    overwrite: bool = False,
    **options: Any,
) -> RunScores:
    """Score every run of every architecture into ``out/<architecture>.parquet`` and give them all as ``RunScores``.

    Each table is ``score(examples, scorers, folder, per_run=True)``: one that is there already for the same call is
    used, an interrupted one continues, one of another call is refused unless ``overwrite``.

    Args:
        examples: What to score; the same for all.
        scorers: As for ``score``.
        architectures: architecture -> folder of its runs, as ``find_architectures`` gives them.
        out: Folder of the tables.
        nan: As for ``RunScores.of_tables``.
        overwrite: Replace tables of another call; those of the same call are used all the same.
        options: Of ``score``: ``view``, ``device``, ``batch_size`` ...; those that name a folder
            (``cache``) are shared.

    Raises:
        InputError: Unknown scores; what ``score`` refuses, with the name of the architecture: a score that its model
            cannot have, or signals that its runs did not keep.
    """
    if not architectures:
        raise bad_value("architectures", OWNER, {}, "at least one; find_architectures finds them")
    known = [name for name in (*OPTIONS, *RUN_OPTIONS) if name not in OWN]
    if unknown := sorted(options.keys() - set(known)):
        raise unknown_name("option", OWNER, unknown[0], known)
    parse_columns(scorers)  # before the loop: a wrong name is no fault of the first architecture
    tables: dict[str, Path] = {}
    for name, folder in architectures.items():
        if Path(name).name != name or name.startswith("."):
            raise bad_value("an architecture", OWNER, name, "a name that can be that of a file")
        tables[name] = Path(out) / f"{name}.parquet"
        how = {"out": tables[name], "per_run": True, **options}
        try:
            try:
                score(examples, scorers, folder, **how)
            except OutputTakenError:
                if not overwrite:
                    raise
                score(examples, scorers, folder, overwrite=True, **how)
        except (InputError, ValueError) as error:
            raise InputError(f"{OWNER}: architecture {name!r} cannot be scored: {error}") from error
    return RunScores.of_tables(tables, nan=nan)


def _named(path: str | Path) -> tuple[str | None, Path]:
    """``small=runs/mlp`` as a name and a path."""
    if isinstance(path, str) and "=" in path and not Path(path).exists():
        name, _, place = path.partition("=")
        if not name or not place:
            raise bad_value("path", OWNER, path, "a folder of runs or NAME=FOLDER")
        return name, Path(place)
    return None, Path(path)


def _folders(path: Path, name: str | None) -> dict[str, Path]:
    """The architectures at one path."""
    if not path.is_dir():
        what = "is a file, not a folder of runs" if path.exists() else "does not exist"
        raise FileNotFoundError(f"{OWNER}: {str(path)!r} {what}.")
    own = path.resolve()
    places = [place_of(run) for run in read_runs(path, depth=3)]
    if (path / RUN).is_file() or not places:
        # One run, or a model folder without a run.json, which find_runs knows how to read.
        named = own.parent.name if own.name.startswith("seed-") else own.name
        return {name or named: path}
    above = list(dict.fromkeys(place.parent for place in places))
    if above == [path]:
        return {name or own.name: path}
    if path in above:
        direct = next(place for place in places if place.parent == path)
        beside = next(folder for folder in above if folder != path)
        raise InputError(
            f"{OWNER}: {str(path)!r} must hold runs of one architecture or folders of runs, and holds both "
            f"({direct.name!r} and {beside.name!r}); name the folders one by one."
        )
    if name is not None:
        if len(above) > 1:
            raise InputError(
                f"{OWNER}: {name!r} must be one architecture, and {str(path)!r} holds {len(above)}: "
                f"{name_some(folder.name for folder in above)}; leave the name out, or name them one by one."
            )
        return {name: above[0]}
    return {folder.relative_to(path).as_posix().replace("/", "-"): folder for folder in above}


def _check_alike(name: str, runs: Sequence[RunDirectory]) -> None:
    """Runs of an architecture may differ in seed, fold and subset only, and no two are the same."""
    if not runs:
        return
    first = runs[0]
    for run in runs[1:]:
        checks: dict[str, tuple[object, object]] = {"model": (model_of(first), model_of(run))}
        if _fingerprint(first) != _fingerprint(run):
            checks["data"] = (_data(first), _data(run))
        there, here = (each.config.get("config") or {} for each in (first, run))
        checks |= {key: (there.get(key), here.get(key)) for key in {**there, **here}}
        for what, (one, other) in checks.items():
            if one != other:
                raise InputError(
                    f"{OWNER}: runs of architecture {name!r} must differ in their seed only, and {run.path.name} in "
                    f"{str(run.path.parent)!r} has another {what} than {first.path.name} ({_words(other)}, not "
                    f"{_words(one)}); put them into folders of their own."
                )
    seen: dict[str, Path] = {}
    for run in runs:
        subset = (run.config.get("subset") or {}).get("hash")
        if run.config.get("seed") is None:
            continue
        key = json.dumps([run.config["seed"], run.fold, subset])
        if key in seen:
            raise InputError(
                f"{OWNER}: runs of architecture {name!r} must have different seeds, and {str(seen[key])!r} and "
                f"{str(run.path)!r} both have seed {run.config['seed']}; a run that counts twice agrees with itself."
            )
        seen[key] = run.path


def _check_same_data(runs: Mapping[str, Sequence[RunDirectory]]) -> None:
    """What tells architectures apart must not be the data."""
    known = {name: found[0] for name, found in runs.items() if found and _fingerprint(found[0])}
    for name, run in known.items():
        first, other = next(iter(known.items()))
        if _fingerprint(run) != _fingerprint(other):
            raise InputError(
                f"{OWNER}: architectures must be trained on the same data, and {name!r} was trained on {_data(run)}, "
                f"{first!r} on {_data(other)}."
            )


def _fingerprint(run: RunDirectory) -> str | None:
    fingerprint: str | None = (run.config.get("data") or {}).get("fingerprint")
    return fingerprint


def _data(run: RunDirectory) -> str:
    """Name and fingerprint of what a run was trained on."""
    data = run.config.get("data") or {}
    return f"{data.get('name')}, fingerprint {str(data.get('fingerprint'))[:8]}"


def _words(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
