"""A source of signals from what the user names: runs at a path, the data themselves, or a source object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from scoring.corpus.models import CorpusModels
from scoring.errors import InputError, bad_value, unknown_name
from scoring.examples import Examples, require_examples
from scoring.sources.corpus import CorpusSource
from scoring.sources.runs import RunSource
from scoring.sources.source import Source

RUN_OPTIONS = (
    "signals", "model", "device", "precision", "batch_size", "max_tokens", "trust_remote_code",
    "target", "target_groups", "reference", "null",
)  # fmt: skip
"""Of ``RunSource`` and ``CheckpointSweep``."""
CORPUS_OPTIONS = ("target", *(field.name for field in fields(CorpusModels)))


def open_source(
    source: Source | str | Path | None,
    examples: Examples | None,
    options: Mapping[str, Any],
    others: Sequence[str] = (),
) -> Source:
    """A source object as it is, runs at a path with ``RUN_OPTIONS``, or None with ``CORPUS_OPTIONS``.

    ``others`` are names that the caller knows, for the hint at a wrong one.
    """
    if source is None or isinstance(source, str | Path):
        if examples is None:
            raise InputError("score: examples are needed to score from runs; only arrays carry their own.")
        require_examples(examples, "score")
        known = CORPUS_OPTIONS if source is None else RUN_OPTIONS
        if unknown := options.keys() - set(known):
            raise unknown_name("option", "score", min(unknown), [*others, *known])
        return CorpusSource(examples, **options) if source is None else RunSource(source, examples, **options)
    if options:
        raise unknown_name("option", "score", min(options), others)
    if not hasattr(source, "passes"):
        allowed = "a path of runs, an ArraySource or another source object"
        raise bad_value("source", "score", type(source).__name__, allowed)
    return source
