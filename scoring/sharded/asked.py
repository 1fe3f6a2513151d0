"""What one call of score_shards is: columns of the data, origin of the signals, the job, and the digest of it all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from scoring.catalog import split_scorers
from scoring.corpus.models import CorpusModels
from scoring.data.shard_batches import column_types, read_batches
from scoring.data.shards import ShardedData
from scoring.errors import InputError, unknown_name
from scoring.examples import Examples
from scoring.hashing import digest
from scoring.plan import Column
from scoring.scorer import Scorer
from scoring.sharded.classes import class_names
from scoring.sharded.job import ShardJob
from scoring.sharded.layout import Layout, vector_width
from scoring.sharded.looks import fit_keys
from scoring.sharded.origin import FromDocuments, FromRuns, Origin
from scoring.sharded.token_counts import TokenCounter
from scoring.sources.opening import CORPUS_OPTIONS
from scoring.sources.runs import OTHERS, RunSource
from scoring.versions import library_version

PROBE_ROWS = 64
RUN_OPTIONS = (
    "model", "device", "precision", "batch_size", "max_tokens", "trust_remote_code",
    "target", "target_groups", "reference", "null",
)  # fmt: skip


def check_options(source: str | Path | None, options: Mapping[str, Any]) -> None:
    """Refuse options that the source does not have."""
    known = CORPUS_OPTIONS if source is None else RUN_OPTIONS
    if unknown := options.keys() - set(known):
        raise unknown_name("option", "score", min(unknown), known)


def choose_layout(
    data: ShardedData, given: dict[str, Any], label_names: Sequence[str] | None, source: str | Path | None
) -> tuple[Layout, Examples]:
    """Columns by the first shard with rows, and its first examples; of a corpus labels only if they are named."""
    if source is None and given["label"] is None:
        given = {**given, "label": False}
    wrong: list[str] = []
    for shard in data.shards:
        try:
            types = column_types(shard)
        except InputError as error:
            if shard.format != "jsonl":
                raise
            wrong.append(str(error))
            continue
        known = () if source is None else class_names(source)
        names = known if label_names is None else tuple(label_names)
        layout = Layout.choose(types, **given, label_names=names)
        if layout.label and not names:
            raise InputError(
                f"score: label_names must be given, all classes of {layout.label!r} in order, since no run names them "
                "and no shard is sure to hold them all; or pass label=False."
            )
        for batch in read_batches(shard, dict(layout.types), rows=PROBE_ROWS):
            if layout.kind == "features" and len(layout.inputs) == 1:
                layout = replace(layout, width=vector_width(batch.table.column(layout.inputs[0])))
            examples, _, letters = layout.examples(shard, batch, data.name)
            if examples is not None:
                return layout, examples
            wrong += [letter.error for letter in letters[:1]]
    told = f" ({wrong[0].removesuffix('.')})" if wrong else ""
    raise InputError(
        f"score: data {data.source} must hold at least one row that can be read, and holds none{told}."
    )


def make_origin(source: str | Path | None, probe: Examples, options: dict[str, Any], folder: Path) -> Origin:
    """Where the signals come from."""
    if source is None:
        target = options.get("target")
        if target is not None and not isinstance(target, Examples):
            target = Examples.load(target)
        models = CorpusModels.of({key: value for key, value in options.items() if key != "target"})
        return FromDocuments(models, target, folder / "work")
    others = {}
    for kind, option in zip(OTHERS, ("reference", "null")):
        if options.get(option) is not None:
            other = RunSource(options[option], probe, signals="checkpoints")
            others[kind] = _digest(
                [other.describe(p) for run in range(len(other.runs)) for p in other.passes(run, "clean")]
            )
    return FromRuns(str(Path(source).absolute()), options, others)


def make_job(
    data: ShardedData,
    layout: Layout,
    probe: Examples,
    scorers: str | Scorer | Sequence[str | Scorer],
    origin: Origin,
    folder: Path,
    counter: TokenCounter | None,
    **settings: Any,
) -> ShardJob:
    """What workers are told; what is wrong with scorers and source shows here."""
    names = tuple([scorers] if isinstance(scorers, (str, Scorer)) else scorers)
    job = ShardJob(
        scorers=tuple(
            each for name in names for each in (split_scorers(name) if isinstance(name, str) else [name])
        ),
        origin=origin,
        layout=layout,
        data=data.name,
        folder=folder,
        tokens=counter,
        **settings,
    )
    columns = job.columns
    _check_scorers(columns, origin)
    source = origin.probe(probe, columns)
    plans = job.plans(source)
    request = _digest(
        {
            "columns": [(c.name, repr(c.scorer), str(c.rule)) for c in columns],
            "passes": [[source.describe(sweep) for sweep, _ in plan.sweeps] for plan in plans],
            "data": data.version,
            "layout": {**asdict(layout), "types": [[column, str(kind)] for column, kind in layout.types]},
            "origin": origin.describe(),
            "options": [job.per_run, job.order],
            "piece_rows": job.piece_rows,
            "tokens": counter is not None,
            "version": library_version(),
        }
    )
    return replace(job, request=request, fit_keys=fit_keys(plans))


def token_counter(
    source: str | Path | None, layout: Layout, tokens: bool | None, options: Mapping[str, Any]
) -> TokenCounter | None:
    """That of the runs, or of the language model of a corpus where its folder is given."""
    folder = options.get("lm") if source is None else source
    counter = None
    if tokens is not False and layout.kind == "text" and folder is not None and Path(folder).is_dir():
        counter = TokenCounter.of(folder, bool(options.get("trust_remote_code", False)))
    if tokens and counter is None:
        raise InputError("score: tokens need text and a model with a tokenizer; leave tokens out.")
    return counter


def _check_scorers(columns: Sequence[Column], origin: Origin) -> None:
    for column in columns:
        together = column.collective and not isinstance(origin, FromDocuments)
        if together or column.scorer.normalizes:
            raise InputError(
                f"score: scorer {column.name!r} compares all rows with each other, so it cannot be scored shard by "
                "shard; score the data as a whole."
            )


def _digest(content: object) -> str:
    return digest(json.dumps(content, sort_keys=True, default=str).encode(), size=16).hex()
