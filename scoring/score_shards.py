"""score_shards(): sharded data in, a folder of id-keyed score shards out; no shard is ever in memory as a whole."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from scoring.blocks import warn_without_values
from scoring.data.shard_batches import BATCH_ROWS
from scoring.data.shards import find_shards
from scoring.engines.engine import Engine
from scoring.engines.job import job_folder
from scoring.engines.local import Local
from scoring.engines.stages import run_stage
from scoring.errors import InputError, bad_value, unknown_name
from scoring.inference import pick_device
from scoring.manifest import check_kind, parse_manifest, to_json
from scoring.scorer import Scorer
from scoring.sharded.asked import check_options, choose_layout, make_job, make_origin, token_counter
from scoring.sharded.claim import claim, is_unfinished, parts_of
from scoring.sharded.collective import add_columns, collective, described, in_order, score_together
from scoring.sharded.duplicates import IdHashes
from scoring.sharded.finishing import check_failures, check_finished, finish, make_manifest, numbers
from scoring.sharded.looks import look, merge_look, still_looking
from scoring.sharded.worker import score_shard
from scoring.sweep import ORDERS, Order
from scoring.table_files import KIND

OWNER = "score"


def score_shards(
    data: Any,
    scorers: str | Scorer | Sequence[str | Scorer],
    source: str | Path | None = None,
    *,
    out: str | Path,
    engine: Engine | None = None,
    text: str | None = None,
    text_pair: str | None = None,
    image: str | None = None,
    features: str | Sequence[str] | None = None,
    label: str | Literal[False] | None = None,
    id: str | None = None,
    label_names: Sequence[str] | None = None,
    name: str | None = None,
    max_failures: int | float | None = None,
    tokens: bool | None = None,
    per_run: bool = False,
    order: Order = "checkpoints",
    piece_rows: int = BATCH_ROWS,
    overwrite: bool = False,
    show_progress: bool = False,
    **source_options: Any,
) -> Path:
    """Score sharded data, shard by shard, into a folder with one Parquet shard of scores per shard of data.

    The folder is a score table: ``ScoreTable.read`` reads it, and selection over shards works on it without reading it
    as a whole. Values are those of ``score`` on all rows at once, up to rounding; the bytes do not depend on the
    engine, the number of workers, or interruptions.

    Args:
        data: Anything that ``scoring.data.shards.find_shards`` takes: folders, globs, URLs, ``datasets.Dataset`` ...
        scorers: Names or scorer objects, as for ``score``. Those that fit look at all shards first, once or several
            times. Collective scorers of documents get the signals of all rows at once, in one task on one machine,
            which holds all ids, their columns, and what the scorer itself takes; the signals lie on disk twice.
            Collective scorers of runs, and those that normalize, are refused.
        source: Run directory, folder of runs, Hugging Face model folder or Trainer output. Signals come from its
            checkpoints; what was recorded while training belongs to the training data. None for scores of the documents
            themselves (density, perplexity, ask_llm ...).
        out: The folder to write, on this machine or a disk that all workers see. Work is kept in ``<out>.parts``; the
            same call resumes at the last finished piece of ``piece_rows`` rows, also inside a shard. A call with other
            arguments, or data that changed, is refused unless ``overwrite``.
        engine: Where the work runs; in this process by default. See ``scoring.engines``.
        text, text_pair, image, features, label: Columns, as for ``Examples.load``. ``label=False`` reads none, which is
            what documents without a source get unless the column is named.
        id: Column of ids, unique over all shards. Without it an id is ``<name of the shard>:<row>``, rows from 0: a
            hash of the content, as ``Examples.load`` makes, would be the same for equal rows in two shards. What is
            drawn by the hash of (seed, id) then depends on the names of shards.
        label_names: All classes in order; by default those that the runs were trained on.
        max_failures: How many rows may fail: a number, or a share of all rows as a float. By default 0.1 %, or 100 rows
            if that is more. A row fails if its line is no JSON object, its text, image, label or id is missing or of
            the wrong type, its features are not finite or of another length, or its image cannot be decoded. It is
            listed in ``dead_letters.jsonl`` (shard, row, id, error) and absent from the table, which says so in
            ``info``: ``coverage``, ``dead_letters``, ``num_examples``.
        tokens: Whether text gets a column ``tokens`` beside ``bytes``, for budgets; by default if the model has a
            tokenizer (without a source: the model ``lm``, if it is a folder). All tokens count, also those beyond what
            the model reads, without special tokens.
        per_run, order: As for ``score``.
        source_options: ``model``, ``device``, ``precision``, ``batch_size``, ``max_tokens``, ``target``, ``reference``.
            Without a source those of ``CorpusModels``, and ``target``: examples, or what ``Examples.load`` takes.

    What models make of documents (embeddings, log-likelihoods, answers) is kept in ``<out>.parts`` until its shard is
    scored, so that looks, scoring and resuming compute it once: on disk, 4 bytes x width x rows of embeddings where
    some scorer looks first. In memory are a piece of texts, one chunk of 256 documents of signals, and two sets of
    the sums of a look. What it cost is written to ``<out>.costs.json``, which unlike the table differs between equal
    calls; what a killed worker spent on its last piece is not in it.

    Raises:
        InputError: what ``score`` refuses, too many failed rows, ids that two rows share.
    """
    _check_options(order, piece_rows, max_failures)
    check_options(source, source_options)
    found = find_shards(data, name=name)
    engine = Local() if engine is None else engine
    path = Path(out)
    given = {
        "text": text,
        "text_pair": text_pair,
        "image": image,
        "features": features,
        "label": label,
        "id": id,
    }
    layout, probe = choose_layout(found, given, label_names, source)
    job = make_job(
        found,
        layout,
        probe,
        scorers,
        make_origin(source, probe, source_options, parts_of(path)),
        parts_of(path),
        token_counter(source, layout, tokens, source_options),
        piece_rows=piece_rows,
        per_run=per_run,
        order=order,
        max_failed=max_failures if isinstance(max_failures, int) else None,
    )
    for column in job.columns:
        if column.scorer.caveat:
            warnings.warn(f"{column.name}: {column.scorer.caveat}.", stacklevel=2)
    if path.exists() and not overwrite:
        if _request_of(path) != job.request:
            raise InputError(
                f"score: out {str(path)!r} holds another score table; choose another name or overwrite it."
            )
        if not is_unfinished(job.folder, job.request):
            check_finished(path, max_failures)
            return path
    if path.exists():
        _request_of(path)  # refuses to replace anything but a score table
    claim(job.folder, job.request, OWNER, overwrite)
    device = pick_device(str(source_options.get("device", "auto")))
    with job_folder(engine, job.folder) as folder:
        stage = partial(
            run_stage,
            engine,
            folder,
            what="scoring",
            show_progress=show_progress,
            gpus=float(str(device).startswith("cuda")),
        )
        tasks = [shard.task() for shard in found.shards]
        quiet = partial(run_stage, engine, folder, show_progress=False)
        while still_looking(job, job.looks):
            number = job.looks + 1
            stage(f"look-{number:03}", partial(look, job, number), tasks, what=f"look {number}")
            files = {"sidecars": [shard.sidecar for shard in found.shards]}
            quiet(f"merge-{number:03}", partial(merge_look, job, number), [files], what=f"look {number}")
            job = replace(job, looks=number)
        results = stage("score", partial(score_shard, job), tasks)
        summaries = [json.loads(str(result["summary"])) for result in results]
        check_failures(summaries, max_failures)
        if layout.id is not None:
            hashes = IdHashes(folder / "hashes", folder / "table")
            rows = sum(each["summary"]["rows"] for each in summaries)
            quiet("ids", hashes.check, hashes.buckets(rows), what="checking ids")
        tallies = {}
        if collective(job):
            places = in_order(summaries)
            (together,) = stage("together", partial(score_together, job), [{"shards": places}])
            columns = described(job, job.origin.probe(probe, job.columns), json.loads(str(together["roles"])))
            quiet("add", partial(add_columns, job, columns), places, what="scoring")
            for each in summaries:
                each["columns"] |= columns
            tallies = numbers(json.loads(str(together["tallies"])))
        manifest, empty = make_manifest(found, summaries, job.columns, job.request, tallies)
        write = partial(finish, path, folder, to_json(manifest, indent=1).decode())
        quiet("finish", write, ["finish"], what="scoring")
    warn_without_values(empty)
    return path


def _check_options(order: str, piece_rows: int, max_failures: int | float | None) -> None:
    if order not in ORDERS:
        raise unknown_name("order", OWNER, order, ORDERS)
    if piece_rows < 1:
        raise bad_value("piece_rows", OWNER, piece_rows, "at least 1")
    good = max_failures is None or (
        not isinstance(max_failures, bool)
        and (max_failures >= 0 if isinstance(max_failures, int) else 0 <= max_failures <= 1)
    )
    if not good:
        raise bad_value(
            "max_failures", OWNER, max_failures, "a number of rows from 0, or a share such as 0.001"
        )


def _request_of(path: Path) -> str | None:
    """The request of a finished folder; anything that is no score table is never replaced."""
    head = path / "manifest.json"
    if not head.is_file():
        raise InputError(
            f"score: out must be a new name or a score table, and {str(path)!r} is something else; choose another name."
        )
    manifest = parse_manifest(head.read_bytes(), OWNER, head)
    check_kind(manifest, KIND, OWNER, path)
    request = manifest["info"].get("request")
    return None if request is None else str(request)
