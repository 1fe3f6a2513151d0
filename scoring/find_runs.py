"""Which runs lie at a path."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from scoring.checkpoints import RUN, Checkpoints, HuggingFaceFolder, RunDirectory, trainer_checkpoints
from scoring.errors import InputError


def find_runs(path: str | Path) -> list[Checkpoints]:
    """Runs at a path: a run directory, a folder of runs or of folds, a model folder, a Trainer output or several.

    Raises:
        FileNotFoundError: The path does not exist.
        InputError: There is no run, or an unfinished one.
    """
    path = Path(path)
    if not path.is_dir():
        what = "is a file, not the folder of a run" if path.exists() else "does not exist"
        raise FileNotFoundError(f"score: run folder {str(path)!r} {what}.")
    if (path / RUN).is_file():
        return [_finished_run(path)]
    if folders_of_runs := _run_folders(path, 2):
        return list(map(_finished_run, folders_of_runs))
    for folders in ([path], sorted(path.iterdir(), key=_natural)):
        found = [f for f in folders if (f / "config.json").is_file() or trainer_checkpoints(f)]
        if found:
            return [HuggingFaceFolder(folder) for folder in found]
    raise InputError(
        f"score: {str(path)!r} must hold a run (run.json), runs, a Hugging Face model (config.json) or the "
        "checkpoint-* folders of a Trainer, and holds none."
    )


def read_runs(path: Path, depth: int = 2) -> list[RunDirectory]:
    """The run directories at a path and in it, finished or not."""
    return [
        RunDirectory.open(folder)
        for folder in ([path] if (path / RUN).is_file() else _run_folders(path, depth))
    ]


def place_of(run: Checkpoints) -> Path:
    """The folder of a run; that of all folds of its seed, which are one run, if it is a fold."""
    return run.path if run.fold is None else run.path.parent


def model_of(run: Checkpoints) -> str | None:
    """Name and options of the model of a run directory, as a user would ask for it; None where it is not known."""
    spec = (run.config.get("model") or {}) if isinstance(run, RunDirectory) else {}
    if "name" not in spec:
        return None
    options = ", ".join(
        f"{key}={json.dumps(value)}"
        for key, value in (spec.get("options") or {}).items()
        if value is not None
    )
    return f"{spec['name']}({options})" if options else str(spec["name"])


def check_one_model(runs: Sequence[Checkpoints]) -> None:
    """Refuse runs of several models: the mean of their scores would be that of no model.

    Raises:
        InputError: naming the models and where their runs are.
    """
    by_model: dict[str, Path] = {}
    for run in runs:
        if (model := model_of(run)) is not None:
            by_model.setdefault(model, place_of(run).parent)
    if len(by_model) > 1:
        listed = " and ".join(f"{model} in {str(place)!r}" for model, place in by_model.items())
        raise InputError(
            f"score: runs must be of one model to be averaged, got {listed}; score each by itself, or compare them "
            "with `tamis compare`."
        )


def _run_folders(path: Path, depth: int) -> list[Path]:
    """Folders with a run.json up to ``depth`` levels down, in natural order."""
    found = [file.parent for level in range(1, depth + 1) for file in path.glob("*/" * level + RUN)]
    return sorted((folder for folder in found if not _hidden(folder, path)), key=_natural)


def _finished_run(path: Path) -> RunDirectory:
    run = RunDirectory.open(path)
    if run.status == "diverged":
        raise InputError(
            f"score: the loss of run {str(path)!r} diverged; train it with another learning rate, or move it away."
        )
    if run.status != "finished":
        raise InputError(
            f"score: run {str(path)!r} is {run.status}, not finished; "
            "repeat the command that trains it, and it continues."
        )
    return run


def _hidden(path: Path, root: Path) -> bool:
    """Whether the path is a temporary folder of an interrupted writer, or inside one."""
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort key in which seed-10 comes after seed-9."""
    parts = [piece for part in path.parts for piece in part.split("-")]
    return [(int(piece) if piece.isdigit() else -1, piece) for piece in parts]
