"""score(): examples and a source in, a score table out; all scorers share one pass over each checkpoint."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from scoring.blocks import describe_columns, scores_table, spread, warn_without_values, without_values
from scoring.collected import Collected, collect
from scoring.combine import combine_runs, normalize_run
from scoring.errors import InputError, OutputTakenError, bad_value, unknown_name
from scoring.examples import Examples
from scoring.hashing import digest, fingerprint, hash_ids
from scoring.parts import Arrays, Parts, remove_parts
from scoring.plan import Column, RunPlan, check_folds, needs_of, parse_columns, plan_run
from scoring.progress import Advance, progress
from scoring.review import review, tally
from scoring.scorer import CollectiveScorer, Scorer
from scoring.signals import VIEWS, View
from scoring.sources.arrays import ArraySource
from scoring.sources.corpus import CorpusSource
from scoring.sources.opening import open_source
from scoring.sources.source import IntArray, Pass, Source
from scoring.sweep import ORDERS, Fits, Order, fit_run, sweep_pieces, timed
from scoring.table import ScoreTable

OPTIONS = ("out", "view", "per_run", "order", "block_rows", "cache", "overwrite", "show_progress")
BLOCK_ROWS = 65_536
"""Rows scored between two points from which an interrupted job resumes; bounds the memory of per-example state."""


def score(
    examples: Examples | None,
    scorers: str | Scorer | Sequence[str | Scorer],
    source: Source | str | Path | None = None,
    *,
    out: str | Path | None = None,
    view: View | None = None,
    per_run: bool = False,
    order: Order = "checkpoints",
    block_rows: int = BLOCK_ROWS,
    cache: str | Path | None = None,
    overwrite: bool = False,
    show_progress: bool = False,
    **source_options: Any,
) -> ScoreTable:
    """Score every example with every scorer and give one table, keyed by example id.

    Args:
        examples: What to score. None with an ``ArraySource``, whose ids and labels are used.
        scorers: ``"el2n,forgetting,loss@mean"``, names, or scorer objects; see ``scoring.catalog.parse_scorer``.
        source: A path (run directory, folder of runs or folds, Hugging Face model folder, Trainer output) or a source
            object; None for scores of the documents themselves (density, perplexity, ask_llm ...). With several runs
            every column is the scorer's combination over runs (for most the mean), beside it ``<column>.se`` (standard
            error over runs) and ``<column>.runs`` (how many runs scored the example).
        out: A Parquet file to write. Work is kept beside it in ``<out>.parts`` until it is finished; the same call
            resumes there after an interruption, and a different call is refused unless ``overwrite``.
        view: ``clean`` or ``presentation`` for all scorers; by default each takes the view of its definition, where
            the source has it. The table records the choice.
        per_run: Also keep one column per run, ``<column>.run0`` and so on, for reliability.
        order: Which loop is outside, checkpoints or data; the values are the same.
        cache: Folder in which what collective scorers read of the checkpoints (projected gradients, representations)
            stays for the next call with the same checkpoints, examples and options. By default it is kept in
            ``<out>.parts`` until the table is written.
        source_options: Of ``RunSource``: ``device``, ``precision``, ``batch_size``, ``signals``; ``target`` (examples
            that some scores compare with), ``target_groups``; ``reference`` and ``null`` (runs of the other model that
            reducible_loss and pvi need) ... Without a source those of ``CorpusModels``, and ``target``.

    Raises:
        InputError: An unknown scorer, signals that the source does not have, data that do not fit the runs.
    """
    if order not in ORDERS:
        raise unknown_name("order", "score", order, ORDERS)
    if view is not None and view not in VIEWS:
        raise unknown_name("view", "score", view, VIEWS)
    if block_rows < 1:
        raise bad_value("block_rows", "score", block_rows, "at least 1")
    columns = parse_columns(scorers)
    for column in columns:
        if column.scorer.caveat:
            warnings.warn(f"{column.name}: {column.scorer.caveat}.", stacklevel=2)
    source = open_source(source, examples, source_options, OPTIONS)
    if isinstance(source, CorpusSource):
        source.check_reads({column.name: column.scorer.needs for column in columns})
    ids, labels, about = _identity(examples, source)
    plans = [plan_run(source, run, columns, view) for run in range(len(source.runs))]
    _check_views(columns, plans, source)
    for plan in plans:
        if plan.run in source.folded:
            check_folds(columns, source.runs[plan.run])
    if isinstance(source, CorpusSource):
        source.prepare(needs_of(columns))
    # Pieces are cut by position and labels change the values: the order of ids and the labels are part of the request.
    rows_hash = digest(hash_ids(ids).tobytes(), b"" if labels is None else labels.tobytes(), size=16).hex()
    views = [sorted(plan.views.items()) for plan in plans]
    request = _request(columns, source, plans, about, block_rows, per_run, rows_hash, views)

    path = None if out is None else Path(out)
    if path is not None and path.exists():
        table = _table_there(path)
        if not overwrite and table.info.get("request") == request:
            remove_parts(path)  # an earlier call may have been killed between its last two lines
            return table
        if not overwrite:
            raise OutputTakenError(
                f"score: out {str(path)!r} holds another score table; choose another name or overwrite it."
            )
    parts = Parts(path, request, overwrite)

    covers = np.stack([source.covers(run) for run in range(len(source.runs))])
    covered = np.flatnonzero(covers.any(axis=0))
    if len(covered) == 0:
        raise InputError("score: every example was held out by every run, so there is nothing to score.")
    blocks = [covered[start : start + block_rows] for start in range(0, len(covered), block_rows)]
    total = sum(int(covers[plan.run].sum()) * plan.reads for plan in plans)
    with ExitStack() as stack:
        folder = None if cache is None else Path(cache)
        if isinstance(source, CorpusSource):
            source.keep_in(stack.enter_context(parts.signals()) if folder is None else folder)
            if path is not None:
                stack.callback(source.ledger.write, path, request, parts.resumed)
        advance = stack.enter_context(progress("scoring", total, enabled=show_progress))
        job = _Job(source, order, covers, ids, labels, about, parts, folder, advance, show_progress)
        runs = []
        for plan in plans:
            whole = {}
            if plan.collective:
                whole = parts.get(f"collective.run-{plan.run:03}", partial(job.collective, plan, covered))
            pieces = [
                parts.get(f"block-{number:05}.run-{plan.run:03}", partial(job.block, plan, rows))
                for number, rows in enumerate(blocks)
                if plan.blockwise
            ]
            whole |= {name: np.concatenate([piece[name] for piece in pieces]) for name in (pieces or [{}])[0]}
            runs.append(normalize_run(columns, whole, None if labels is None else labels[covered]))
        tables = []
        for start in range(0, len(covered), block_rows):
            part = slice(start, start + block_rows)
            data, roles = combine_runs(
                columns, [{name: values[part] for name, values in run.items()} for run in runs], per_run
            )
            rows = covered[part]
            tables.append(scores_table(ids[rows], None if labels is None else labels[rows], data))
    named = [] if isinstance(source, CorpusSource) else list(source.runs)
    info = {**about, "request": request, "held_out": len(ids) - len(covered), "runs": named}
    content = pa.concat_tables(tables)
    scores = {
        name: content.column(name).to_numpy() for name, role in roles.items() if role in ("score", "side")
    }
    described = review(columns, tally(columns, scores), describe_columns(columns, roles, plans, source))
    table = ScoreTable(content, described, info)
    warn_without_values(without_values(columns, scores))
    if path is not None:
        table.write(path)
        remove_parts(path)
    return table


def _table_there(path: Path) -> ScoreTable:
    """The table at ``out``; a file or folder of anything else is never replaced."""
    try:
        return ScoreTable.read(path)
    except InputError:
        raise InputError(
            f"score: out must be a new name or a score table, and {str(path)!r} is something else; choose another name."
        ) from None


@dataclass
class _Job:
    """What every block of one call shares."""

    source: Source
    order: Order
    covers: npt.NDArray[np.bool_]
    """Which run may score which example, (R, N)."""
    ids: npt.NDArray[Any]
    labels: IntArray | None
    about: dict[str, Any]
    """What the table says of the examples."""
    parts: Parts
    cache: Path | None
    """Where what collective scorers read is kept, if not among the parts."""
    advance: Advance
    show_progress: bool
    fits: dict[int, Fits] = field(default_factory=dict)

    def block(self, plan: RunPlan, rows: IntArray) -> Arrays:
        """One run over one block: ``name`` and ``name seen`` arrays over all rows of the block."""
        if plan.run not in self.fits:
            covered = np.flatnonzero(self.covers[plan.run])
            self.fits[plan.run] = fit_run(self.source, plan, covered, self.show_progress)
        inside = self.covers[plan.run][rows]
        fits = self.fits[plan.run]
        found = list(sweep_pieces(self.source, plan, rows[inside], self.order, fits, self.advance))
        values = {name: np.concatenate([piece[name].numpy() for piece, _ in found]) for name in found[0][0]}
        seen = {name: np.concatenate([piece[name].numpy() for _, piece in found]) for name in found[0][1]}
        return spread(values, seen, inside)

    def collective(self, plan: RunPlan, rows: IntArray) -> Arrays:
        """One run's collective columns over all rows that some run covers: ``name`` and ``name seen`` arrays."""
        inside = self.covers[plan.run][rows]
        values: Arrays = {}
        with self.parts.signals() if self.cache is None else nullcontext(self.cache) as folder:
            passes: dict[Pass, Collected] = {}
            for sweep, columns in plan.sweeps:
                needs = needs_of([column for column in columns if column.collective])
                if any(column.collective for column in columns):
                    passes[sweep] = collect(
                        self.source,
                        sweep,
                        needs,
                        self.ids,
                        self.labels,
                        rows[inside],
                        self.about,
                        folder,
                        self.advance,
                    )
            for column, sweeps in plan.collective.items():
                assert isinstance(column.scorer, CollectiveScorer)
                with timed(self.source, column.name, int(inside.sum())):
                    found = column.scorer.score_all([passes[sweep] for sweep in sweeps])
                for side, value in found.items():
                    values[f"{column.name}.{side}" if side else column.name] = np.asarray(value, dtype=float)
        everything = np.ones(int(inside.sum()), dtype=bool)
        return spread(values, dict.fromkeys(values, everything), inside)


def _identity(
    examples: Examples | None, source: Source
) -> tuple[npt.NDArray[Any], IntArray | None, dict[str, Any]]:
    """Ids, labels and what the table says of the data; arrays may stand alone or belong to examples."""
    if examples is None:
        if not isinstance(source, ArraySource):
            raise InputError(
                "score: examples are needed with this source; only arrays carry their own ids and labels."
            )
        names = [str(label) for label in range(source.num_classes)]
        about = {"data": source.name, "fingerprint": fingerprint(hash_ids(source.ids)), "label_names": names}
        return source.ids, source.labels, about
    if isinstance(source, ArraySource):
        source.bind(examples)
    about = {
        "data": examples.name,
        "fingerprint": examples.fingerprint,
        "label_names": list(examples.label_names),
    }
    labels = source.labels if isinstance(source, ArraySource) else examples.labels
    return examples.ids, labels, about


def _check_views(columns: Sequence[Column], plans: Sequence[RunPlan], source: Source) -> None:
    """A column must mean the same in every run."""
    for column in columns:
        views = {plan.views[column.name] for plan in plans}
        if len(views) > 1:
            odd = next(p for p in plans if p.views[column.name] != plans[0].views[column.name])
            raise InputError(
                f"score: {column.name!r} would mix clean and presentation signals, because {source.runs[odd.run]} "
                f"lacks what {source.runs[0]} has; choose one with view."
            )


def _request(
    columns: Sequence[Column], source: Source, plans: Sequence[RunPlan], about: dict[str, Any], *more: object
) -> str:
    """Digest of everything that the values depend on."""
    content = {
        "columns": [(c.name, repr(c.scorer), str(c.rule)) for c in columns],
        "passes": [[source.describe(sweep) for sweep, _ in plan.sweeps] for plan in plans],
        "about": about,
        "more": more,
    }
    return digest(json.dumps(content, sort_keys=True).encode(), size=16).hex()
