"""``tamis advise``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tamis.app import command
from tamis.options import (
    Data,
    Device,
    Features,
    Id,
    Image,
    Json,
    Label,
    Quiet,
    Split,
    Text,
    TextPair,
    emit,
    parse_options,
    parse_seeds,
    request_data,
)  # fmt: skip


@command
def advise(
    data: Data,
    model: Annotated[
        str, typer.Option(help="The model that will be trained on what is kept: linear, mlp(hidden=[64]) ...")
    ] = "linear",
    keep: Annotated[str, typer.Option(help="Shares of the examples to advise on.")] = "50%,30%,10%",
    scores: Annotated[
        Path | None, typer.Option(help="A score table: how far can its score be trusted?")
    ] = None,
    by: Annotated[str | None, typer.Option(help="Which score of the table.")] = None,
    checked: Annotated[
        str | None,
        typer.Option(help="Column with the class that a person gave to some random rows, empty elsewhere."),
    ] = None,
    cheap: Annotated[
        str, typer.Option(help="The model that is cross-fitted to look for wrong labels.")
    ] = "linear",
    no_noise_check: Annotated[
        bool, typer.Option("--no-noise-check", help="Train nothing; hard examples are then never advised.")
    ] = False,
    folds: Annotated[int, typer.Option(help="Cross-fitting folds of the noise check.")] = 5,
    seeds: Annotated[str, typer.Option(help="Its seeds: 0-1 or 0,3.")] = "0-1",
    epochs: Annotated[
        int, typer.Option(help="Epochs of cross-fitting, and of the study that is written.")
    ] = 10,
    train_option: Annotated[
        list[str] | None,
        typer.Option(
            "--train", metavar="KEY=VALUE", help="Setting of the trainings: lr=0.1, batch_size=128 ..."
        ),
    ] = None,
    study: Annotated[
        Path | None,
        typer.Option(help="Write the small study that would make sure: a file for `tamis study`."),
    ] = None,
    test: Annotated[
        str | None, typer.Option(help="Test data of that study: a split of the data, or a source.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the advice as a page, ending in .md.")] = None,
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
    """Which examples to keep before any is dropped, and why: hard ones, easy ones, a cover, or random ones.

    Looks for wrong labels (and plants some, to see whether it would find them), counts examples per parameter and
    class, and asks how far scores repeat. Every rule is printed with what was measured, its threshold and its source.
    """
    from scoring.files import write_atomic
    from training.advice.advise import advise as ask

    request = request_data(
        data, split=split, text=text, text_pair=text_pair, image=image, features=features, label=label, id=id_column
    )  # fmt: skip
    found = ask(
        request, model, keep=[each.strip() for each in keep.split(",")], scores=scores, by=by, cheap=cheap,
        checked=checked, noise=not no_noise_check, folds=folds, seeds=parse_seeds(seeds), epochs=epochs,
        train=parse_options(train_option, "--train"), study_out=study, test=test, device=device, progress=not quiet,
    )  # fmt: skip
    if out is not None:
        write_atomic(out, found.markdown().encode())
    emit(found.to_dict(), as_json, lambda: typer.echo(found.text(), nl=False))
