"""What all workers of one scoring of shards are told, and where its folder keeps what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scoring.data.batch import Batch
from scoring.data.shard_batches import BATCH_BYTES, read_batches
from scoring.data.shards import Shard
from scoring.plan import Column, RunPlan, parse_columns, plan_run
from scoring.scorer import Scorer
from scoring.sharded.layout import Layout
from scoring.sharded.origin import Origin
from scoring.sharded.token_counts import TokenCounter
from scoring.sources.source import Source
from scoring.sweep import Order

FitKey = tuple[int, str, int]
"""A scorer that looks first: number of the run, name of the column, place of the pass among those of the run."""


@dataclass(frozen=True)
class ShardJob:
    """What all workers of one call must know."""

    scorers: tuple[str | Scorer, ...]
    origin: Origin
    layout: Layout
    data: str
    folder: Path
    """Where work is kept: ``looks``, ``kept``, ``pieces``, ``table``, ``letters``, ``hashes``, ``costs``."""
    piece_rows: int
    max_failed: int | None
    """A number of failed rows of one shard at which the job cannot go on, if there is one."""
    per_run: bool = False
    order: Order = "checkpoints"
    tokens: TokenCounter | None = None
    request: str = ""
    fit_keys: tuple[FitKey, ...] = ()
    looks: int = 0
    """How many looks at all shards are finished."""

    @property
    def columns(self) -> list[Column]:
        """What was asked for."""
        return parse_columns(list(self.scorers))

    def plans(self, source: Source) -> list[RunPlan]:
        """The passes of every run."""
        return [plan_run(source, run, self.columns, "clean") for run in range(len(source.runs))]

    def batches(self, shard: Shard, start: int = 0) -> Iterator[Batch]:
        """The rows of a shard, cut alike in every look and in the scoring."""
        return read_batches(shard, dict(self.layout.types), start, self.piece_rows, BATCH_BYTES)

    def kept(self, shard: Shard) -> Path:
        """Where dear values of a shard lie until it is scored."""
        return self.folder / "kept" / shard.sidecar

    def costs(self, shard: Shard) -> Path:
        """Where it stands what a shard has cost so far."""
        return self.folder / "costs" / f"{shard.sidecar}.json"
