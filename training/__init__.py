"""Examples and a subset in, a run directory out: training loop, recorder, cross-fitting, noise, studies."""

from importlib import import_module
from typing import Any

# Public names and where they live; loaded on first use so that `import training` stays cheap.
_PUBLIC = {
    "Augmentation": "training.studies.augmentation",
    "CellsFailed": "training.cells",
    "CorpusRequest": "training.pretraining.corpus",
    "CorpusStudy": "training.studies.corpus",
    "DataRequest": "training.cell_data",
    "DynamicsCallback": "training.trainer_callback",
    "Online": "training.studies.online",
    "Pruning": "training.studies.pruning",
    "Recorder": "training.recorder",
    "TrainingDiverged": "training.run",
    "advise": "training.advice.advise",
    "confuse_labels": "training.interventions.noisy_labels",
    "cost_ledger": "training.measures.ledger",
    "cscore": "training.studies.retraining",
    "evaluate_model": "training.evaluate",
    "flip_labels": "training.interventions.noisy_labels",
    "intervene": "training.interventions.intervention",
    "make_corpus": "training.pretraining.corpus",
    "memorization": "training.studies.retraining",
    "outcomes": "training.studies.outcomes",
    "pretrain": "training.pretraining.run",
    "pruning_study": "training.studies.pruning",
    "pvi": "training.studies.retraining",
    "read_study": "training.studies.study_file",
    "reducible_loss": "training.studies.retraining",
    "relative_errors": "training.measures.relative_error",
    "run_study": "training.studies.running",
    "scaling_sweep": "training.studies.scaling_sweep",
    "shuffle_labels": "training.interventions.noisy_labels",
    "ssft": "training.studies.retraining",
    "train": "training.run",
    "train_cells": "training.cells",
    "train_folds": "training.crossfit",
    "train_null": "training.null_model",
    "train_reference": "training.reference_model",
    "train_second_split": "training.second_split",
    "train_subsets": "training.subset_runs",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
