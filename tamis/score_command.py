"""``tamis score``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scoring.errors import InputError
from tamis.app import command
from tamis.corpus_options import (
    Answering,
    AnsweringName,
    BatchTokens,
    Concurrency,
    Encoder,
    LanguageModel,
    RequestsPerMinute,
    Vectors,
    given,
)  # fmt: skip
from tamis.engine_options import Address, EngineName, ShardOf, Workers, engine_of
from tamis.options import (
    Device,
    Features,
    Id,
    Image,
    Json,
    Label,
    Options,
    Precision,
    Quiet,
    Split,
    Text,
    TextPair,
    Trust,
    emit,
    load_data,
    parse_options,
    parse_seeds,
)  # fmt: skip
from tamis.score_by_shard import check_by_shard, failures, score_by_shard

if TYPE_CHECKING:
    from scoring.examples import Examples
    from scoring.table import ScoreTable

OWN = {
    "out": "--out", "seeds": "--seeds", "folds": "--folds", "device": "--device", "model_options": "--option",
    "progress": "--quiet", "trust_remote_code": "--trust-remote-code",
}  # fmt: skip
"""Keywords of ``train_folds`` that have an option of this command."""

ONE_SOURCE = "one of --from RUNS, --folds K with --model, or --logits/--probs FILE"

READ_AS = {
    "target": ("target", "target_documents"), "reference": ("reference_losses",), "null": ("null_losses",)
}  # fmt: skip
"""Options that bring other examples or runs -> the needs that read them."""


@command
def score(
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="What to score; not needed with arrays.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Score table to write: a .parquet file; shard by shard a folder.")
    ] = None,
    scorers: Annotated[
        str, typer.Option(help="Comma-separated, such as el2n,loss@mean; `tamis list` shows all.")
    ] = "",
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="Run directory, folder of runs, Hugging Face model or Trainer output."),
    ] = None,
    logits: Annotated[Path | None, typer.Option(help=".npy of shape (N,C), (T,N,C) or (R,T,N,C).")] = None,
    probs: Annotated[Path | None, typer.Option(help="Probabilities instead of logits, same shapes.")] = None,
    labels: Annotated[Path | None, typer.Option(help=".npy of N class indices.")] = None,
    ids: Annotated[Path | None, typer.Option(help=".npy of N ids; default 0..N-1.")] = None,
    folds: Annotated[
        int | None,
        typer.Option(help="Cross-fit: train K folds, score each example by the model that left it out."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model to train with --folds; module:function with --from.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="With --folds: one set of folds per seed.")] = "0",
    train_option: Annotated[
        list[str] | None,
        typer.Option("--train", metavar="KEY=VALUE", help="With --folds: epochs=10, lr=0.1 ..."),
    ] = None,
    option: Options = None,
    trust_remote_code: Trust = False,
    signals: Annotated[
        str, typer.Option(help="Source of clean signals: auto, checkpoints, recorded.")
    ] = "auto",
    target: Annotated[
        str | None,
        typer.Option(
            help="Labelled data that less, tracin:target, trak:target and knn_shapley:target compare with; "
            "columns as DATA's."
        ),
    ] = None,
    target_split: Annotated[
        str | None, typer.Option("--target-split", help="Split of the target; alone: of DATA.")
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="Runs of the reference model, or with --lm another language model, for reducible_loss."
        ),
    ] = None,
    null: Annotated[
        Path | None,
        typer.Option(help="Runs trained without inputs, for pvi; `tamis retrain pvi` makes them."),
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Folder that keeps projected gradients and representations.")
    ] = None,
    view: Annotated[
        str | None, typer.Option(help="clean or presentation for all; default: each scorer's own.")
    ] = None,
    encoder: Encoder = None,
    embeddings: Vectors = None,
    lm: LanguageModel = None,
    llm: Answering = None,
    llm_name: AnsweringName = None,
    batch_tokens: BatchTokens = None,
    concurrency: Concurrency = None,
    requests_per_minute: RequestsPerMinute = None,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Score 200 documents only, and tell what all of them would cost."),
    ] = False,
    per_run: Annotated[bool, typer.Option("--per-run", help="Keep one column per run as well.")] = False,
    batch_size: Annotated[int, typer.Option(help="Most examples per forward pass.")] = 256,
    precision: Precision = "float32",
    by_shard: Annotated[
        bool,
        typer.Option(
            "--by-shard",
            help="Shard by shard, for data of any size: --out is a folder of score shards, failed rows are listed.",
        ),
    ] = False,
    engine: EngineName = None,
    workers: Workers = None,
    address: Address = None,
    shard: ShardOf = None,
    max_failures: Annotated[
        str | None,
        typer.Option(help="Shard by shard: rows that may fail, a number or a share; default 100 or 0.001."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing table.")] = False,
    device: Device = "auto",
    split: Split = None,
    text: Text = None,
    text_pair: TextPair = None,
    image: Image = None,
    features: Features = None,
    label: Label = None,
    id_column: Id = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Score every example.

    Signals come from runs (--from), from models that are trained for it and left the example out (--folds), from
    arrays of your own (--logits or --probs), or from the documents themselves and models of language (--encoder, --lm,
    --llm). The same command resumes an interrupted scoring.
    """
    from scoring.run import score as run_scoring

    settings: dict[str, Any]
    if not scorers:
        raise InputError("tamis score: --scorers must name at least one scorer; `tamis list` shows them all.")
    arrays = logits is not None or probs is not None
    given_sources = sum([arrays, from_ is not None, folds is not None])
    if given_sources > 1 or (data is None and from_ is None and not arrays):
        raise InputError(f"tamis score: give {ONE_SOURCE}.")
    if folds is None and (train_option or option or seeds != "0"):
        raise InputError(
            "tamis score: --train, --option and --seeds are for training folds; give --folds K too."
        )
    if not arrays and data is None:
        raise InputError(
            "tamis score: DATA must be named, such as digits or data.parquet; only arrays need none."
        )
    columns = {
        "text": text, "text_pair": text_pair, "image": image, "features": features, "label": label, "id": id_column
    }  # fmt: skip
    models = given(
        {
            "encoder": encoder, "embeddings": embeddings, "lm": lm, "llm": llm, "llm_name": llm_name,
            "batch_tokens": batch_tokens, "concurrency": concurrency, "requests_per_minute": requests_per_minute,
        }
    )  # fmt: skip
    of_documents = given_sources == 0
    if not of_documents and (models or estimate):
        wrong = min(models).replace("_", "-") if models else "estimate"
        raise InputError(f"tamis score: --{wrong} is for scores of documents; leave out the runs or arrays.")
    spread = {
        "engine": engine, "workers": workers, "address": address, "shard": shard, "max-failures": max_failures,
    }  # fmt: skip
    common = {"device": device, "precision": precision, "trust_remote_code": trust_remote_code}
    if by_shard or any(value is not None for value in spread.values()):
        refused = {
            "folds": folds, "logits": logits, "probs": probs, "split": split, "cache": cache, "view": view,
            "target": None if of_documents else target, "target-split": None if of_documents else target_split,
            "signals": None if signals == "auto" else signals, "estimate": estimate or None,
        }  # fmt: skip
        folder = check_by_shard(refused, out)
        settings = {
            **common, **columns, **given({"reference": reference, "null": null}), "overwrite": overwrite,
            "max_failures": failures(max_failures), "show_progress": not quiet,
        }  # fmt: skip
        if of_documents:
            settings |= models | _target(target, target_split, data, columns, None, True)
        else:
            settings |= {"per_run": per_run, "model": model, "batch_size": batch_size}
        assert data is not None
        runner = engine_of(engine, workers, address, shard, folder)
        score_by_shard(data, scorers, from_, folder, runner, settings, as_json)
        return
    examples = data and load_data(data, split=split, **columns)
    others = {"target": target or target_split, "reference": reference, "null": null}
    if arrays and (there := [name for name, value in others.items() if value is not None]):
        raise InputError(f"tamis score: --{there[0]} is for scores from checkpoints; give --from or --folds.")
    _check_read(scorers, others)
    settings = {
        "out": out, "view": view, "per_run": per_run, "overwrite": overwrite, "show_progress": not quiet,
        "cache": cache,
    }  # fmt: skip
    if arrays:
        from scoring.sources.arrays import ArraySource

        source = ArraySource(labels, logits=logits, probs=probs, ids=ids)
        _tell(run_scoring(examples or None, scorers, source, **settings), out, as_json)
        return
    assert examples
    settings |= given({"reference": reference, "null": null}) | common
    names = None if of_documents else examples.label_names or None
    settings |= _target(target, target_split, data, columns, names, of_documents)
    if of_documents:
        if estimate:
            _estimate(
                examples,
                scorers,
                as_json,
                {**models, **common, **given({"reference": reference})}
                | {key: settings[key] for key in ("target",) if key in settings},
            )
            return
        _tell(run_scoring(examples, scorers, **settings, **models), out, as_json)
        return
    if folds is not None:
        from scoring.plan import check_folds, parse_columns
        from training.crossfit import train_folds

        if model is None or out is None:
            raise InputError("tamis score: --folds needs --model NAME and --out FILE.")
        from_ = out.with_name(f"{out.name}.folds")
        trained = parse_options(train_option, "--train")
        if own := trained.keys() & OWN:
            raise InputError(f"tamis score: --train must not set {min(own)}, which {OWN[min(own)]} decides.")
        check_folds(parse_columns(scorers))  # a mistake shows before the training
        train_folds(
            examples, model, folds=folds, out=from_, seeds=parse_seeds(seeds), device=device,
            model_options=parse_options(option, "--option"), progress=not quiet,
            trust_remote_code=trust_remote_code, **trained,
        )  # fmt: skip
        model = model if ":" in model else None
    settings |= {"batch_size": batch_size, "signals": signals, "model": model}
    assert from_ is not None
    _tell(run_scoring(examples, scorers, from_, **settings), out, as_json)


def _tell(table: ScoreTable, out: Path | None, as_json: bool) -> None:
    from tamis.show import show_table

    emit(
        {"out": out and str(out), "rows": len(table), "columns": table.describe()},
        as_json,
        lambda: show_table(table, out),
    )


def _estimate(examples: Examples, scorers: str, as_json: bool, settings: dict[str, Any]) -> None:
    """A pilot instead of the whole."""
    from scoring.corpus.estimate import estimate

    found = estimate(examples, scorers, **settings)
    emit(found.to_dict(), as_json, lambda: typer.echo(found.text()))


def _target(
    target: str | None,
    split: str | None,
    data: str | None,
    columns: dict[str, Any],
    label_names: Sequence[str] | None,
    of_documents: bool,
) -> dict[str, Any]:
    """The target's examples as a keyword, if there is a target."""
    if not (target or split):
        return {}
    assert data is not None
    from scoring.data.readers import open_source

    try:
        if of_documents:  # from elsewhere, so only what it has of the columns
            there = open_source(target or data, split).columns.names
            columns = {name: column if column in there else None for name, column in columns.items()}
        return {"target": load_data(target or data, split=split, label_names=label_names, **columns)}
    except (InputError, FileNotFoundError) as error:
        raise InputError(f"tamis score: --target {target or data}: {error}") from None


def _check_read(scorers: str, others: Mapping[str, object]) -> None:
    """Refuse a target, reference or null model that no scorer reads: ``tracin`` is not ``tracin:target``."""
    from scoring.catalog import SCORERS, make_scorer
    from scoring.plan import parse_columns

    columns = parse_columns(scorers)
    for option, needs in READ_AS.items():
        if others[option] is not None and not any(column.scorer.needs & {*needs} for column in columns):
            readers = ", ".join(name for name in SCORERS if make_scorer(name).needs & {*needs})
            raise InputError(
                f"tamis score: --{option} is for {readers}, and the scorers are "
                f"{', '.join(column.name for column in columns)}."
            )
