"""``tamis train``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scoring.errors import InputError
from tamis.app import command
from tamis.engine_options import Address
from tamis.options import (
    Data,
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
    request_data,
)  # fmt: skip

if TYPE_CHECKING:
    from scoring.checkpoints import RunDirectory


@command
def train(
    data: Data,
    out: Annotated[
        Path, typer.Option(help="Folder for the runs: seed-0, seed-1 ...; with --models mlp/seed-0 ...")
    ],
    model: Annotated[
        str | None, typer.Option(help="linear, mlp, cnn, small-bert, minilm ... or a Hugging Face model.")
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL,MODEL",
            help="Several models, options in brackets, with names of their own if wanted; in quotes: "
            "'linear,mlp,deep=mlp(hidden=[64,64,64])'.",
        ),
    ] = None,
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
    precision: Precision = "float32",
    seeds: Annotated[str, typer.Option(help="One run per seed (and model): 0-4 or 0,3,7.")] = "0",
    folds: Annotated[int | None, typer.Option(help="Train this many cross-fitting folds per seed.")] = None,
    subset: Annotated[
        Path | None, typer.Option(help="Subset file: train on its examples with its weights.")
    ] = None,
    evaluate: Annotated[
        str | None, typer.Option(help="Split to evaluate on, or a fraction to hold out.")
    ] = None,
    evaluate_every: Annotated[
        str | None, typer.Option(help="'1 epoch', '100 steps' or 'end'; default: as --checkpoint-every.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record per-example signals while training.")
    ] = False,
    record_as: Annotated[
        str | None, typer.Option(help="Record logits or summary; default: logits if there are few classes.")
    ] = None,
    clean_every: Annotated[
        str, typer.Option(help="With --record: clean pass every '1 epoch', '50 steps'; auto: at most 20.")
    ] = "auto",
    checkpoint_every: Annotated[
        str | None,
        typer.Option(
            help="'1 epoch', '100 steps' or 'end'; default: every epoch, at most 20 in all; folds: end."
        ),
    ] = None,
    checkpoint_start: Annotated[
        bool, typer.Option("--checkpoint-start", help="Also a checkpoint before the first update.")
    ] = False,
    start: Annotated[
        Path | None, typer.Option(help="Run or checkpoint whose weights training starts from.")
    ] = None,
    save_optimizer: Annotated[bool, typer.Option("--save-optimizer", help="Keep optimizer moments.")] = False,
    allow_changed_data: Annotated[
        bool, typer.Option("--allow-changed-data", help="Take a subset of other labels.")
    ] = False,
    augment: Annotated[str, typer.Option(help="Images: none or flip-crop.")] = "none",
    option: Options = None,
    optimizer_option: Annotated[
        list[str] | None,
        typer.Option("--optimizer-option", metavar="KEY=VALUE", help="Option of the optimizer."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="With --models: local (one run after another), processes (this machine) or ray (a cluster)."
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="--engine processes or ray: how many runs at once; default: the cores, or what the cluster has."
        ),
    ] = None,
    address: Address = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="With --models: train only slice I (from 0) of N of the runs, as one task of a batch job.",
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="With --models: threads per run, default 1; the same number gives the same weights."
        ),
    ] = None,
    trust_remote_code: Trust = False,
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
    """Train a model, or several, one run per seed.

    A run directory holds checkpoints, metrics and, with --record, what every example's outputs were on the way. The
    same command resumes an interrupted run and does not repeat a finished one. With --models a run that fails does not
    stop the others.
    """
    from training.crossfit import train_folds
    from training.run import train as run_training

    if (model is None) == (models is None):
        given = "none" if model is None else "both"
        raise InputError(f"tamis train: give --model NAME, or --models NAME,NAME for several, got {given}.")
    columns = {
        "text": text, "text_pair": text_pair, "image": image, "features": features, "label": label, "id": id_column
    }  # fmt: skip
    spread = {"engine": engine, "workers": workers, "address": address, "shard": shard, "threads": threads}
    _check_combination(models, option, {"folds": folds, "start": start}, spread)
    settings: dict[str, Any] = {
        "out": out, "epochs": epochs, "steps": steps, "batch_size": batch_size, "optimizer": optimizer, "lr": lr,
        "weight_decay": weight_decay, "optimizer_options": parse_options(optimizer_option, "--optimizer-option"),
        "schedule": schedule, "warmup": warmup, "clip": clip, "accumulate": accumulate, "precision": precision,
        "augment": augment, "seeds": parse_seeds(seeds), "record": record_as or record, "clean_every": clean_every,
        "save_optimizer": save_optimizer, "checkpoint_start": checkpoint_start,
        "device": device, "trust_remote_code": trust_remote_code, "progress": not quiet,
    }  # fmt: skip
    # Left out if not given: folds have other defaults.
    cadences = {"checkpoint_every": checkpoint_every, "evaluate_every": evaluate_every}
    settings |= {
        name: None if value == "end" else value for name, value in cadences.items() if value is not None
    }
    if models is not None:
        from tamis.engine_options import engine_of
        from training.cells import train_cells

        found = train_cells(
            request_data(data, split=split, **columns), models, subset=subset, evaluate=_evaluation(evaluate),
            allow_changed_data=allow_changed_data, threads=1 if threads is None else threads, **settings,
            engine=engine_of(engine, workers, address, shard, out),
        )  # fmt: skip
        _emit([run for runs in found.values() for run in runs], as_json)
        return
    examples = load_data(data, split=split, **columns)
    settings["model_options"] = parse_options(option, "--option")
    if folds is not None:
        if subset is not None or evaluate is not None:
            raise InputError(
                "tamis train: --folds evaluates on the held-out folds; leave out --subset and --evaluate."
            )
        if start is not None:
            raise InputError(
                "tamis train: --start has seen what a fold must not; leave out --folds or --start."
            )
        runs = train_folds(examples, model, folds=folds, **settings)
    else:
        runs = run_training(
            examples, model, subset=subset, evaluate=_evaluation(evaluate), allow_changed_data=allow_changed_data,
            start=start, **settings,
        )  # fmt: skip
    _emit(runs, as_json)


def _emit(runs: Sequence[RunDirectory], as_json: bool) -> None:
    from tamis.show import run_documents, show_runs

    emit(run_documents(runs), as_json, lambda: show_runs(runs))


def _check_combination(
    models: str | None,
    option: list[str] | None,
    one: Mapping[str, object],
    several: Mapping[str, object],
) -> None:
    """Refuse options of one model with several, and the other way round."""
    if models is None:
        if given := [name for name, value in several.items() if value is not None]:
            raise InputError(
                f"tamis train: --{given[0]} is for the runs of several models; give --models, also for a single one."
            )
        return
    if option:
        raise InputError(
            f"tamis train: --option applies to none of several models; write {option[0]} in brackets behind the one "
            f"that it is for, as in --models 'linear,mlp({option[0]})'."
        )
    if given := [name for name, value in one.items() if value is not None]:
        raise InputError(
            f"tamis train: --{given[0]} is for a single model; give --model, one after the other."
        )


def _evaluation(text: str | None) -> str | float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
