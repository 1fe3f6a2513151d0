"""Examples in, numbers out: data, models, checkpoints, signals, scorers and score tables."""

from importlib import import_module
from typing import Any

# Public names and where they live; loaded on first use so that `import scoring` stays cheap.
_PUBLIC = {
    "ArraySource": "scoring.sources.arrays",
    "CollectiveScorer": "scoring.scorer",
    "CorpusSource": "scoring.sources.corpus",
    "DocumentScorer": "scoring.scorer",
    "Examples": "scoring.examples",
    "InputError": "scoring.errors",
    "RunDirectory": "scoring.checkpoints",
    "ScoreTable": "scoring.table",
    "Scorer": "scoring.scorer",
    "Signals": "scoring.signals",
    "TrajectoryScorer": "scoring.scorer",
    "build_model": "scoring.models",
    "scorer_names": "scoring.catalog",
    "score": "scoring.run",
    "score_shards": "scoring.score_shards",
}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
