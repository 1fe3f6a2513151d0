"""``tamis fingerprint``: which architecture is a run of, by the scores of a few examples?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scoring.errors import InputError
from tamis.app import command_of, group
from tamis.options import (
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
    load_data,
)

if TYPE_CHECKING:
    from scoring.compare.fingerprints.fingerprint import Fingerprint, Prediction

fingerprint = group("fingerprint", "Tell by a few examples' scores which architecture a run is of.")


@partial(command_of, fingerprint)
def predict(
    saved: Annotated[
        Path,
        typer.Argument(metavar="FINGERPRINT", help="fingerprint.json, or summary.json of a comparison."),
    ],
    runs: Annotated[
        Path,
        typer.Argument(
            metavar="RUNS", help="Score table of the same data; or, with --data, runs to be scored."
        ),
    ],
    data: Annotated[str | None, typer.Option(help="The data, to score runs on.")] = None,
    split: Split = None,
    text: Text = None,
    text_pair: TextPair = None,
    image: Image = None,
    features: Features = None,
    label: Label = None,
    id_column: Id = None,
    device: Device = "auto",
    allow_changed_data: Annotated[
        bool,
        typer.Option("--allow-changed-data", help="Take a table of a part of the data, or of changed data."),
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Name the architecture of every run of a score table.

    Score a new run with `tamis score DATA --from RUN --scorers NAME --out new.parquet`; or give the run itself, and
    --data.
    """
    from scoring.compare.fingerprints.fingerprint import Fingerprint

    known = Fingerprint.read(saved)
    if data is not None:
        from scoring.run import score

        examples = load_data(
            data, split=split, text=text, text_pair=text_pair, image=image, features=features, label=label, id=id_column
        )  # fmt: skip
        table = score(examples, known.score, runs, per_run=True, device=device, show_progress=not quiet)
        found = known.predict(table, allow_changed_data=allow_changed_data)
    elif runs.is_dir() and not (runs / "manifest.json").exists():
        raise InputError(
            f"tamis fingerprint: RUNS must be a score table, and {str(runs)!r} is a folder of something else; "
            "--data names the data to score runs on."
        )
    else:
        found = known.predict(runs, allow_changed_data=allow_changed_data)
    document = {
        "score": known.score, "of": known.of, "examples": len(known), "runs": [asdict(each) for each in found]
    }  # fmt: skip
    emit(document, as_json, lambda: _show(known, found))


def _show(known: Fingerprint, found: Sequence[Prediction]) -> None:
    from tamis.grid import console, grid

    rows = [
        [each.run, each.architecture, f"{each.margin:.3g}", *(f"{d:.2f}" for d in each.distances.values())]
        for each in found
    ]
    title = (
        f"By {known.score} of {len(known)} {'example' if len(known) == 1 else 'examples'}; distances in SD"
    )
    console().print(grid(title, ["run", "architecture", "margin", *known.architectures], rows, left=2))
