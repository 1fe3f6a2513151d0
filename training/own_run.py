"""The run.json of a loop that is not ours: what a recorder knows about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scoring.checkpoints import RunDirectory
from scoring.errors import InputError
from training.environment import describe_data, describe_versions

if TYPE_CHECKING:
    from scoring.examples import Examples


@dataclass(frozen=True)
class OwnRun:
    """A run directory; ``mine`` says whether a recorder wrote its run.json, and so has to finish it."""

    directory: RunDirectory
    mine: bool

    @property
    def path(self) -> Path:
        """The run directory."""
        return Path(self.directory.path)

    @staticmethod
    def open(
        path: str | Path,
        examples: Examples,
        model_spec: Mapping[str, Any] | None,
        config: Mapping[str, Any] | None,
        resume: bool,
    ) -> OwnRun:
        """The run at ``path``, or a new one; a finished run, or one of other examples, is an error."""
        path = Path(path)
        if not (path / "run.json").exists():
            return OwnRun(RunDirectory.create(path, describe(examples, model_spec, config)), True)
        directory = RunDirectory.open(path)
        mine = directory.config.get("recorded_by") == "Recorder"
        if mine and directory.config["data"]["fingerprint"] != examples.fingerprint:
            raise InputError(
                f"Recorder: examples must be those that {path} recorded before, got {examples.name!r}."
            )
        if mine and directory.status == "finished" and not resume:
            raise InputError(
                f"Recorder: path must be a new or unfinished run directory, and {path} is finished."
            )
        return OwnRun(directory, mine)

    def finish(self, **final: Any) -> None:
        """Mark the run finished, if that is the recorder's to do."""
        if self.mine:
            self.directory.finish(**final)


def describe(
    examples: Examples, model_spec: Mapping[str, Any] | None, config: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The content of a run.json; what only the loop knows is null or comes with ``close``."""
    config = dict(config or {})
    return {
        "recorded_by": "Recorder",
        "config": config,
        "seed": config.get("seed"),
        "model": None if model_spec is None else dict(model_spec),
        "data": describe_data(examples),
        "subset": None,
        "versions": describe_versions(),
        "git_commit": None,
        "device": None,
        "precision": None,
        "flops": None,
        "flops_method": None,
        "fold": None,
    }
