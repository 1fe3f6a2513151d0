"""Predictions of runs: from their last checkpoints, kept on disk run by run.

Predictions measure runs and choose no example, so what a run held out for evaluation is predicted too, and another
split of the data may be given. The folds of one seed are one run, in which every example is predicted by the model that
did not train on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from scoring.checkpoints import RunDirectory
from scoring.compare.predictions.probabilities import OWNER, Predictions
from scoring.errors import InputError, OutputTakenError, bad_value, name_some
from scoring.examples import Examples, require_examples
from scoring.files import read_json, write_json
from scoring.find_runs import find_runs
from scoring.hashing import digest, hash_ids
from scoring.manifest import plain
from scoring.progress import progress
from scoring.signal_store import ArrayStore
from scoring.sources.runs import RunSource
from scoring.sources.source import Pass

MANIFEST = "manifest.json"


def predictions_of_runs(
    folders: Mapping[str, str | Path],
    examples: Examples,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    device: str = "auto",
    batch_size: int = 256,
    precision: str = "float32",
    model: Any = None,
    trust_remote_code: bool = False,
    show_progress: bool = False,
) -> Predictions:
    """Probabilities (softmax) of the last checkpoint of every run, by a forward pass.

    Args:
        folders: Architecture -> what ``score`` takes: a run, a folder of runs or folds, a model folder.
        examples: What to predict: the training data, or ``examples.other_split("test")``.
        out: Folder that keeps them as one .npy file per architecture; a killed call resumes after the last finished run
            and a finished one costs nothing. Without it they stay in memory: 4 bytes x runs x examples x classes.
        overwrite: Replace predictions of other data, runs or weights in ``out``.
        device, batch_size, precision, model, trust_remote_code: As for ``score``.

    Raises:
        InputError: ``out`` holds predictions of other data, runs or weights; a run without checkpoints, with classes
            that the examples lack, or with outputs that are not numbers; folds that did not hold an example out.
    """
    require_examples(examples, OWNER)
    if not folders:
        raise bad_value("folders", OWNER, {}, "at least one architecture with its runs")
    options = {
        "device": device, "batch_size": batch_size, "precision": precision, "model": model,
        "trust_remote_code": trust_remote_code,
    }  # fmt: skip
    sources = {
        name: RunSource(folder, examples, signals="checkpoints", held_out=True, **options)
        for name, folder in folders.items()
    }
    passes = {name: _last_passes(source, name) for name, source in sources.items()}
    names = examples.label_names or _class_names(folders)
    if out is not None:
        _check_manifest(Path(out), _manifest(examples, names, sources, passes), overwrite)
    found: dict[str, npt.NDArray[np.floating]] = {}
    rows = len(examples)
    with progress("predicting", rows * sum(map(len, passes.values())), enabled=show_progress) as advance:
        for number, (name, source) in enumerate(sources.items()):
            shape = (len(passes[name]), rows, len(names))
            store = None
            if out is None:
                found[name] = np.empty(shape, dtype=np.float32)
            else:
                store = ArrayStore(Path(out) / f"architecture-{number:02}", shape[0] * rows)
            for run, sweep in enumerate(passes[name]):
                if store is not None and run < store.pieces:
                    advance(rows)
                    continue
                for positions, probabilities_BC in _read(source, sweep, len(names), name):
                    if store is None:
                        found[name][run, positions] = probabilities_BC
                    else:
                        store.write(run * rows + positions, [probabilities_BC])
                    advance(len(positions))
                if store is not None:
                    store.finish(run + 1)
            if store is not None:
                found[name] = store.open()[0].reshape(shape)
    return Predictions(
        examples.ids, examples.labels, names, {name: tuple(s.runs) for name, s in sources.items()}, found,
        data=examples.name if examples.split is None else f"{examples.name}, split {examples.split}",
        trained_on=_trained_on(folders, examples),
    )  # fmt: skip


def _trained_on(folders: Mapping[str, str | Path], examples: Examples) -> bool:
    """Whether some run was trained on these data or does not say on which; folds predict what they held out."""
    for folder in folders.values():
        for run in find_runs(folder):
            data = (run.config.get("data") or {}) if isinstance(run, RunDirectory) else {}
            held_out = isinstance(run, RunDirectory) and run.fold is not None
            if not held_out and data.get("fingerprint") in (None, examples.fingerprint):
                return True
    return False


def _last_passes(source: RunSource, architecture: str) -> list[Pass]:
    """The last checkpoint of every run."""
    found = []
    for run, name in enumerate(source.runs):
        passes = source.passes(run, "clean", frozenset({"logits"}))
        if not passes:
            raise InputError(f"{OWNER}: run {name!r} of {architecture} must have a checkpoint, and has none.")
        if not source.covers(run).all():
            raise InputError(
                f"{OWNER}: the folds of {name!r} of {architecture} predict what one of them held out, and no other "
                "example; predict the data that they were trained on, or use runs without folds."
            )
        found.append(passes[-1])
    return found


def _read(
    source: RunSource, sweep: Pass, classes: int, architecture: str
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    rows = np.arange(len(source.examples))
    run = f"run {source.runs[sweep.run]!r} of {architecture}"
    for positions, signals in source.read(sweep, frozenset({"logits"}), rows):
        probabilities_BC = signals.probs_BC.numpy()
        if probabilities_BC.shape[1] != classes:
            raise InputError(
                f"{OWNER}: {run} must have an output for each of the {classes} classes and no other, got "
                f"{probabilities_BC.shape[1]}; load the examples with label_names= all classes of the runs."
            )
        if np.isnan(probabilities_BC).any():
            wrong = np.isnan(probabilities_BC).any(axis=1)
            raise InputError(
                f"{OWNER}: the outputs of {run} must be finite, and are not for "
                f"{name_some(source.examples.ids[positions[wrong]].tolist())}."
            )
        yield positions, probabilities_BC.astype(np.float32)


def _class_names(folders: Mapping[str, str | Path]) -> tuple[str, ...]:
    """Classes that the runs were trained on, for examples without labels; they must be the same in all runs."""
    known = set()
    for folder in folders.values():
        for run in find_runs(folder):
            data = (run.config.get("data") or {}) if isinstance(run, RunDirectory) else {}
            known.add(tuple(str(name) for name in data.get("label_names") or ()))
    if len(known) > 1 or () in known:
        raise InputError(
            f"{OWNER}: examples without labels need runs that all name the same classes; load the examples with labels."
        )
    return known.pop()


def _manifest(
    examples: Examples,
    names: Sequence[str],
    sources: Mapping[str, RunSource],
    passes: Mapping[str, list[Pass]],
) -> dict[str, Any]:
    """What the numbers depend on: data in its order, classes, and the weights of every run."""
    labels = b"" if examples.labels is None else examples.labels.tobytes()
    content: dict[str, Any] = plain(
        {
            "kind": OWNER,
            "format": 1,
            "fingerprint": examples.fingerprint,
            "rows": digest(hash_ids(examples.ids).tobytes(), labels, size=16).hex(),
            "classes": names,
            "architectures": [
                {
                    "name": name,
                    "runs": source.runs,
                    "checkpoints": [source.describe(sweep) for sweep in passes[name]],
                }
                for name, source in sources.items()
            ],
        }
    )
    return content


def _check_manifest(folder: Path, manifest: dict[str, Any], overwrite: bool) -> None:
    """Write it into a new folder; refuse a folder of something else; ``overwrite`` replaces predictions."""
    path = folder / MANIFEST
    if path.exists():
        try:
            before = read_json(path)
        except ValueError:
            before = {}
        if before == manifest:
            return
        ours = isinstance(before, dict) and before.get("kind") == OWNER
        if not overwrite or not ours:
            what = [key for key in manifest if not ours or before.get(key) != manifest[key]]
            raise OutputTakenError(
                f"{OWNER}: out {str(folder)!r} holds predictions that differ in {', '.join(what)}; "
                "choose another out or overwrite it."
            )
        for store in folder.glob("architecture-*"):
            shutil.rmtree(store)
    elif folder.exists() and any(folder.iterdir()):
        raise bad_value("out", OWNER, str(folder), "a new or empty folder, or one of predictions")
    write_json(path, manifest)
