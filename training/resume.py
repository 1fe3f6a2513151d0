"""The state from which an interrupted run continues: ``resume-00000100/`` in the run directory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from scoring.files import atomic_folder
from scoring.tensor_files import load_tensors, save_tensors


class SaveClock:
    """Says when a state is due: every ``seconds``; at most a twentieth of the time goes into states of large models."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self.seconds, self.clock = seconds, clock
        self._pause, self._saved = seconds, clock()

    @property
    def due(self) -> bool:
        return self.clock() - self._saved >= self._pause

    def save(self, write: Callable[[float], None]) -> None:
        """Write the state, with the time when it was asked for."""
        begun = self.clock()
        write(begun)
        self._saved = self.clock()
        self._pause = self.seconds and max(self.seconds, 20 * (self._saved - begun))


def save_resume(run: Path, step: int, state: Mapping[str, Any]) -> None:
    """Write the state whole, then remove older ones."""
    folder = run / f"resume-{step:08}"
    with atomic_folder(folder) as temporary:
        save_tensors(temporary / "state", state)
    for other in run.glob("resume-*"):
        if other != folder:
            shutil.rmtree(other)


def load_resume(run: Path) -> Any:
    """The newest state, or None."""
    folders = sorted(run.glob("resume-*"))
    return load_tensors(folders[-1] / "state") if folders else None


def drop_resume(run: Path) -> None:
    """Remove all states and what a killed process left half-written: the run is finished."""
    left = [
        run.glob("resume-*"),
        *(run.glob(f"{'*/' * depth}.*.{end}") for depth in range(3) for end in ("tmp", "old")),
    ]
    for path in [path for paths in left for path in paths]:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
