"""The command line: a thin map from options to the public functions; two lines of Python can do the same."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scoring.errors import InputError
from tamis.app import app, command, main
from tamis.options import (
    Data,
    Device,
    Features,
    Id,
    Image,
    Json,
    Label,
    Options,
    Quiet,
    Split,
    Text,
    TextPair,
    emit,
    load_data,
    parse_options,
    parse_seeds,
)  # fmt: skip

if TYPE_CHECKING:
    from scoring.table import ScoreTable
    from selection.subset import Subset

__all__ = ["app", "main"]


@command
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the runs: one run directory per seed.")],
    model: Annotated[
        str, typer.Option(help="linear, mlp, cnn, small-bert, minilm ... or a Hugging Face model.")
    ],
    epochs: Annotated[
        int | None, typer.Option(help="Epochs to train (default 10 if steps are not given).")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Optimizer steps to train, whatever the size of the data.")
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Examples per optimizer step.")] = 64,
    optimizer: Annotated[
        str, typer.Option(help="adamw, sgd, ... from torch or pytorch-optimizer.")
    ] = "adamw",
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate; default by optimizer and model.")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Weight decay.")] = None,
    schedule: Annotated[str, typer.Option(help="constant, linear or cosine.")] = "cosine",
    warmup: Annotated[
        float, typer.Option(help="Warm-up: fraction of all steps if below 1, else steps.")
    ] = 0.0,
    clip: Annotated[float | None, typer.Option(help="Largest gradient norm.")] = None,
    accumulate: Annotated[int, typer.Option(help="Micro-batches per optimizer step.")] = 1,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16 autocast.")] = "float32",
    seeds: Annotated[str, typer.Option(help="One run per seed: 0-4 or 0,3,7.")] = "0",
    folds: Annotated[int | None, typer.Option(help="Train this many cross-fitting folds per seed.")] = None,
    subset: Annotated[
        Path | None, typer.Option(help="Subset file: train on its examples with its weights.")
    ] = None,
    evaluate: Annotated[
        str | None, typer.Option(help="Split to evaluate on, or a fraction to hold out.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record per-example signals while training.")
    ] = False,
    clean_every: Annotated[
        str, typer.Option(help="With --record: clean pass every '1 epoch', '50 steps'; auto: at most 20.")
    ] = "auto",
    checkpoint_every: Annotated[
        str, typer.Option(help="'1 epoch', '100 steps', 'end'; auto: every epoch, thinned out to at most 20.")
    ] = "auto",
    save_optimizer: Annotated[bool, typer.Option("--save-optimizer", help="Keep optimizer moments.")] = False,
    allow_changed_data: Annotated[
        bool, typer.Option("--allow-changed-data", help="Take a subset of other labels.")
    ] = False,
    option: Options = None,
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
    """Train a model, one run per seed, with checkpoints and recorded dynamics; an interrupted run is resumed."""
    from training.crossfit import train_folds
    from training.run import train as run_training

    examples = load_data(
        data, split=split, text=text, text_pair=text_pair, image=image, features=features, label=label, id=id_column
    )  # fmt: skip
    settings: dict[str, Any] = {
        "out": out, "epochs": epochs, "steps": steps, "batch_size": batch_size, "optimizer": optimizer, "lr": lr,
        "weight_decay": weight_decay, "schedule": schedule, "warmup": warmup, "clip": clip, "accumulate": accumulate,
        "precision": precision, "seeds": parse_seeds(seeds), "record": record, "clean_every": clean_every,
        "checkpoint_every": None if checkpoint_every == "end" else checkpoint_every, "save_optimizer": save_optimizer,
        "model_options": parse_options(option, "--option"), "device": device, "progress": not quiet,
    }  # fmt: skip
    if folds is not None:
        if subset is not None or evaluate is not None:
            raise InputError(
                "tamis train: --folds evaluates on the held-out folds; leave out --subset and --evaluate."
            )
        runs = train_folds(examples, model, folds=folds, **settings)
    else:
        runs = run_training(
            examples, model, subset=subset, evaluate=_evaluation(evaluate), allow_changed_data=allow_changed_data,
            **settings,
        )  # fmt: skip
    from tamis.show import show_runs

    emit([{"path": str(run.path), **run.summary()} for run in runs], as_json, lambda: show_runs(runs))


def _evaluation(text: str | None) -> str | float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


@command
def score(
    data: Annotated[
        str | None, typer.Argument(metavar="[DATA]", help="What to score; not needed with arrays.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Score table to write, one Parquet file.")] = None,
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
    signals: Annotated[
        str, typer.Option(help="Source of clean signals: auto, checkpoints, recorded.")
    ] = "auto",
    view: Annotated[
        str | None, typer.Option(help="clean or presentation for all; default: each scorer's own.")
    ] = None,
    per_run: Annotated[bool, typer.Option("--per-run", help="Keep one column per run as well.")] = False,
    batch_size: Annotated[int, typer.Option(help="Most examples per forward pass.")] = 256,
    precision: Annotated[str, typer.Option(help="float32, bfloat16 or float16 autocast.")] = "float32",
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
    """Score every example: from runs, by cross-fitting, or from arrays of logits or probabilities."""
    from scoring.run import score as run_scoring
    from tamis.show import show_table

    if not scorers:
        raise InputError("tamis score: --scorers must name at least one scorer; `tamis list` shows them all.")
    arrays = logits is not None or probs is not None
    if sum([arrays, from_ is not None, folds is not None]) != 1:
        raise InputError(
            "tamis score: give one of --from RUNS, --folds K with --model, or --logits/--probs FILE."
        )
    if not arrays and data is None:
        raise InputError(
            "tamis score: DATA must be named, such as digits or data.parquet; only arrays need none."
        )
    examples = data and load_data(
        data, split=split, text=text, text_pair=text_pair, image=image, features=features, label=label, id=id_column
    )  # fmt: skip
    settings: dict[str, Any] = {
        "out": out, "view": view, "per_run": per_run, "overwrite": overwrite, "show_progress": not quiet
    }  # fmt: skip
    table: ScoreTable
    if arrays:
        from scoring.sources.arrays import ArraySource

        source = ArraySource(labels, logits=logits, probs=probs, ids=ids)
        table = run_scoring(examples or None, scorers, source, **settings)
    else:
        assert examples
        if folds is not None:
            from training.crossfit import train_folds

            if model is None or out is None:
                raise InputError("tamis score: --folds needs --model NAME and --out FILE.")
            from_ = out.with_name(f"{out.name}.folds")
            train_folds(
                examples, model, folds=folds, out=from_, seeds=parse_seeds(seeds), device=device,
                model_options=parse_options(option, "--option"), progress=not quiet,
                **parse_options(train_option, "--train"),
            )  # fmt: skip
            model = model if ":" in model else None
        settings |= {"device": device, "precision": precision, "batch_size": batch_size, "signals": signals}
        assert from_ is not None
        table = run_scoring(examples, scorers, from_, model=model, **settings)
    emit(
        {"out": out and str(out), "rows": len(table), "columns": table.describe()},
        as_json,
        lambda: show_table(table, out),
    )


@command
def select(
    scores: Annotated[Path, typer.Argument(help="Score table.")],
    keep: Annotated[str, typer.Option(help="30%, 0.3, 500 or '500 rows'.")],
    out: Annotated[Path | None, typer.Option(help="Subset file to write.")] = None,
    by: Annotated[str | None, typer.Option(help="Score column.")] = None,
    take: Annotated[str, typer.Option(help="hardest, easiest, highest, lowest, band or random.")] = "hardest",
    balance: Annotated[str, typer.Option(help="Class quotas: none, proportional, equal or floor.")] = "none",
    low: Annotated[float | None, typer.Option(help="band: lower end, as a fraction of the ranking.")] = None,
    high: Annotated[float | None, typer.Option(help="band: upper end.")] = None,
    seed: Annotated[int, typer.Option(help="Decides ties and random choices.")] = 0,
    nan: Annotated[str, typer.Option(help="Rows whose score is NaN: error, drop or keep.")] = "error",
    allow_short: Annotated[
        bool, typer.Option("--allow-short", help="Take fewer if there are not enough.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Select the examples to keep, with an exact budget."""
    from selection.run import select as run_selection
    from tamis.show import show_subset

    subset: Subset = run_selection(
        scores, by=by, take=take, keep=keep, balance=balance, low=low, high=high, seed=seed, nan=nan,
        allow_short=allow_short,
    )  # fmt: skip
    if out is not None:
        subset.write(out)
    emit(
        {"out": out and str(out), "rows": len(subset), **subset.info},
        as_json,
        lambda: show_subset(subset, out),
    )


@command
def show(
    path: Annotated[Path, typer.Argument(help="Score table or subset.")],
    by: Annotated[str | None, typer.Option(help="Score column to order by.")] = None,
    top: Annotated[int, typer.Option(help="How many of the highest.")] = 10,
    bottom: Annotated[int, typer.Option(help="How many of the lowest.")] = 0,
    data: Annotated[str | None, typer.Option(help="The data, to show the examples themselves.")] = None,
    split: Split = None,
    text: Text = None,
    text_pair: TextPair = None,
    image: Image = None,
    features: Features = None,
    label: Label = None,
    id_column: Id = None,
    as_json: Json = False,
) -> None:
    """Show what a score table or subset holds; with --by, the examples at either end."""
    from tamis.show import describe_file

    examples = data and load_data(
        data, split=split, text=text, text_pair=text_pair, image=image, features=features, label=label, id=id_column
    )  # fmt: skip
    document, print_it = describe_file(path, by, top, bottom, examples or None)
    emit(document, as_json, print_it)


@command
def list_(as_json: Json = False) -> None:
    """List scorers, strategies and models."""
    from tamis.show import describe_catalog

    document, print_it = describe_catalog()
    emit(document, as_json, print_it)


@command
def demo(
    out: Annotated[Path, typer.Option(help="Folder for runs, table, figures and report.")] = Path(
        "tamis-demo"
    ),
    quiet: Quiet = False,
) -> None:
    """Find the examples that matter in scikit-learn's digits: score, plant label errors, prune, retrain, report."""
    from tamis.demo import run_demo

    run_demo(out, show_progress=not quiet)
