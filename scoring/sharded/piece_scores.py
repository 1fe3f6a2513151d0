"""Scores of one piece of a shard, by scorers that have finished their looks at all shards."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from scoring.blocks import describe_columns, scores_table, spread, without_values
from scoring.combine import combine_runs
from scoring.data.shards import Shard
from scoring.examples import Examples
from scoring.parts import Arrays
from scoring.review import Tally, tally
from scoring.sharded.collective import collective, store_signals
from scoring.sharded.costs import add_costs
from scoring.sharded.job import ShardJob
from scoring.sharded.looks import fits_of
from scoring.sources.source import IntArray
from scoring.sweep import sweep_pieces
from scoring.table import ScoreTable

SIDE = {"role": "side", "meaning": "arbitrary"}


@dataclass(frozen=True)
class PieceScores:
    """What comes of a piece.

    Attributes:
        table: Scores of the rows that some run may score; held_out: how many no run may.
        tallies: What scorers tally of the values. unknown: Columns that should have values and have none.
    """

    table: ScoreTable | None = None
    held_out: int = 0
    tallies: dict[str, Tally] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()


def score_piece(job: ShardJob, shard: Shard, start: int, examples: Examples) -> PieceScores:
    """Scores of the examples of the piece that begins at row ``start``, with bytes and tokens of texts beside them."""
    source = job.origin.open(examples, job.kept(shard))
    covers = np.stack([source.covers(run) for run in range(len(source.runs))])
    covered = np.flatnonzero(covers.any(axis=0))
    held_out = len(examples) - len(covered)
    if not len(covered):
        return PieceScores(held_out=held_out)
    if collective(job):
        store_signals(job, shard, start, source, covered)
    plans, runs = job.plans(source), []
    for plan in plans:
        if not plan.blockwise:
            runs.append(Arrays())
            continue
        inside = covers[plan.run][covered]
        found = list(
            sweep_pieces(source, plan, covered[inside], job.order, fits_of(job, plan), lambda _: None)
        )
        values = {name: np.concatenate([each[name].numpy() for each, _ in found]) for name in found[0][0]}
        seen = {name: np.concatenate([each[name].numpy() for _, each in found]) for name in found[0][1]}
        runs.append(spread(values, seen, inside))
    add_costs(job.costs(shard), source)
    data, roles = combine_runs(job.columns, runs, job.per_run)
    scores = {name: data[name] for name, role in roles.items() if role in ("score", "side")}
    columns = describe_columns(job.columns, roles, plans, source)
    columns = {name: job.origin.described(meta) for name, meta in columns.items()}
    labels = None if examples.labels is None else examples.labels[covered]
    content = scores_table(examples.ids[covered], labels, data)
    for name, sizes in _sizes(job, examples, covered).items():
        if name not in columns:
            content, columns[name] = content.append_column(name, pa.array(sizes)), SIDE
    info = {
        "data": examples.name,
        "fingerprint": examples.take(covered).fingerprint,
        "label_names": list(examples.label_names),
        "runs": job.origin.runs(source),
    }
    return PieceScores(
        ScoreTable(content, columns, info),
        held_out,
        tally(job.columns, scores),
        without_values([column for column in job.columns if not column.collective], data),
    )


def _sizes(job: ShardJob, examples: Examples, rows: IntArray) -> dict[str, IntArray]:
    """Bytes and tokens of texts."""
    if examples.kind != "text":
        return {}
    sizes = {"bytes": text_bytes(examples, rows)}
    if job.tokens is not None:
        sizes["tokens"] = job.tokens.count(examples.texts(rows))
    return sizes


def text_bytes(examples: Examples, rows: IntArray) -> IntArray:
    """UTF-8 bytes of the text, or of both texts of a pair, (len(rows),)."""
    total = np.zeros(len(rows), dtype=np.int64)
    for name in examples.schema.inputs:
        column = examples.table.read(name, examples.table_rows(rows))
        total += np.asarray(pc.binary_length(column.cast(pa.large_binary()))).astype(np.int64)
    return total
