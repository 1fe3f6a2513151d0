"""tamis: score every training example, decide which to keep, measure what that does to the model."""

from importlib import import_module
from typing import Any

# The public names of the three packages under one roof; loaded on first use.
_PUBLIC = {
    "ArraySource": "scoring.sources.arrays",
    "CorpusSource": "scoring.sources.corpus",
    "EmbeddingStore": "scoring.embeddings.store",
    "Examples": "scoring.examples",
    "InputError": "scoring.errors",
    "RunScores": "scoring.compare.run_scores",
    "RunSource": "scoring.sources.runs",
    "ScoreTable": "scoring.table",
    "Subset": "selection.subset",
    "advise": "training.advice.advise",
    "apply_shards": "selection.apply_shards",
    "compare": "scoring.compare.run",
    "costs_of": "scoring.corpus.costs",
    "cscore": "training.studies.retraining",
    "embed": "scoring.embeddings.write",
    "embed_texts": "scoring.embeddings.texts",
    "estimate": "scoring.corpus.estimate",
    "find_architectures": "scoring.compare.cells",
    "memorization": "training.studies.retraining",
    "predictions_of_runs": "scoring.compare.predictions.predicting",
    "pvi": "training.studies.retraining",
    "reducible_loss": "training.studies.retraining",
    "read_study": "training.studies.study_file",
    "report": "selection.reporting.report",
    "run_study": "training.studies.running",
    "score": "scoring.run",
    "score_cells": "scoring.compare.cells",
    "score_shards": "scoring.score_shards",
    "select": "selection.run",
    "select_shards": "selection.sharded.run",
    "ssft": "training.studies.retraining",
    "train": "training.run",
    "train_cells": "training.cells",
    "train_folds": "training.crossfit",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
