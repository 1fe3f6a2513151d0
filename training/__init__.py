"""Examples and a subset in, a run directory out: training loop, recorder, cross-fitting, noise, studies."""

from importlib import import_module
from typing import Any

# Public names and where they live; loaded on first use so that `import training` stays cheap.
_PUBLIC = {
    "DynamicsCallback": "training.trainer_callback",
    "Recorder": "training.recorder",
    "TrainingDiverged": "training.run",
    "confuse_labels": "training.noise",
    "evaluate_model": "training.evaluate",
    "flip_labels": "training.noise",
    "pruning_study": "training.studies.pruning",
    "shuffle_labels": "training.noise",
    "train": "training.run",
    "train_folds": "training.crossfit",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
