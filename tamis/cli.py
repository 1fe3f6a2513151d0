"""The command line: a thin map from options to the public functions; two lines of Python can do the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tamis.advise_command import advise
from tamis.app import app, command, main
from tamis.apply_command import apply
from tamis.compare_command import compare
from tamis.costs_command import costs
from tamis.embed_command import embed
from tamis.fingerprint_command import fingerprint
from tamis.fit_command import fit
from tamis.options import (
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
    load_data,
)  # fmt: skip
from tamis.predict_command import predict
from tamis.report_command import report
from tamis.retrain_command import retrain
from tamis.score_command import score
from tamis.select_command import select
from tamis.study_command import study
from tamis.theory_command import theory
from tamis.train_command import train

__all__ = [
    "advise",
    "app",
    "apply",
    "compare",
    "costs",
    "demo",
    "embed",
    "fingerprint",
    "fit",
    "list_",
    "main",
    "predict",
    "report",
    "retrain",
    "score",
    "select",
    "show",
    "study",
    "theory",
    "train",
]


@command
def show(
    path: Annotated[Path, typer.Argument(help="Score table, subset or folder of runs.")],
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
    """Show a score table, a subset or runs.

    With --by the ids at either end of a score; with --data the examples themselves, images drawn in characters.
    """
    from tamis.show import describe_path

    examples = data and load_data(
        data, split=split, text=text, text_pair=text_pair, image=image, features=features, label=label, id=id_column
    )  # fmt: skip
    document, print_it = describe_path(path, by, top, bottom, examples or None)
    emit(document, as_json, print_it)


@command
def list_(
    what: Annotated[
        str | None,
        typer.Argument(help="scorers, strategies, models or laws; default: all.", show_default=False),
    ] = None,
    costs: Annotated[
        bool, typer.Option("--costs", help="What each scorer needs, costs and is good for.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List scorers, strategies, models and laws."""
    from tamis.show_catalog import describe_catalog

    document, print_it = describe_catalog(what, costs)
    emit(document, as_json, print_it)


@command
def demo(
    out: Annotated[Path, typer.Option(help="Folder for runs, table, figures and report.")] = Path(
        "tamis-demo"
    ),
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """See the whole loop on scikit-learn's digits.

    Train, score, plant label errors and find them, prune, retrain, report; about two minutes.
    """
    from scoring.files import read_json
    from tamis.demo import run_demo

    run_demo(out, show_progress=not quiet, show_summary=not as_json)
    if as_json:
        emit(read_json(out / "summary.json"), as_json, lambda: None)
